#pragma once
// One problem of a command, solved by Sinkhorn's algorithm until the audit agrees, with everything that a person sees
// of it.

#include "app/options.hpp"
#include "app/phases.hpp"
#include "app/report.hpp"
#include "app/stop_request.hpp"
#include "convoy/sinkhorn.hpp"
#include "solvers/plan.hpp"

namespace convoy::app {

struct SinkhornContext {
    const ProblemOptions& problem;
    const SolverOptions& solver;
    const Plan& plan;
    const StopRequest& stop;
    Console& console;
    Phases& phases;
};

struct SolvedProblem {
    SinkhornState state;  // <a,f> = <b,g>
    Outcome outcome;
};

// Throws Failure after a signal, and where the potentials are no plan's. Collective.
SolvedProblem solve_problem(Coupling& coupling, double epsilon, const SinkhornContext& run);

// Throws Failure on all ranks if a signal has come; `phase` says what it ended. Collective.
void heed_signals(const Communicator& world, const StopRequest& stop, const std::string& phase);

// Likewise, with what is lost. Collective.
void give_up_after_signal(const Communicator& world, const StopRequest& stop, const SinkhornState& state);

// Safe sums over all ranks so far. Collective.
std::int64_t safe_sums(const Coupling& coupling);

// Adds what the kernels and the communication of a coupling took since `before`.
void add_parts(Phases& phases, const Meters& before, const Meters& now);

void warn_of_rounding(Console& console, const Coupling& coupling, double epsilon);

}  // namespace convoy::app
