#pragma once
// Which program this is, how it was built, and where it runs.

#include <string>

#include "convoy/communicator.hpp"
#include "io/result.hpp"

namespace convoy::app {

std::string version();        // 0.1.0 (1a2b3c4d)
std::string build_details();  // several lines: compiler, build type, libraries
std::string utc_now();        // 2025-01-31T12:34:56Z
// nodes, host (of rank 0), job (SLURM's number, if any), command (the whole line). Collective.
io::Attributes whereabouts(const Communicator& world, const std::string& command_line);

}  // namespace convoy::app
