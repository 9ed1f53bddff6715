#pragma once
// The end of a run whose result is written: the files beside it, the summary, the exit code.

#include <functional>
#include <string>
#include <vector>

#include "app/report.hpp"
#include "app/run.hpp"

namespace convoy::app {

// Ends the phase "write". Returns the exit code. Collective.
// \param findings what stands in the summary in place of the outcome, where a command has more to say
int close_run(Run& run, const Problem& problem, const OutputOptions& output, const Outcome& outcome,
              const io::Result& result, const std::string& findings = {});

// For commands that write one file, the first of `files`: writes the summary's file, if there is one, and the summary.
// What fails now costs these, not the file, which a Failure says. Collective.
// \param what e.g. "the images themselves are"
void tell(const Communicator& world, std::vector<std::string>& files, const std::string& what,
          const std::string& summary, bool overwrite, const std::function<std::string()>& json,
          const std::function<std::string()>& text);

}  // namespace convoy::app
