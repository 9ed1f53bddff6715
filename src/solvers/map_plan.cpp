#include "solvers/map_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "convoy/error.hpp"
#include "convoy/partition.hpp"
#include "parallel/backend.hpp"
#include "parallel/node.hpp"
#include "solvers/device_plan.hpp"
#include "solvers/plan.hpp"

namespace convoy {

namespace {

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
    return (a + b - 1) / b;
}

double share(std::int64_t items, int parts) {
    return static_cast<double>(Partition::even(items, parts).largest());
}

Precision precision_of(const MapRequest& request) {
    return request.backend == Backend::reference ? Precision::fp64 : request.precision.value_or(Precision::single);
}

// A point as given, its mass, and as the kernels have it: rounded, with its own term and log mass.
double bytes_of_point(const MapRequest& request) {
    const double number = precision_of(request) == Precision::single ? 4 : 8;
    const double d = static_cast<double>(request.dimension);
    return 8 * d + 8 + (rounds_points(request.backend) ? number * d + 16 : 0);
}

// What one call over `rows` points makes beside them: images, sums, and the partial results of its tasks.
double bytes_of_call(const MapRequest& request, double rows, double target) {
    constexpr double partial_numbers = double{1 << 24};  // the kernels' own bound
    constexpr double most_parallel_rows = 2 * 128 * 128;
    const double number = precision_of(request) == Precision::single ? 4 : 8;
    const double width = static_cast<double>(request.dimension) + 2;
    const double summed = target * number * (request.cost.uses_products() ? width : 3);
    const double partial = std::max(rows * width, std::min(partial_numbers, most_parallel_rows * width));
    return 8 * (5 * rows * width + partial) + (rounds_points(request.backend) ? summed : 0);
}

// The symmetric problem of the side that is mapped from, with the memory of its acceleration.
double bytes_of_solving_self(const MapRequest& request, GridShape shape) {
    constexpr double vectors = 8 * 40;
    return share(request.self_points, shape.rows) * (bytes_of_point(request) + vectors) +
           share(request.self_points, shape.columns) * (bytes_of_point(request) + vectors / 4);
}

// The divergence of the images to other points, which comes afterwards, on the same grid.
PlanRequest comparison(const MapRequest& request) {
    PlanRequest divergence;
    divergence.rows = request.points;
    divergence.columns = request.compared_with;
    divergence.dimension = request.dimension;
    divergence.precision = request.precision;
    divergence.backend = request.backend;
    divergence.more.self_problems = true;
    return divergence;
}

// What is on a rank's device together: the self problem, if it is solved here; then the maps of a portion; then what
// their images are compared in.
std::vector<BlocksTogether> device_stages(const MapRequest& request, GridShape shape, double memory_limit) {
    const auto block = [&](std::int64_t rows, std::int64_t columns, std::int64_t width) {
        CudaBlockSize size;
        size.rows = rows;
        size.columns = Partition::even(columns, shape.columns).largest();
        size.dimension = request.dimension;
        size.single = precision_of(request) == Precision::single;
        size.from_products = request.cost.uses_products();
        size.width = width;
        return size;
    };
    const std::int64_t portion = portions_of(request, shape, memory_limit).rows, d = request.dimension;
    std::vector<BlocksTogether> stages;
    BlocksTogether maps{block(portion, request.target, d)};
    if (request.self_points > 0) {
        maps.push_back(block(portion, request.self_points, d));
        const std::int64_t rows = Partition::even(request.self_points, shape.rows).largest();
        if (request.solve_self) stages.push_back({block(rows, request.self_points, 1)});
    }
    stages.push_back(std::move(maps));
    if (request.compared_with > 0)
        for (BlocksTogether& stage : device_stages(comparison(request), shape, false))
            stages.push_back(std::move(stage));
    return stages;
}

DeviceFit fit_on_device(const MapRequest& request, GridShape shape, double memory_limit) {
    if (request.backend != Backend::cuda) return {true, false, 0};
    return fit_on_device(device_stages(request, shape, memory_limit), request.devices.memory);
}

int ranks_that_fit(const MapRequest& request, int ranks, int threads, double limit) {
    for (int more = ranks + 1; more <= 1 << 20; more = more < 64 ? more + 1 : more * 2)
        if (grid_for_mapping(request, more, threads, limit)) return more;
    return 0;
}

}  // namespace

