#pragma once
// A command's problem, solved by Sinkhorn's algorithm until the audit agrees, with everything that a person sees of it.

#include <string>
#include <vector>

#include "app/options.hpp"
#include "app/report.hpp"
#include "app/run.hpp"
#include "convoy/sinkhorn.hpp"

namespace convoy::app {

struct SolvedProblem {
    SinkhornState state;  // <a,f> = <b,g>
    Outcome outcome;
};

// Potentials of another problem that are likely to be near: of its source or of its target, the other side's empty.
struct KnownPotentials {
    std::vector<double> f, g;
    std::string words;  // where they are from
};

// Throws Failure after a signal, and where the potentials are no plan's. Collective.
SolvedProblem solve_problem(Run& run, Problem& problem, double epsilon, const ProblemOptions& asked,
                            const SolverOptions& options, const KnownPotentials* known = nullptr);

}  // namespace convoy::app
