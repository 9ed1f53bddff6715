#pragma once
// The end of a run whose result is written: the files beside it, the summary, the exit code.

#include "app/report.hpp"
#include "app/run.hpp"

namespace convoy::app {

// Ends the phase "write". Returns the exit code. Collective.
// \param findings what stands in the summary in place of the outcome, where a command has more to say
int close_run(Run& run, const Problem& problem, const OutputOptions& output, const Outcome& outcome,
              const io::Result& result, const std::string& findings = {});

}  // namespace convoy::app
