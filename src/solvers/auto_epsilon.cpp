#include "convoy/auto_epsilon.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>

#include "convoy/error.hpp"
#include "convoy/map.hpp"
#include "convoy/progot.hpp"
#include "convoy/self_problem.hpp"
#include "parallel/redistributed.hpp"

namespace convoy {

namespace {

constexpr std::int64_t one_in = 5;  // is held out

// Which points of so many are held out: one of each stretch of five, the same on every grid.
std::vector<std::int64_t> held_out_points(std::int64_t points, std::uint64_t seed) {
    CONVOY_VALIDATE(points >= 2, "the target has one point: none can be held out; give --held-out, or epsilons");
    const Partition stretches = Partition::even(points, std::max<std::int64_t>(points / one_in, 1));
    std::mt19937_64 random{seed};
    std::vector<std::int64_t> chosen;
    for (std::int64_t k = 0; k < stretches.parts(); ++k) {
        const GlobalRun stretch = stretches.run(PartIndex{k});
        chosen.push_back(stretch.first.value +
                         static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(stretch.count)));
    }
    return chosen;
}

struct Split {
    DistributedCloud kept, held;  // both in the target's distribution
};

// The weights of either part add up to 1. Every rank knows everybody's counts.
Split split_target(const Coupling& coupling, std::uint64_t seed) {
    const Grid& grid = coupling.grid();
    const DistributedCloud& target = coupling.cloud(Side::column);
    const std::vector<std::int64_t> chosen = held_out_points(target.partition.items(), seed);
    std::vector<std::int64_t> kept_counts, held_counts;
    for (std::int64_t part = 0; part < target.partition.parts(); ++part) {
        const GlobalRun run = target.partition.run(PartIndex{part});
        const auto begin = std::ranges::lower_bound(chosen, run.first.value);
        const auto end = std::ranges::lower_bound(chosen, run.first.value + run.count);
        held_counts.push_back(end - begin);
        kept_counts.push_back(run.count - (end - begin));
    }
    Split split{{Partition::of_counts(kept_counts), {}}, {Partition::of_counts(held_counts), {}}};
    const GlobalRun mine = target.partition.run(grid.part(Side::column));
    std::array<double, 2> mass{0, 0};
    for (std::int64_t i = 0; i < mine.count; ++i) {
        const bool held = std::ranges::binary_search(chosen, mine.first.value + i);
        Cloud& to = held ? split.held.local : split.kept.local;
        const auto point = target.local.point(i);
        const double weight = target.local.weights[static_cast<std::size_t>(i)];
        to.points.insert(to.points.end(), point.begin(), point.end());
        to.weights.push_back(weight);
        mass[held ? 1 : 0] += weight;
        ++to.rows;
    }
    coupling.sum_over_parts(Side::column, mass);
    CONVOY_VALIDATE(mass[0] > 0 && mass[1] > 0,
                    "the held-out points, or all others, have no mass; give --held-out, or another --seed");
    for (Cloud* cloud : {&split.kept.local, &split.held.local}) {
        cloud->dimension = coupling.dimension();
        for (double& weight : cloud->weights) weight /= mass[cloud == &split.held.local ? 1 : 0];
    }
    return split;
}

// Root mean square of z - T(z), under the held-out weights.
double identity_error(Coupling& unseen, std::span<const double> g, double epsilon) {
    const std::vector<double> mapped = entropic_map(unseen, Side::row, g, epsilon);
    const Cloud& held = unseen.local(Side::row);
    std::vector<double> square(static_cast<std::size_t>(held.rows), 0.0);
    for (std::int64_t i = 0; i < held.rows; ++i) {
        for (std::int64_t k = 0; k < held.dimension; ++k) {
            const auto at = static_cast<std::size_t>(i * held.dimension + k);
            square[static_cast<std::size_t>(i)] += (held.points[at] - mapped[at]) * (held.points[at] - mapped[at]);
        }
    }
    return std::sqrt(unseen.mean(Side::row, square));
}

}  // namespace

AutoEpsilon choose_epsilons(const Coupling& coupling, const AutoEpsilonOptions& options,
                            std::optional<DistributedCloud> held_out) {
    CONVOY_VALIDATE(!options.scales.empty(), "no scales to choose from; give at least one");
    const auto asked_to_stop = [&] {
        double stop = options.stop && options.stop() ? 1 : 0;
        coupling.grid().world().max(std::span{&stop, 1});
        return stop > 0;
    };
    AutoEpsilon found;
    found.start = options.start_factor * options.rule.resolve(coupling);
    found.sigma = options.rule.resolve(self_coupling(coupling, Side::column));

    const bool all_kept = held_out.has_value();
    if (all_kept) CONVOY_VALIDATE(held_out->partition.items() > 0, "no point is held out; give some, or none");
    Split split;
    if (!all_kept) {
        split = split_target(coupling, options.seed);
        held_out = redistributed(coupling.grid(), Side::column, split.held);
    }
    found.held_out = held_out->partition.items();
    Coupling unseen = coupling.with(Side::row, std::move(*held_out));
    if (!all_kept) unseen = unseen.with(Side::column, std::move(split.kept));
    Coupling within = self_coupling(unseen, Side::column, options.keep_products);
    double smallest = std::numeric_limits<double>::infinity();
    for (const double scale : options.scales) {
        SelfOptions self;
        self.epsilon = scale * found.sigma;
        self.tolerance = options.tolerance;
        self.max_half_passes = options.max_half_passes;
        self.stop = options.stop;
        const SelfSolution solution = solve_self(within, self);
        found.half_passes += solution.half_passes;
        found.converged.push_back(solution.status == Status::converged);
        found.errors.push_back(identity_error(unseen, solution.g, self.epsilon));
        if (found.errors.back() < smallest) {  // never a nan, which a failed self problem leaves
            smallest = found.errors.back();
            found.scale = scale;
        }
        if (asked_to_stop()) break;
    }
    if (found.scale == 0)
        throw Failure{"no scale gives a map of the target onto itself; use --precision double, or give --epsilon"};
    found.end = found.scale * found.sigma;
    return found;
}

std::vector<double> epsilons_between(double start, double end, const std::vector<double>& alphas) {
    std::vector<double> epsilons;
    double before = 0;  // t_{k-1}
    for (const double share : travelled(alphas)) {
        epsilons.push_back((1 - before) * start + before * end);
        before = share;
    }
    return epsilons;
}

}  // namespace convoy
