#pragma once
// From the options and the sizes of the inputs to the plan of a run.

#include "app/options.hpp"
#include "solvers/plan.hpp"

namespace convoy::app {

struct ProblemShape {
    std::int64_t rows = 0, columns = 0;  // points of source and target
    std::int64_t dimension = 0;
    std::int64_t read_dimension = 0;  // of points that are transformed before they are solved; 0: they are not
};

// Looks at both inputs. \throws InputError where their dimensions differ. Collective.
ProblemShape shape_of_problem(const Communicator& world, const ProblemOptions& problem);

// Resolved on rank 0, the same on all ranks; sets the number of threads. Collective.
Plan plan_run(const Communicator& world, const ProblemShape& shape, const ProblemOptions& problem,
              const MachineOptions& machine, const SolverOptions& solver, const HeldMore& more = {});

}  // namespace convoy::app
