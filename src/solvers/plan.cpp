#include "solvers/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "convoy/error.hpp"
#include "convoy/partition.hpp"
#include "convoy/start.hpp"
#include "kernels/block.hpp"
#include "parallel/node.hpp"
#include "solvers/coarse.hpp"

namespace convoy {

namespace {

// A cluster's ordinary network: what one message costs, and what a byte costs. They only rank grids against each other.
constexpr double latency = 5e-6;
constexpr double seconds_per_byte = 1.0 / 5e9;

constexpr double vectors_of_a_side = 8;          // f, log sums, sums, weights, log weights, own terms, g and w rounded
constexpr double anderson_vectors = 2 * 11 + 3;  // residuals and images of the source side

double largest_part(std::int64_t items, int parts) {
    return static_cast<double>(Partition::even(items, parts).largest());
}

double bytes_of_precision(const PlanRequest& request) {
    return request.precision.value_or(Precision::single) == Precision::single ? 4 : 8;
}

// Ring allreduce: each of k ranks sends 2 (k - 1)/k of the vector, in 2 log2 k rounds at best.
void add_allreduce(GridChoice& choice, double numbers, int ranks) {
    if (ranks == 1) return;
    const double bytes = 8 * numbers * 2 * (ranks - 1) / ranks;
    choice.communication_bytes += bytes;
    choice.communication_seconds += 2 * std::ceil(std::log2(ranks)) * latency + bytes * seconds_per_byte;
}

// What coarse problems and sub-samples take on rank 0, which has the most of it: samples in full and their own part,
// the dense matrix and its factor.
double memory_of_samples(const PlanRequest& request, double n, double m) {
    const double pairs = static_cast<double>(request.rows) * static_cast<double>(request.columns);
    if (pairs < small_problem) return 0;
    const double k = static_cast<double>(CoarseCorrection::good_size(pairs));
    const double points = static_cast<double>(subsample_size(request.rows, request.dimension) +
                                              subsample_size(request.columns, request.dimension));
    const double d = static_cast<double>(request.dimension);
    // A block of all of a side's points against a sample rounds them once more; Gaussians are d x d on rank 0.
    const double again = std::max(n, m) * (d * bytes_of_precision(request) + 16);
    const double gaussians = request.cost.uses_products() && d <= 4096 ? 48 * d * d : 0;
    return std::max(16 * k * k, gaussians) + points * d * 24 + again;
}

// The products of a sub-sample, or of all sources with the sampled targets: beside the problem's own.
double products_of_samples(const PlanRequest& request, GridShape shape) {
    const double pairs = static_cast<double>(request.rows) * static_cast<double>(request.columns);
    if (pairs < small_problem) return 0;
    const auto share = [](std::int64_t points, int parts) { return std::ceil(static_cast<double>(points) / parts); };
    const double sub = share(subsample_size(request.rows, request.dimension), shape.rows) *
                       share(subsample_size(request.columns, request.dimension), shape.columns);
    const double coarse =
        largest_part(request.rows, shape.rows) * share(CoarseCorrection::good_size(pairs), shape.columns);
    return 4 * std::max(sub, coarse);
}

// A side against itself: its points once more in the other distribution, both rounded again, their vectors.
double memory_of_self(const PlanRequest& request, GridShape shape, std::int64_t points, Side side) {
    const double rows = largest_part(points, shape.rows), columns = largest_part(points, shape.columns);
    const double d = static_cast<double>(request.dimension);
    const double rounded = request.backend == Backend::cpu ? d * bytes_of_precision(request) : 0;
    const double again = 8 * d * (side == Side::row ? columns : rows);
    return (rows + columns) * (rounded + 8 * vectors_of_a_side) + rows * 8 * anderson_vectors + again;
}

double memory_of_selves(const PlanRequest& request, GridShape shape) {
    if (!request.more.self_problems) return 0;
    return std::max(memory_of_self(request, shape, request.rows, Side::row),
                    memory_of_self(request, shape, request.columns, Side::column));
}

double memory_beside_products(const PlanRequest& request, GridShape shape, int threads, bool keep_products);

double memory_with_products(const PlanRequest& request, GridShape shape, int threads) {
    return memory_beside_products(request, shape, threads, true) + bytes_of_products(request, shape);
}

int ranks_that_fit(const PlanRequest& request, int ranks, double limit, int threads, bool with_products = false) {
    for (int more = ranks + 1; more <= 1 << 20; more = more < 64 ? more + 1 : more * 2) {
        const GridChoice best = grid_choices(request, more, limit, threads).front();
        if (!with_products && best.memory <= limit) return more;
        if (with_products && memory_with_products(request, best.shape, threads) <= limit) return more;
    }
    return 0;
}

// Why this run cannot keep products; empty: it can.
std::string obstacle_to_products(const PlanRequest& request, Precision precision) {
    if (request.backend != Backend::cpu) return "the reference backend keeps nothing";
    if (!request.cost.uses_products()) return fmt::format("the cost {} has none", request.cost.name());
    if (precision != Precision::single) return "they are kept in single precision only";
    return {};
}

// Whether the products of points are kept, once the grid is chosen.
void decide_cache(Plan& plan, const PlanRequest& request, int ranks, int cores) {
    if (request.cache == Cache::off) return;
    const std::string obstacle = obstacle_to_products(request, plan.precision);
    const double bytes = bytes_of_products(request, plan.grid);
    const double needed = memory_with_products(request, plan.grid, plan.threads);
    if (request.cache == Cache::on) {
        CONVOY_VALIDATE(obstacle.empty(),
                        fmt::format("--cache on: no products can be kept ({}); use --cache auto", obstacle));
        if (needed > plan.memory_limit) {
            const int enough = ranks_that_fit(request, ranks, plan.memory_limit, plan.threads, true);
            throw InputError{fmt::format(
                "--cache on: the problem and its products need {} on each of {} (allowed are {}); {}use --cache auto, "
                "or "
                "raise --memory",
                in_bytes(needed), ranks == 1 ? "1 rank" : fmt::format("{} ranks", ranks), in_bytes(plan.memory_limit),
                enough > 0 ? fmt::format("with this much a rank, {} ranks are enough; ", enough) : "")};
        }
    }
    if (!obstacle.empty() || needed > plan.memory_limit) return;
    plan.keep_products = request.cache == Cache::on || products_pay(request.dimension, cores);
    if (!plan.keep_products) return;
    plan.products = bytes;
    plan.memory = needed;
}

const char* instruction_set_of(const PlanRequest& request) {
    return request.backend == Backend::reference ? "none" : cpu_instruction_set();
}

// The grid, and what the cost model says of the best other shapes.
std::string grid_in_words(const Plan& plan, const PlanRequest& request, int ranks) {
    constexpr std::size_t shown = 4;
    if (ranks == 1) return "1 rank";
    std::string others;
    for (std::size_t k = 0; k < std::min(shown, plan.candidates.size()); ++k) {
        const GridChoice& choice = plan.candidates[k];
        others += fmt::format("{}{} {}{}", k == 0 ? "" : ", ", choice.shape.name(),
                              in_bytes(choice.communication_bytes), choice.fits ? "" : " (too large)");
    }
    return fmt::format("grid {} of {} ranks ({}; sent by a rank in each iteration: {})", plan.grid.name(), ranks,
                       request.grid ? "as asked" : "least communication", others);
}

std::string products_in_words(const Plan& plan, const PlanRequest& request) {
    if (plan.keep_products) return fmt::format(", products kept ({})", in_bytes(plan.products));
    return request.cost.uses_products() ? ", products recomputed" : "";
}

}  // namespace

std::string in_bytes(double bytes) {
    const char* const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    int unit = 0;
    while (bytes >= 1024 && unit < 4) bytes /= 1024, ++unit;
    return fmt::format("{:.{}f} {}", bytes, bytes < 10 && unit > 0 ? 1 : 0, units[unit]);
}

int threads_from_environment() {
    const char* text = std::getenv("OMP_NUM_THREADS");
    return text == nullptr ? 0 : std::max(std::atoi(text), 0);
}

namespace {

// Both clouds as they were read, and as they are transformed; for exact components also covariances, on rank 0.
double memory_of_transforming(const PlanRequest& request, GridShape shape) {
    const double d = static_cast<double>(request.read_dimension), k = static_cast<double>(request.dimension);
    const double rows = largest_part(request.rows, shape.rows) + largest_part(request.columns, shape.columns);
    const double covariances = k == d ? 0 : 8 * d * std::min(5 * d, 10000.0);
    return 48e6 + 8 * rows * (d + k) + covariances;
}

// Without the products themselves. What passes lies beside the rest one after the other: stripes while a part is read,
// samples and their products, a cloud on its move.
double memory_beside_products(const PlanRequest& request, GridShape shape, int threads, bool keep_products) {
    const double n = largest_part(request.rows, shape.rows), m = largest_part(request.columns, shape.columns);
    const double d = static_cast<double>(request.dimension);
    const double point = d * (8 + (request.backend == Backend::cpu ? bytes_of_precision(request) : 0));
    const double fixed = 48e6 + threads * (2e6 + d * 1024);  // program, libraries, tiles
    const HeldMore& more = request.more;
    const double held = 8 * (d * (n * more.sources + m * more.targets) + m * more.numbers_of_target);
    const double reading = 8 * d * std::max(n / shape.columns, m / shape.rows);
    const double samples = memory_of_samples(request, n, m) + (keep_products ? products_of_samples(request, shape) : 0);
    const double moving = 8 * d * (n * more.moving_sources + m * more.moving_targets);
    const double solving = (n + m) * (point + 8 * vectors_of_a_side) + n * 8 * anderson_vectors + fixed + held +
                           std::max({reading, samples, moving}) + memory_of_selves(request, shape);
    return request.read_dimension == 0 ? solving : std::max(solving, memory_of_transforming(request, shape));
}

}  // namespace

double memory_of_rank(const PlanRequest& request, GridShape shape, int threads) {
    return memory_beside_products(request, shape, threads, false);
}

double bytes_of_products(const PlanRequest& request, GridShape shape) {
    const auto bytes = [&](std::int64_t rows, std::int64_t columns) {
        constexpr double panel = 32;  // rows are kept in whole ones
        return 4 * std::ceil(largest_part(rows, shape.rows) / panel) * panel * largest_part(columns, shape.columns);
    };
    const double problem = bytes(request.rows, request.columns);
    if (!request.more.self_problems) return problem;
    // One after the other: the largest of the three counts.
    return std::max({problem, bytes(request.rows, request.rows), bytes(request.columns, request.columns)});
}

bool products_pay(std::int64_t dimension, int cores) {
    // Of one core: multiply-adds, exponentials (bench/cpu-rates.md). Of a node: what a socket's first core can read,
    // and what each further one adds; a rough figure for the machines of these years.
    constexpr double flops = 1e11, exponentials = 5e9, first_core = 20e9, each_core = 3e9;
    constexpr double passes = 20;                // of a usual run
    constexpr double gain = 1.25;                // that is worth the memory
    constexpr std::int64_t few_dimensions = 16;  // below, points are kept in registers and cost little
    const double products = 2 * static_cast<double>(dimension) / flops;
    const double reading = std::max(1 / exponentials, 4 * cores / (first_core + each_core * cores));
    return dimension >= few_dimensions && passes * (products + 1 / exponentials) > gain * (products + passes * reading);
}

std::vector<GridChoice> grid_choices(const PlanRequest& request, int ranks, double memory_limit, int threads) {
    std::vector<GridChoice> choices;
    for (int rows = 1; rows <= ranks; ++rows) {
        if (ranks % rows != 0) continue;
        GridChoice choice;
        choice.shape = {rows, ranks / rows};
        choice.memory = memory_of_rank(request, choice.shape, threads);
        choice.fits = choice.memory <= memory_limit;
        add_allreduce(choice, largest_part(request.rows, choice.shape.rows), choice.shape.columns);
        add_allreduce(choice, largest_part(request.columns, choice.shape.columns), choice.shape.rows);
        if (request.more.self_problems) {  // sums over the columns, then the potential in their distribution
            for (const std::int64_t points : {request.rows, request.columns}) {
                add_allreduce(choice, largest_part(points, choice.shape.rows), choice.shape.columns);
                add_allreduce(choice, largest_part(points, choice.shape.columns), choice.shape.rows);
            }
        }
        choices.push_back(choice);
    }
    const auto stretch = [&](const GridChoice& c) {
        const double n = largest_part(request.rows, c.shape.rows), m = largest_part(request.columns, c.shape.columns);
        return std::max(n, m) / std::max(std::min(n, m), 1.0);
    };
    std::stable_sort(choices.begin(), choices.end(), [&](const GridChoice& a, const GridChoice& b) {
        if (a.fits != b.fits) return a.fits;
        if (!a.fits && a.memory != b.memory) return a.memory < b.memory;
        if (a.communication_seconds != b.communication_seconds)
            return a.communication_seconds < b.communication_seconds;
        return stretch(a) < stretch(b);
    });
    return choices;
}

Plan resolve_plan(const Communicator& world, const PlanRequest& request) {
    const NodeShare node = share_of_node(world);
    Plan plan;
    agree(world, [&] {
        plan.precision =
            request.backend == Backend::reference ? Precision::fp64 : request.precision.value_or(Precision::single);
        plan.backend = request.backend;
        plan.instruction_set = instruction_set_of(request);
        const double pairs = static_cast<double>(request.rows) * static_cast<double>(request.columns);
        plan.acceleration =
            request.acceleration.value_or(pairs >= small_problem ? Acceleration::coarse : Acceleration::anderson);
        const int given = request.threads.value_or(threads_from_environment());
        plan.threads = request.backend == Backend::reference ? 1 : given > 0 ? given : node.cores;
        plan.memory_limit = request.memory.value_or(default_memory_share * node.memory);
        plan.candidates = grid_choices(request, world.size(), plan.memory_limit, plan.threads);
        GridChoice chosen = plan.candidates.front();
        if (request.grid) {
            const auto same = std::find_if(plan.candidates.begin(), plan.candidates.end(),
                                           [&](const GridChoice& c) { return c.shape == *request.grid; });
            CONVOY_VALIDATE(
                same != plan.candidates.end(),
                fmt::format("--grid {} does not match the run ({} {} running); rows times columns must be "
                            "the number of ranks",
                            request.grid->name(), world.size(), world.size() == 1 ? "rank is" : "ranks are"));
            chosen = *same;
        }
        if (!chosen.fits) {
            const int enough = ranks_that_fit(request, world.size(), plan.memory_limit, plan.threads);
            const std::string remedy = request.grid && plan.candidates.front().fits
                                           ? fmt::format("--grid {} fits", plan.candidates.front().shape.name())
                                       : enough > 0 ? fmt::format("with this much a rank, {} ranks are enough", enough)
                                                    : "give each rank more memory";
            throw InputError{fmt::format("the problem needs {} on each of {} (allowed are {}); {}, or raise --memory",
                                         in_bytes(chosen.memory),
                                         world.size() == 1 ? "1 rank" : fmt::format("{} ranks", world.size()),
                                         in_bytes(plan.memory_limit), remedy)};
        }
        plan.grid = chosen.shape;
        plan.memory = chosen.memory;
        decide_cache(plan, request, world.size(), this_node().ranks * plan.threads);
    });
    // Counts are the same everywhere, but environments need not be: rank 0's plan is everybody's.
    world.broadcast(plan.threads);
    world.broadcast(plan.grid.rows);
    world.broadcast(plan.grid.columns);
    world.broadcast(plan.memory_limit);
    world.broadcast(plan.memory);
    world.broadcast(std::span{&plan.keep_products, 1});
    world.broadcast(plan.products);
    world.broadcast(plan.instruction_set);

    plan.explain = fmt::format(
        "plan: {}, {} thread{} a rank, {} precision, {}{}; start {}{}, {}; about {} a rank (limit {})",
        grid_in_words(plan, request, world.size()), plan.threads, plan.threads == 1 ? "" : "s",
        plan.precision == Precision::single ? "single" : "double",
        plan.backend == Backend::reference ? "reference backend" : "cpu backend with " + plan.instruction_set,
        products_in_words(plan, request), request.start, request.annealing ? " with annealing" : "",
        name_of(plan.acceleration), in_bytes(plan.memory), in_bytes(plan.memory_limit));
    plan.attributes = {{"grid", plan.grid.name()},
                       {"ranks", std::int64_t{world.size()}},
                       {"threads_per_rank", std::int64_t{plan.threads}},
                       {"precision", std::string{plan.precision == Precision::single ? "single" : "double"}},
                       {"backend", std::string{plan.backend == Backend::reference ? "reference" : "cpu"}},
                       {"instruction_set", plan.instruction_set},
                       {"cache", std::string{plan.keep_products ? "on" : "off"}},
                       {"cache_bytes_per_rank", plan.products},
                       {"tiles", cpu_tiling()},
                       {"start", request.start},
                       {"annealing", std::string{request.annealing ? "on" : "off"}},
                       {"acceleration", name_of(plan.acceleration)},
                       {"memory_per_rank_estimate", plan.memory},
                       {"memory_per_rank_limit", plan.memory_limit}};
    return plan;
}

}  // namespace convoy
