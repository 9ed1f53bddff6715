#include "solvers/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "convoy/error.hpp"
#include "convoy/partition.hpp"
#include "convoy/start.hpp"
#include "parallel/backend.hpp"
#include "parallel/node.hpp"
#include "solvers/coarse.hpp"
#include "solvers/device_plan.hpp"

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
    const double rounded = rounds_points(request.backend) ? d * bytes_of_precision(request) : 0;
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

// Whether products fit, and how: beside the points on a device where that can be, else beside streamed ones.
DeviceFit fit_with_products(const PlanRequest& request, GridShape shape, int threads, double memory_limit) {
    if (request.backend == Backend::cuda)
        return fit_on_device(device_stages(request, shape, true), request.devices.memory);
    const double needed = memory_with_products(request, shape, threads);
    return {needed <= memory_limit, false, needed};
}

int ranks_that_fit(const PlanRequest& request, int ranks, double limit, int threads, bool with_products = false) {
    for (int more = ranks + 1; more <= 1 << 20; more = more < 64 ? more + 1 : more * 2) {
        const GridChoice best = grid_choices(request, more, limit, threads).front();
        if (!best.fits) continue;
        if (!with_products || fit_with_products(request, best.shape, threads, limit).fits) return more;
    }
    return 0;
}

// Why this run cannot keep products; empty: it can.
std::string obstacle_to_products(const PlanRequest& request, Precision precision) {
    if (request.backend == Backend::reference) return "the reference backend keeps nothing";
    if (!request.cost.uses_products()) return fmt::format("the cost {} has none", request.cost.name());
    if (precision != Precision::single) return "they are kept in single precision only";
    return {};
}

std::string ranks_in_words(int ranks) {
    return ranks == 1 ? "1 rank" : fmt::format("{} ranks", ranks);
}

[[noreturn]] void refuse_products(const Plan& plan, const PlanRequest& request, int ranks, double needed) {
    const int enough = ranks_that_fit(request, ranks, plan.memory_limit, plan.threads, true);
    if (plan.backend == Backend::cuda)
        throw InputError{too_large_for_devices("--cache on: the problem and its products need", needed, ranks,
                                               request.devices, enough) +
                         ", or use --cache auto"};
    throw InputError{
        fmt::format("--cache on: the problem and its products need {} on each of {} (allowed are {}); {}use --cache "
                    "auto, or raise --memory",
                    in_bytes(needed), ranks_in_words(ranks), in_bytes(plan.memory_limit),
                    enough > 0 ? fmt::format("with this much a rank, {} ranks are enough; ", enough) : "")};
}

// Whether the products of points are kept, once the grid is chosen.
void decide_cache(Plan& plan, const PlanRequest& request, int ranks, int cores) {
    if (request.cache == Cache::off) return;
    const bool on = request.cache == Cache::on, cuda = plan.backend == Backend::cuda;
    const std::string obstacle = obstacle_to_products(request, plan.precision);
    CONVOY_VALIDATE(!on || obstacle.empty(),
                    fmt::format("--cache on: no products can be kept ({}); use --cache auto", obstacle));
    if (!obstacle.empty()) return;
    const DeviceFit fit = fit_with_products(request, plan.grid, plan.threads, plan.memory_limit);
    if (on && !fit.fits) refuse_products(plan, request, ranks, fit.memory);
    // Products that take the points' place on the device have to be asked for.
    if (!fit.fits || (!on && fit.stream_points)) return;
    plan.keep_products = on || (cuda ? cuda_products_pay(request.dimension) : products_pay(request.dimension, cores));
    if (!plan.keep_products) return;
    plan.products = bytes_of_products(request, plan.grid);
    plan.stream_points = fit.stream_points;
    (cuda ? plan.device_memory : plan.memory) = fit.memory;
}

