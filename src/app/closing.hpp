#pragma once
// The end of a run whose result is written: the files beside it, the summary, the exit code.

#include "app/options.hpp"
#include "app/report.hpp"

namespace convoy::app {

// Returns the exit code. Collective.
int close_run(const Communicator& world, const OutputOptions& output, Report report);

}  // namespace convoy::app
