// Seeded draws from the plan.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "convoy/error.hpp"
#include "convoy/plan_questions.hpp"
#include "solvers/portions.hpp"

namespace convoy {

namespace {

constexpr std::int64_t slots_at_once = std::int64_t{1} << 22;

// A point without partners has potentials that no draw comes from.
void expect_draws(const SolvedPlan& plan, const Picks& picks) {
    agree(plan.coupling.grid().world(), [&] {
        for (const std::int64_t index : picks.index)
            if (index < 0)
                throw Failure{"a row of the plan has no entry to draw from; solve again with a larger epsilon"};
    });
}

// How many of `count` draws fall on each point of this rank's part of the source. Masses are whole numbers here, so
// that their sums are exact and the same in any order: about 2^62 in all.
std::vector<std::int64_t> draws_of_sources(const Coupling& coupling, std::int64_t count, std::uint64_t seed) {
    const Grid& grid = coupling.grid();
    std::vector<std::int64_t> upto{0};
    for (const double a : coupling.local(Side::row).weights)
        upto.push_back(upto.back() + (a > 0 ? std::max<std::int64_t>(std::llround(std::ldexp(a, 62)), 1) : 0));

    const auto part = static_cast<std::size_t>(grid.part(Side::row).value);
    std::vector<std::int64_t> of_parts(static_cast<std::size_t>(grid.parts(Side::row)), 0);
    of_parts[part] = upto.back();
    grid.holders(Side::row).sum(of_parts);
    std::int64_t before = 0, total = 0;
    for (std::size_t p = 0; p < of_parts.size(); ++p) {
        if (p < part) before += of_parts[p];
        total += of_parts[p];
    }

    std::vector<std::int64_t> draws(upto.size() - 1, 0);
    std::mt19937_64 random{seed};
    for (std::int64_t k = 0; k < count; ++k) {
        const double uniform = static_cast<double>(random() >> 11) * 0x1p-53;
        const auto at = std::min(static_cast<std::int64_t>(uniform * static_cast<double>(total)), total - 1) - before;
        if (at < 0 || at >= upto.back()) continue;
        const auto point = std::ranges::upper_bound(upto, at) - upto.begin() - 1;
        ++draws[static_cast<std::size_t>(point)];
    }
    return draws;
}

}  // namespace

std::vector<std::int64_t> sample_rows(const SolvedPlan& plan, Side stays, std::int64_t count, std::uint64_t seed) {
    CONVOY_EXPECT(count >= 1);
    std::vector<std::int64_t> samples;
    in_portions(plan, stays, slots_at_once / count, [&](LocalRun run) {
        const Picks picks =
            plan.coupling.pick(stays, run, plan.potentials(), plan.epsilon, {PickRule::Kind::sample, count, seed});
        expect_draws(plan, picks);
        samples.insert(samples.end(), picks.index.begin(), picks.index.end());
    });
    return samples;
}

SampledPairs sample_pairs(const SolvedPlan& plan, std::int64_t count, std::uint64_t seed) {
    const Coupling& coupling = plan.coupling;
    const std::vector<std::int64_t> draws = draws_of_sources(coupling, count, seed);
    const std::int64_t first = coupling.cloud(Side::row).partition.first(coupling.grid().part(Side::row)).value;
    // Each draw of a row is another draw of its own: a row's first few are as good as any. The seed of the rows' draws
    // is another one than that of sample_rows(), so that both are independent.
    const std::uint64_t seed_of_rows = std::mt19937_64{seed ^ 0x9e3779b97f4a7c15u}();
    std::int64_t most = 1;
    for (const std::int64_t n : draws) most = std::max(most, n);
    std::vector<double> largest{static_cast<double>(most)};
    coupling.grid().world().max(largest);

    SampledPairs pairs;
    const auto rows = slots_at_once / static_cast<std::int64_t>(largest[0]);
    in_portions(plan, Side::row, rows, [&](LocalRun run) {
        std::int64_t slots = 1;
        for (std::int64_t i = 0; i < run.count; ++i)
            slots = std::max(slots, draws[static_cast<std::size_t>(run.first.value + i)]);
        const Picks picks = plan.coupling.pick(Side::row, run, plan.potentials(), plan.epsilon,
                                               {PickRule::Kind::sample, slots, seed_of_rows});
        expect_draws(plan, picks);
        for (std::int64_t i = 0; i < run.count; ++i) {
            const std::int64_t source = run.first.value + i;
            for (std::int64_t k = 0; k < draws[static_cast<std::size_t>(source)]; ++k) {
                pairs.source.push_back(first + source);
                pairs.target.push_back(picks.index[static_cast<std::size_t>(i * slots + k)]);
            }
        }
    });
    return pairs;
}

std::vector<double> target_points(const SolvedPlan& plan, const SampledPairs& pairs) {
    const Grid& grid = plan.coupling.grid();
    const DistributedCloud& target = plan.coupling.cloud(Side::column);
    const GlobalRun here = target.partition.run(grid.part(Side::column));
    const auto d = static_cast<std::size_t>(target.local.dimension);
    std::vector<double> points(pairs.target.size() * d, 0.0);
    for (std::size_t k = 0; k < pairs.target.size(); ++k) {
        const std::int64_t at = pairs.target[k] - here.first.value;
        if (at >= 0 && at < here.count) std::ranges::copy(target.local.point(at), points.data() + k * d);
    }
    grid.sharers(Side::row).sum(points);  // one of them has it, the others nothing
    return points;
}

}  // namespace convoy
