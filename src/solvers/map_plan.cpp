#include "solvers/map_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "convoy/error.hpp"
#include "convoy/partition.hpp"
#include "kernels/block.hpp"
#include "parallel/node.hpp"
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
    return 8 * d + 8 + (request.backend == Backend::cpu ? number * d + 16 : 0);
}

// What one call over `rows` points makes beside them: images, sums, and the partial results of its tasks.
double bytes_of_call(const MapRequest& request, double rows, double target) {
    constexpr double partial_numbers = double{1 << 24};  // the kernels' own bound
    constexpr double most_parallel_rows = 2 * 128 * 128;
    const double number = precision_of(request) == Precision::single ? 4 : 8;
    const double width = static_cast<double>(request.dimension) + 2;
    const double summed = target * number * (request.cost.uses_products() ? width : 3);
    const double partial = std::max(rows * width, std::min(partial_numbers, most_parallel_rows * width));
    return 8 * (5 * rows * width + partial) + (request.backend == Backend::cpu ? summed : 0);
}

// The symmetric problem of the side that is mapped from, with the memory of its acceleration.
double bytes_of_solving_self(const MapRequest& request, GridShape shape) {
    constexpr double vectors = 8 * 40;
    return share(request.self_points, shape.rows) * (bytes_of_point(request) + vectors) +
           share(request.self_points, shape.columns) * (bytes_of_point(request) + vectors / 4);
}

// The divergence of the images to other points, which comes afterwards, on the same grid.
double bytes_of_comparing(const MapRequest& request, GridShape shape, int threads) {
    PlanRequest divergence;
    divergence.rows = request.points;
    divergence.columns = request.compared_with;
    divergence.dimension = request.dimension;
    divergence.precision = request.precision;
    divergence.backend = request.backend;
    divergence.more.self_problems = true;
    return memory_of_rank(divergence, shape, threads);
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
    constexpr double pairs = 6e9;  // of a rank: seconds, between which a run can be ended
    constexpr double bytes = 64e6;
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
    const double fixed = 56e6 + threads * (2e6 + d * 2048);  // program, libraries, tiles

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
    return request.compared_with > 0 ? std::max(mapping, bytes_of_comparing(request, shape, threads)) : mapping;
}

std::optional<GridShape> grid_for_mapping(const MapRequest& request, int ranks, int threads, double memory_limit) {
    for (int columns = 1; columns <= ranks; ++columns) {
        if (ranks % columns != 0) continue;
        const GridShape shape{ranks / columns, columns};
        if (memory_of_mapping(request, shape, threads, memory_limit) <= memory_limit) return shape;
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
    });
    // Counts are the same everywhere, but environments need not be: rank 0's plan is everybody's.
    world.broadcast(plan.threads);
    world.broadcast(plan.grid.rows);
    world.broadcast(plan.grid.columns);
    world.broadcast(plan.memory_limit);
    world.broadcast(plan.memory);
    plan.portions = portions_of(request, plan.grid, plan.memory_limit);

    const bool reference = plan.backend == Backend::reference;
    const std::string device =
        reference ? "reference backend" : fmt::format("cpu backend with {}", cpu_instruction_set());
    const std::string precision = plan.precision == Precision::single ? "single" : "double";
    plan.explain = fmt::format(
        "plan: grid {} of {}, {} thread{} a rank, {} precision, {}; {} portion{} of up to {} points; about {} a rank "
        "(limit {})",
        plan.grid.name(), ranks, plan.threads, plan.threads == 1 ? "" : "s", precision, device, plan.portions.count,
        plan.portions.count == 1 ? "" : "s", plan.portions.rows * plan.grid.rows, in_bytes(plan.memory),
        in_bytes(plan.memory_limit));
    plan.attributes = {{"grid", plan.grid.name()},
                       {"ranks", std::int64_t{world.size()}},
                       {"threads_per_rank", std::int64_t{plan.threads}},
                       {"precision", precision},
                       {"backend", std::string{reference ? "reference" : "cpu"}},
                       {"instruction_set", std::string{reference ? "none" : cpu_instruction_set()}},
                       {"tiles", cpu_tiling()},
                       {"portions", plan.portions.count},
                       {"portion_rows", plan.portions.rows * plan.grid.rows},
                       {"memory_per_rank_estimate", plan.memory},
                       {"memory_per_rank_limit", plan.memory_limit}};
    return plan;
}

}  // namespace convoy
