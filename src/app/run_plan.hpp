#pragma once
// From the options and the sizes of the inputs to the plan of a run, on the devices that it will have.

#include "app/console.hpp"
#include "app/options.hpp"
#include "parallel/device_choice.hpp"
#include "solvers/map_plan.hpp"
#include "solvers/plan.hpp"

namespace convoy::app {

struct ProblemShape {
    std::int64_t rows = 0, columns = 0;  // points of source and target
    std::int64_t dimension = 0;
    std::int64_t read_dimension = 0;  // of points that are transformed before they are solved; 0: they are not
};

// Looks at both inputs. \throws InputError where their dimensions differ. Collective.
ProblemShape shape_of_problem(const Communicator& world, const ProblemOptions& problem);

// Resolved on rank 0, the same on all ranks; sets the number of threads, and opens this rank's device. Collective.
struct PlannedRun {
    Plan plan;
    DeviceChoice devices;
};
PlannedRun plan_run(const Communicator& world, const ProblemShape& shape, const ProblemOptions& problem,
                    const MachineOptions& machine, const SolverOptions& solver, const HeldMore& more = {});

struct PlannedMap {
    MapPlan plan;
    DeviceChoice devices;
};
// \param request what is to be mapped; the machine's part is filled in here
PlannedMap plan_mapping(const Communicator& world, MapRequest request, const MachineOptions& machine);

// Which devices the ranks use, or why they use none.
void tell_devices(Console& console, const DeviceChoice& devices);

}  // namespace convoy::app
