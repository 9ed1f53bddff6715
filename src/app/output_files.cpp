// Which files a run may write: each in a place of its own, and none in that of a file that it reads.

#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "app/options.hpp"
#include "convoy/error.hpp"
#include "io/pattern.hpp"
#include "io/result.hpp"

namespace convoy::app {

namespace {

namespace fs = std::filesystem;

// Where a file is or would be: links in its folder are followed, a link of its own name is replaced.
fs::path place_of(const std::string& path) {
    const fs::path given{path};
    std::error_code none;
    const fs::path folder = fs::weakly_canonical(given.has_parent_path() ? given.parent_path() : ".", none);
    return (none ? given.parent_path() : folder) / given.filename();
}

bool same_file(const std::string& one, const std::string& other) {
    if (one.empty() || other.empty()) return false;
    std::error_code none;
    return place_of(one) == place_of(other) || fs::equivalent(one, other, none);
}

using Named = std::pair<std::string, std::string>;  // option, path

void expect_different(const std::vector<Named>& files) {
    for (std::size_t i = 0; i < files.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
            CONVOY_VALIDATE(!same_file(files[i].second, files[j].second),
                            fmt::format("{} '{}' and {} '{}' name the same file; choose two", files[j].first,
                                        files[j].second, files[i].first, files[i].second));
        }
    }
}

// With --overwrite, what this run reads is not among what may be replaced.
void expect_no_input(const std::vector<Named>& files, const CommandLine& line, const ProblemOptions& problem,
                     const SolverOptions& solver, std::vector<io::InputOptions> inputs,
                     const std::vector<Named>& replaceable) {
    inputs.push_back(problem.source);
    inputs.push_back(problem.target);
    for (const auto& [option, path] : files) {
        const auto keep = [&, &writes = option, &target = path](const std::string& what, const std::string& read) {
            CONVOY_VALIDATE(!same_file(read, target),
                            fmt::format("{}: '{}' is {} of this run; choose another name", writes, target, what));
        };
        for (const io::InputOptions& input : inputs) {
            for (const std::string& text : {input.points, input.weights})
                for (const std::string& read : io::files_named(io::Location::parse(text).path)) keep("an input", read);
        }
        keep("the --config file", line.config());
        // A result may take the place of the one that it goes on from: that is read by then.
        if (option == "--output") continue;
        if (!solver.start()) keep("the --init file", solver.init);
        for (const auto& [read_by, read] : replaceable) keep(fmt::format("the {} file", read_by), read);
    }
}

}  // namespace

void check_outputs(const Communicator& world, const CommandLine& line, const ProblemOptions& problem,
                   const SolverOptions& solver, const OutputOptions& output, const std::vector<io::InputOptions>& more,
                   const std::vector<std::pair<std::string, std::string>>& replaceable) {
    CONVOY_VALIDATE(!output.output.empty(), "no output is given; add -o FILE");
    const std::vector<Named> files = {{"--output", output.output},
                                      {"--summary", output.summary},
                                      {"--trace", output.trace},
                                      {"--checkpoint", output.checkpoint}};
    agree(world, [&] {
        if (!world.is_root()) return;
        solver.check_start();
        expect_different(files);
        expect_no_input(files, line, problem, solver, more, replaceable);
    });
    for (const auto& [option, path] : files) {
        if (!path.empty()) io::check_output(world, path, output.overwrite || option == "--checkpoint");
    }
}

void check_outputs(const Communicator& world, const std::vector<Named>& outputs, const std::vector<std::string>& inputs,
                   bool overwrite) {
    agree(world, [&] {
        if (!world.is_root()) return;
        expect_different(outputs);
        for (const auto& [option, path] : outputs) {
            for (const std::string& input : inputs)
                for (const std::string& read : io::files_named(input))
                    CONVOY_VALIDATE(!same_file(read, path),
                                    fmt::format("{}: '{}' is an input of this run; choose another name", option, path));
        }
    });
    for (const auto& [option, path] : outputs) {
        if (!path.empty()) io::check_output(world, path, overwrite || option == "--checkpoint");
    }
}

}  // namespace convoy::app