double pairs_of_a_point(const MapRequest& request) {
    return static_cast<double>(request.target * request.steps + request.self_points);
}

Portions portions_of(const MapRequest& request, GridShape shape, double memory_limit) {
    // Pairs of a rank: seconds, between which a run can be ended. A device has many more in that time, and every
    // portion costs it a copy of the target.
    const bool cuda = request.backend == Backend::cuda;
    const double pairs = cuda ? 1e12 : 6e9, bytes = cuda ? 1e9 : 64e6;
    constexpr double least = 1024;  // fewer would leave threads without work
    const double target = std::max(share(request.target, shape.columns), 1.0);
    const double d = static_cast<double>(std::max(request.dimension, request.read_dimension));
    const double row = 8 * 6 * (d + 2);
    const double by_time = pairs / (target * static_cast<double>(request.steps));
    const double by_memory = std::min(bytes, memory_limit / 8) / row;
    const auto most = static_cast<std::int64_t>(std::clamp(std::min(by_time, by_memory), least, 1e9));
    Portions portions;
    portions.count = std::max<std::int64_t>(ceil_div(request.points, most * shape.rows), 1);
    portions.rows = std::max<std::int64_t>(ceil_div(ceil_div(request.points, portions.count), shape.rows), 1);
    return portions;
}

double memory_of_mapping(const MapRequest& request, GridShape shape, int threads, double memory_limit) {
    const double d = static_cast<double>(request.dimension);
    const double rows = static_cast<double>(portions_of(request, shape, memory_limit).rows);
    const double target = share(request.target, shape.columns), self = share(request.self_points, shape.columns);
    const double steps = static_cast<double>(request.steps);
    const double driver = request.backend == Backend::cuda ? host_memory_of_cuda : 0;
    const double fixed = 56e6 + driver + threads * (2e6 + d * 2048);  // program, libraries, tiles

    const double held = target * (bytes_of_point(request) + 8 * steps) +
                        (request.self_points > 0 ? self * (bytes_of_point(request) + 8) : 0) +
                        (request.compared_with > 0 ? 8 * d * 2 * share(request.points, shape.rows) : 0);
    // While the target is read, stripes lie beside it; none of the rest is there yet.
    const double as_read = std::max(d, static_cast<double>(request.read_dimension));
    const double reading =
        target * 8 * (as_read - d) + std::ceil(target / shape.rows) * 8 * std::max(as_read, steps + 1);
    const double portion = rows * (2 * bytes_of_point(request) + 16 * as_read) * (request.self_points > 0 ? 2 : 1);
    const double working = portion + bytes_of_call(request, rows, std::max(target, self));
    const double solving = request.solve_self ? bytes_of_solving_self(request, shape) : 0;
    const double mapping = fixed + std::max(held + std::max(reading, working), solving);
    return request.compared_with > 0 ? std::max(mapping, memory_of_rank(comparison(request), shape, threads)) : mapping;
}

std::optional<GridShape> grid_for_mapping(const MapRequest& request, int ranks, int threads, double memory_limit) {
    for (int columns = 1; columns <= ranks; ++columns) {
        if (ranks % columns != 0) continue;
        const GridShape shape{ranks / columns, columns};
        if (memory_of_mapping(request, shape, threads, memory_limit) <= memory_limit &&
            fit_on_device(request, shape, memory_limit).fits)
            return shape;
    }
    return std::nullopt;
}

