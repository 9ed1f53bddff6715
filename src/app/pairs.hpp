#pragma once
// convoy solve CELLS --pairs COLUMN=HOW -o PREFIX: many problems from one file, one after the other, with one read.
//
// The cells of all pairs are read once (io/held_cells.hpp). Each pair is planned, solved and written like a problem of
// its own; where it shares a value with the last one that was solved, it starts from that one's potential there. What
// fails for one pair is told, and the others go on.

#include "app/command.hpp"
#include "app/command_line.hpp"
#include "app/solve_run.hpp"

namespace convoy::app {

void declare_pairs(CommandLine& line, SolveOptions& options);
// Options that contradict --pairs, or would have no effect. \throws InputError on all ranks. Collective.
void check_pairs(const Communicator& world, const CommandLine& line, SolveOptions& options);
// Returns the exit code: the worst of all pairs'. Collective.
int solve_pairs(const Invocation& invocation, const SolveOptions& options);

}  // namespace convoy::app
