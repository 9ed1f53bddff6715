#include "app/checkpoint_options.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "app/quantities.hpp"
#include "convoy/error.hpp"
#include "io/result.hpp"

namespace convoy::app {

namespace {

// Options that change nothing in what the run finds, or are held against the inputs themselves.
constexpr std::array free_to_change = {"--output",
                                       "--summary",
                                       "--trace",
                                       "--overwrite",
                                       "--quiet",
                                       "--verbose",
                                       "--config",
                                       "--threads",
                                       "--memory",
                                       "--device",
                                       "--device-memory",
                                       "--grid",
                                       "--cache",
                                       "--time-limit",
                                       "--max-half-passes",
                                       "--watchdog",
                                       "--checkpoint",
                                       "--checkpoint-interval",
                                       "--checkpoint-light",
                                       "--resume",
                                       "--source-weights",
                                       "--target-weights",
                                       "--store-points",
                                       "--source",
                                       "--target"};

bool exists(const std::string& path) {
    struct stat status;
    return ::lstat(path.c_str(), &status) == 0;
}

struct There {
    bool last = false, previous = false;
};

There what_is_there(const Communicator& world, const std::string& file) {
    std::array<std::int64_t, 2> there{};
    if (world.is_root()) there = {exists(file), exists(io::previous_of(file))};
    world.broadcast(std::span<std::int64_t>{there});
    return {there[0] != 0, there[1] != 0};
}

// What is at the path of a checkpoint and may be replaced: nothing, or a checkpoint.
void expect_checkpoint(const Communicator& world, const std::string& path) {
    agree(world, [&] {
        if (!world.is_root()) return;
        io::Description found;
        try {
            found = io::describe(path);
        } catch (const InputError&) {
        }
        const bool ours = std::ranges::find(found.attributes,
                                            std::pair{std::string{"/format"}, std::string{io::checkpoint_format}}) !=
                          found.attributes.end();
        CONVOY_VALIDATE(ours, fmt::format("--checkpoint: '{}' exists and is no checkpoint; choose another name", path));
    });
}

void expect_same_problem(const CheckpointOptions& options) {
    const auto find = [](const auto& list, const std::string& name) {
        return std::ranges::find_if(list, [&](const auto& one) { return one.first == name; });
    };
    const auto refuse = [&](const std::string& problem) {
        throw InputError{
            fmt::format("cannot resume from '{}': it belongs to another run ({}); give the same options, "
                        "or another --checkpoint",
                        options.stored->path(), problem)};
    };
    const io::StoredCheckpoint::Texts& there = options.stored->problem();
    for (const auto& [name, value] : options.problem) {
        const auto found = find(there, name);
        const std::string& here = std::get<std::string>(value);
        const bool is_flag = here.empty();
        if (found == there.end())
            refuse(is_flag ? fmt::format("{} was not given", name)
                           : fmt::format("{} is {}, there it was not given", name, here));
        if (found->second != here) refuse(fmt::format("{} is '{}', there '{}'", name, here, found->second));
    }
    for (const auto& [name, value] : there) {
        const bool is_option = name.starts_with("--") || name == "command";
        if (is_option && find(options.problem, name) == options.problem.end())
            refuse(value.empty() ? fmt::format("{} was given there", name)
                                 : fmt::format("{} is not given, there it is {}", name, value));
    }
}

// What there is to go on from: the last one, or, where that is damaged or missing, the one before it.
void find_stored(const Communicator& world, CheckpointOptions& options, const There& there) {
    const std::string previous = io::previous_of(options.file);
    if (there.last) {
        try {
            options.stored = std::make_shared<io::StoredCheckpoint>(world, options.file);
            return;
        } catch (const InputError& error) {
            if (!there.previous) throw;
            options.last_is_damaged = true;
            options.warning = fmt::format("{}; going on from the one before it, '{}'", error.what(), previous);
        }
    }
    options.stored = std::make_shared<io::StoredCheckpoint>(world, previous);
}

}  // namespace

namespace {

void declare_all(CommandLine& line, CheckpointOptions& options) {
    const std::string group = "Checkpoints";
    line.text(
            "--checkpoint", "FILE",
            "keep what is needed to go on in FILE (and the one before it in FILE.previous): now and then, at USR1 and "
            "TERM and before --time-limit, which then end the run with exit code 75; removed when the result is "
            "written",
            options.file)
        ->group(group);
    line.option("--checkpoint-interval", "TIME", "time between two checkpoints: 15m (the default), 1h, 90 (seconds)",
                [&](const std::string& text) { options.interval = parse_duration("--checkpoint-interval", text); })
        ->group(group);
    line.flag("--resume",
              "go on from --checkpoint, to the same bits where the plan of the run is the same; start afresh if there "
              "is none",
              options.resume)
        ->group(group);
}

}  // namespace

void declare(CommandLine& line, CheckpointOptions& options) {
    declare_all(line, options);
    line.flag("--checkpoint-light",
              "keep potentials only: a fraction of the size, and a resumed run agrees to rounding, not bit for bit",
              options.light)
        ->group("Checkpoints");
}

void declare_of_portions(CommandLine& line, CheckpointOptions& options) {
    declare_all(line, options);
    line.option("--time-limit", "TIME", "with --checkpoint: stop in time to write one: 2h, 90m, 3600 (seconds)",
                [&](const std::string& text) { options.time_limit = parse_duration("--time-limit", text); })
        ->group("Checkpoints");
}

void open_checkpoint(const Communicator& world, const CommandLine& line, CheckpointOptions& options,
                     const std::string& output, bool& overwrite, const std::vector<std::string>& free) {
    for (const char* option : {"--checkpoint-interval", "--resume", "--checkpoint-light"})
        CONVOY_VALIDATE(options.on() || !line.given(option),
                        fmt::format("{} has no effect without --checkpoint FILE; give both, or leave it out", option));
    CONVOY_VALIDATE(options.on() || options.time_limit == 0,
                    "--time-limit has no effect without --checkpoint FILE; give both, or leave it out");
    if (!options.on()) return;
    options.output = output;
    options.problem = {{"command", line.name()}};
    for (const auto& [name, value] : line.values()) {
        const bool may_change = std::ranges::find(free_to_change, name) != free_to_change.end() ||
                                std::ranges::find(free, name) != free.end();
        if (!may_change) options.problem.emplace_back(name, value);
    }
    io::check_output(world, options.file, true);
    io::check_output(world, io::previous_of(options.file), true);
    const There there = what_is_there(world, options.file);
    if (!there.last && !there.previous) {
        if (options.resume)
            options.note = fmt::format("there is no checkpoint '{}' yet: starting afresh", options.file);
        return;
    }
    if (options.resume) {
        find_stored(world, options, there);
        expect_same_problem(options);
        overwrite = overwrite || is_own_result(world, options, output);
        return;
    }
    CONVOY_VALIDATE(overwrite,
                    fmt::format("--checkpoint: '{}' exists; go on from it with --resume, or start afresh with "
                                "--overwrite",
                                there.last ? options.file : io::previous_of(options.file)));
    if (there.last) expect_checkpoint(world, options.file);
    if (there.previous) expect_checkpoint(world, io::previous_of(options.file));
    io::remove_checkpoints(world, options.file);
}

bool is_own_result(const Communicator& world, const CheckpointOptions& options, const std::string& output) {
    std::int64_t own = 0;
    if (world.is_root() && options.stored && exists(output)) {
        try {
            const io::Description found = io::describe(output);
            for (const char* place : {"/run/run_id", "/uns/run/run_id"})
                own = own || std::ranges::find(found.attributes,
                                               std::pair{std::string{place}, options.stored->text("run_id")}) !=
                                 found.attributes.end();
        } catch (const std::exception&) {
        }
    }
    world.broadcast(own);
    return own != 0;
}

}  // namespace convoy::app
