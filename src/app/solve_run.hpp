#pragma once
// One problem of `convoy solve`, from its points to its result file.

#include <string>
#include <utility>
#include <vector>

#include "app/checkpoint_options.hpp"
#include "app/options.hpp"
#include "app/report.hpp"
#include "app/run.hpp"
#include "app/sinkhorn_run.hpp"
#include "io/result.hpp"

namespace convoy::app {

struct SolveOptions {
    ProblemOptions problem;
    SolverOptions solver;
    MachineOptions machine;
    OutputOptions output;
    VolumeOptions volume;
    CheckpointOptions checkpoint;
    std::string pairs;   // COLUMN=HOW (see io/cell_pairs.hpp); empty: one problem
    std::string config;  // the file of --config
};

struct WrittenResult {
    Outcome outcome;
    io::Result result;
};

// Resolves epsilon, solves, writes the result to options.output.output, and warns where it is not what was asked for.
// The phase "write" is left open. \throws Failure, InputError on all ranks. Collective.
// \param groups what else the result says, see io::Result
WrittenResult solve_and_write(Run& run, Problem& problem, const Invocation& invocation, const SolveOptions& options,
                              const KnownPotentials* known = nullptr,
                              const std::vector<std::pair<std::string, io::Attributes>>& groups = {});

}  // namespace convoy::app