// The chosen grid does not fit: how much is missing where, and what would do.
[[noreturn]] void refuse_size(const Plan& plan, const PlanRequest& request, int ranks, const GridChoice& chosen) {
    const int enough = ranks_that_fit(request, ranks, plan.memory_limit, plan.threads);
    const bool another = request.grid && plan.candidates.front().fits;
    if (chosen.memory <= plan.memory_limit) {
        const std::string words = too_large_for_devices("the problem needs", chosen.device_memory, ranks,
                                                        request.devices, another ? 0 : enough);
        throw InputError{
            another ? fmt::format("{}, or take --grid {}, which fits", words, plan.candidates.front().shape.name())
                    : words};
    }
    const std::string remedy = another      ? fmt::format("--grid {} fits", plan.candidates.front().shape.name())
                               : enough > 0 ? fmt::format("with this much a rank, {} ranks are enough", enough)
                                            : "give each rank more memory";
    throw InputError{fmt::format("the problem needs {} on each of {} (allowed are {}); {}, or raise --memory",
                                 in_bytes(chosen.memory), ranks_in_words(ranks), in_bytes(plan.memory_limit), remedy)};
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
    const double point = d * (8 + (rounds_points(request.backend) ? bytes_of_precision(request) : 0));
    const double driver = request.backend == Backend::cuda ? host_memory_of_cuda : 0;
    const double fixed = 48e6 + driver + threads * (2e6 + d * 1024);  // program, libraries, tiles
    const HeldMore& more = request.more;
    const double held = more.bytes + threads * more.bytes_of_thread +
                        8 * (d * (n * more.sources + m * more.targets) + m * more.numbers_of_target);
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
        if (request.backend == Backend::cuda) {
            CudaBlockSize size;
            size.rows = Partition::even(rows, shape.rows).largest();
            size.columns = Partition::even(columns, shape.columns).largest();
            return cuda_memory_of_products(size);
        }
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
        if (request.backend == Backend::cuda) {
            const DeviceFit fit = fit_on_device(device_stages(request, choice.shape, false), request.devices.memory);
            choice.device_memory = fit.memory;
            choice.fits = choice.fits && fit.fits;
        }
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
    const auto shortage = [&](const GridChoice& c) {  // the worse of the two, as a share of what there is
        const double on_device = c.device_memory > 0 ? c.device_memory / request.devices.memory : 0;
        return std::max(c.memory / memory_limit, on_device);
    };
    const auto stretch = [&](const GridChoice& c) {
        const double n = largest_part(request.rows, c.shape.rows), m = largest_part(request.columns, c.shape.columns);
        return std::max(n, m) / std::max(std::min(n, m), 1.0);
    };
    std::stable_sort(choices.begin(), choices.end(), [&](const GridChoice& a, const GridChoice& b) {
        if (a.fits != b.fits) return a.fits;
        if (!a.fits && shortage(a) != shortage(b)) return shortage(a) < shortage(b);
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
        plan.instruction_set = instruction_set_of(plan.backend, request.devices);
        plan.device_memory_limit = request.devices.memory;
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
        if (!chosen.fits) refuse_size(plan, request, world.size(), chosen);
        plan.grid = chosen.shape;
        plan.memory = chosen.memory;
        if (plan.backend == Backend::cuda) {
            const DeviceFit fit = fit_on_device(device_stages(request, plan.grid, false), request.devices.memory);
            plan.device_memory = fit.memory;
            plan.stream_points = fit.stream_points;
        }
        decide_cache(plan, request, world.size(), this_node().ranks * plan.threads);
    });
    // Counts are the same everywhere, but environments need not be: rank 0's plan is everybody's.
    world.broadcast(plan.threads);
    world.broadcast(plan.grid.rows);
    world.broadcast(plan.grid.columns);
    world.broadcast(plan.memory_limit);
    world.broadcast(plan.memory);
    world.broadcast(plan.device_memory);
    world.broadcast(std::span{&plan.stream_points, 1});
    world.broadcast(std::span{&plan.keep_products, 1});
    world.broadcast(plan.products);
    world.broadcast(plan.instruction_set);

    plan.explain = fmt::format(
        "plan: {}, {} thread{} a rank, {} precision, {}{}{}{}; about {} a rank (limit {}){}",
        grid_in_words(plan, request, world.size()), plan.threads, plan.threads == 1 ? "" : "s",
        plan.precision == Precision::single ? "single" : "double", backend_in_words(plan.backend, plan.instruction_set),
        device_in_words(plan.backend, plan.stream_points), products_in_words(plan, request),
        request.start.empty() ? ""
                              : fmt::format("; start {}{}, {}", request.start,
                                            request.annealing ? " with annealing" : "", name_of(plan.acceleration)),
        in_bytes(plan.memory), in_bytes(plan.memory_limit),
        device_memory_in_words(plan.backend, plan.device_memory, plan.device_memory_limit));
    plan.attributes = {{"grid", plan.grid.name()},
                       {"ranks", std::int64_t{world.size()}},
                       {"threads_per_rank", std::int64_t{plan.threads}},
                       {"precision", std::string{plan.precision == Precision::single ? "single" : "double"}},
                       {"backend", name_of(plan.backend)},
                       {"instruction_set", plan.instruction_set},
                       {"cache", std::string{plan.keep_products ? "on" : "off"}},
                       {"cache_bytes_per_rank", plan.products},
                       {"tiles", tiling_of(plan.backend)},
                       {"memory_per_rank_estimate", plan.memory},
                       {"memory_per_rank_limit", plan.memory_limit}};
    if (!request.start.empty()) {
        const auto at = plan.attributes.end() - 2;
        plan.attributes.insert(at, {{"start", request.start},
                                    {"annealing", std::string{request.annealing ? "on" : "off"}},
                                    {"acceleration", name_of(plan.acceleration)}});
    }
    for (auto& attribute : device_attributes(plan.backend, request.devices, plan.stream_points, plan.device_memory))
        plan.attributes.push_back(std::move(attribute));
    return plan;
}

}  // namespace convoy
