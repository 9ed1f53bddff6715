#include "app/closing.hpp"

#include <cstdio>
#include <string>

#include "app/exit_codes.hpp"
#include "app/side_files.hpp"
#include "convoy/error.hpp"

namespace convoy::app {

int close_run(const Communicator& world, const OutputOptions& output, Report report) {
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
    if (world.is_root()) {
        std::fputs(summary_text(report).c_str(), stdout);
        std::fflush(stdout);
    }
    if (!failure.empty()) throw Failure{failure + "; the result itself is complete"};
    return report.outcome.status == Status::converged ? done : not_converged;
}

}  // namespace convoy::app
