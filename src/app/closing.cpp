#include "app/closing.hpp"

#include <fmt/format.h>

#include <string>

#include "app/exit_codes.hpp"
#include "app/side_files.hpp"
#include "app/standard_output.hpp"
#include "convoy/error.hpp"

namespace convoy::app {

int close_run(Run& run, const Problem& problem, const OutputOptions& output, const Outcome& outcome,
              const io::Result& result, const std::string& findings) {
    const Communicator& world = run.world;
    run.phases.end("write");
    const auto timing = run.phases.over_ranks(world);
    Report report{
        .outcome = outcome,
        .result = result,
        .timing = timing,
        .pairs_per_second = problem.pairs() * static_cast<double>(outcome.half_passes) / longest(timing, "solve"),
        .memory = peak_memory(world),
        .products = problem.plan.products,
        .files = {},
        .warnings = run.console.warnings(),
        .findings = findings};
    // What fails now costs a side file, not the summary.
    std::string failure;
    const auto write_beside = [&](const std::string& path, const auto& text) {
        if (path.empty()) return;
        try {
            report.files.push_back(path);
            write_text(world, path, text(), output.overwrite);
        } catch (const Failure& error) {
            report.files.pop_back();
            failure = error.what();
        }
    };
    report.files = {output.output};
    write_beside(output.trace, [&] { return trace_csv(report.result.history); });
    write_beside(output.summary, [&] { return summary_json(report); });
    try {
        print(world, summary_text(report));
    } catch (const Failure& error) {
        if (failure.empty()) failure = error.what();
    }
    if (!failure.empty())
        throw Failure{fmt::format("{}; the result itself is complete, in '{}'", failure, output.output)};
    return report.outcome.status == Status::converged ? done : not_converged;
}

void tell(const Communicator& world, std::vector<std::string>& files, const std::string& what,
          const std::string& summary, bool overwrite, const std::function<std::string()>& json,
          const std::function<std::string()>& text) {
    const std::string output = files.front();
    try {
        if (!summary.empty()) {
            files.push_back(summary);
            write_text(world, summary, json(), overwrite);
        }
        print(world, text());
    } catch (const Failure& error) {
        throw Failure{fmt::format("{}; {} complete, in '{}'", error.what(), what, output)};
    }
}

}  // namespace convoy::app