MapPlan resolve_map_plan(const Communicator& world, const MapRequest& request) {
    const NodeShare node = share_of_node(world);
    MapPlan plan;
    plan.precision = precision_of(request);
    plan.backend = request.backend;
    const std::string ranks = world.size() == 1 ? "1 rank" : fmt::format("{} ranks", world.size());
    agree(world, [&] {
        const int given = request.threads.value_or(threads_from_environment());
        plan.threads = request.backend == Backend::reference ? 1 : given > 0 ? given : node.cores;
        plan.memory_limit = request.memory.value_or(default_memory_share * node.memory);
        const std::optional<GridShape> best = grid_for_mapping(request, world.size(), plan.threads, plan.memory_limit);
        plan.grid = request.grid.value_or(best.value_or(GridShape{1, world.size()}));
        CONVOY_VALIDATE(std::int64_t{plan.grid.rows} * plan.grid.columns == world.size(),
                        fmt::format("--grid {} does not match the run ({} running); rows times columns must be the "
                                    "number of ranks",
                                    plan.grid.name(), ranks));
        plan.memory = memory_of_mapping(request, plan.grid, plan.threads, plan.memory_limit);
        if (plan.memory > plan.memory_limit) {
            const int enough = ranks_that_fit(request, world.size(), plan.threads, plan.memory_limit);
            const std::string remedy = best         ? fmt::format("--grid {} fits", best->name())
                                       : enough > 0 ? fmt::format("with this much a rank, {} ranks are enough", enough)
                                                    : "give each rank more memory";
            throw InputError{fmt::format("mapping needs {} on each of {} (allowed are {}); {}, or raise --memory",
                                         in_bytes(plan.memory), ranks, in_bytes(plan.memory_limit), remedy)};
        }
        const DeviceFit fit = fit_on_device(request, plan.grid, plan.memory_limit);
        plan.stream_points = fit.stream_points;
        plan.device_memory = fit.memory;
        plan.device_memory_limit = request.devices.memory;
        if (!fit.fits) {
            const int enough = ranks_that_fit(request, world.size(), plan.threads, plan.memory_limit);
            const std::string words =
                too_large_for_devices("mapping needs", fit.memory, world.size(), request.devices, best ? 0 : enough);
            throw InputError{best ? fmt::format("{}, or take --grid {}, which fits", words, best->name()) : words};
        }
    });
    // Counts are the same everywhere, but environments need not be: rank 0's plan is everybody's.
    world.broadcast(plan.threads);
    world.broadcast(plan.grid.rows);
    world.broadcast(plan.grid.columns);
    world.broadcast(plan.memory_limit);
    world.broadcast(plan.memory);
    world.broadcast(plan.device_memory);
    world.broadcast(std::span{&plan.stream_points, 1});
    plan.portions = portions_of(request, plan.grid, plan.memory_limit);

    const std::string instruction_set = instruction_set_of(plan.backend, request.devices);
    const std::string precision = plan.precision == Precision::single ? "single" : "double";
    plan.explain = fmt::format(
        "plan: grid {} of {}, {} thread{} a rank, {} precision, {}{}; {} portion{} of up to {} points; about {} a rank "
        "(limit {}){}",
        plan.grid.name(), ranks, plan.threads, plan.threads == 1 ? "" : "s", precision,
        backend_in_words(plan.backend, instruction_set), device_in_words(plan.backend, plan.stream_points),
        plan.portions.count, plan.portions.count == 1 ? "" : "s", plan.portions.rows * plan.grid.rows,
        in_bytes(plan.memory), in_bytes(plan.memory_limit),
        device_memory_in_words(plan.backend, plan.device_memory, plan.device_memory_limit));
    plan.attributes = {{"grid", plan.grid.name()},
                       {"ranks", std::int64_t{world.size()}},
                       {"threads_per_rank", std::int64_t{plan.threads}},
                       {"precision", precision},
                       {"backend", name_of(plan.backend)},
                       {"instruction_set", instruction_set},
                       {"tiles", tiling_of(plan.backend)},
                       {"portions", plan.portions.count},
                       {"portion_rows", plan.portions.rows * plan.grid.rows},
                       {"memory_per_rank_estimate", plan.memory},
                       {"memory_per_rank_limit", plan.memory_limit}};
    for (auto& attribute : device_attributes(plan.backend, request.devices, plan.stream_points, plan.device_memory))
        plan.attributes.push_back(std::move(attribute));
    return plan;
}

}  // namespace convoy
