#include "app/run_plan.hpp"

#include <fmt/format.h>
#include <omp.h>

#include <utility>

#include "app/quantities.hpp"
#include "convoy/error.hpp"

namespace convoy::app {

ProblemShape shape_of_problem(const Communicator& world, const ProblemOptions& problem) {
    const io::Shape source = io::shape_of(world, problem.source, "--source-");
    const io::Shape target = io::shape_of(world, problem.target, "--target-");
    CONVOY_VALIDATE(source.columns == target.columns,
                    fmt::format("source '{}' has {} but target '{}' has {} (points of both need the same dimension); "
                                "see: convoy check SOURCE TARGET",
                                problem.source.points, plural(source.columns, "column", "columns"),
                                problem.target.points, target.columns));
    return {source.rows, target.rows, source.columns};
}

PlannedRun plan_run(const Communicator& world, const ProblemShape& shape, const ProblemOptions& problem,
                    const MachineOptions& machine, const SolverOptions& solver, const HeldMore& more) {
    PlanRequest request;
    request.rows = shape.rows;
    request.columns = shape.columns;
    request.dimension = shape.dimension;
    request.read_dimension = shape.read_dimension;
    request.cost = problem.cost;
    request.precision = machine.precision;
    DeviceChoice devices = choose_devices(world, machine.device);
    request.backend = devices.backend;
    request.devices = devices.in_short;
    request.grid = machine.grid;
    request.threads = machine.threads;
    request.memory = machine.memory;
    request.cache = machine.cache;
    request.start = solver.init;
    const std::optional<StartKind> start = solver.start();
    request.annealing = solver.annealing && start && start != StartKind::gaussian && start != StartKind::bures;
    request.acceleration = solver.acceleration;
    request.more = more;
    Plan plan = resolve_plan(world, request);
    omp_set_num_threads(plan.threads);
    use_devices(world, devices, plan.stream_points);
    return {std::move(plan), std::move(devices)};
}

PlannedMap plan_mapping(const Communicator& world, MapRequest request, const MachineOptions& machine) {
    DeviceChoice devices = choose_devices(world, machine.device);
    request.precision = machine.precision;
    request.backend = devices.backend;
    request.devices = devices.in_short;
    request.grid = machine.grid;
    request.memory = machine.memory;
    request.threads = machine.threads;
    MapPlan plan = resolve_map_plan(world, request);
    omp_set_num_threads(plan.threads);
    use_devices(world, devices, plan.stream_points);
    return {std::move(plan), std::move(devices)};
}

void tell_devices(Console& console, const DeviceChoice& devices) {
    if (!devices.in_short.words.empty()) console.say("devices: " + devices.in_short.words);
    for (std::size_t rank = 0; rank < devices.uses.size(); ++rank) {
        const DeviceUse& use = devices.uses[rank];
        console.detail(fmt::format("rank {}: device {}, {} ({}), up to {}", rank, use.number, use.device.name,
                                   use.device.identity, bytes_text(use.memory)));
    }
    if (!devices.warning.empty()) console.warn(devices.warning);
}

}  // namespace convoy::app
