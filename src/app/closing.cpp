#include "app/closing.hpp"

#include <cstdio>

#include "app/exit_codes.hpp"
#include "app/side_files.hpp"

namespace convoy::app {

int close_run(const Communicator& world, const OutputOptions& output, Report report) {
    report.files = {output.output};
    if (!output.trace.empty()) report.files.push_back(output.trace);
    if (!output.summary.empty()) report.files.push_back(output.summary);

    if (!output.trace.empty()) write_text(world, output.trace, trace_csv(report.result.history), output.overwrite);
    if (!output.summary.empty()) write_text(world, output.summary, summary_json(report), output.overwrite);
    if (world.is_root()) {
        std::fputs(summary_text(report).c_str(), stdout);
        std::fflush(stdout);
    }
    return report.outcome.status == Status::converged ? done : not_converged;
}

}  // namespace convoy::app
