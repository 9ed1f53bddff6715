// Seeded draws from the plan.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <span>

#include "convoy/error.hpp"
#include "convoy/plan_questions.hpp"
#include "solvers/portions.hpp"

namespace convoy {

namespace {

std::size_t at(std::int64_t index) {
    return static_cast<std::size_t>(index);
}

// Many draws of a row are drawn in rounds, each as if by a seed of its own.
std::uint64_t seed_of_round(std::uint64_t seed, std::int64_t round) {
    return round == 0 ? seed : std::mt19937_64{seed ^ (0xbf58476d1ce4e5b9u * static_cast<std::uint64_t>(round))}();
}

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
        const auto mass = std::min(static_cast<std::int64_t>(uniform * static_cast<double>(total)), total - 1) - before;
        if (mass < 0 || mass >= upto.back()) continue;
        const auto point = std::ranges::upper_bound(upto, mass) - upto.begin() - 1;
        ++draws[static_cast<std::size_t>(point)];
    }
    return draws;
}

}  // namespace

std::vector<std::int64_t> sample_rows(const SolvedPlan& plan, Side stays, std::int64_t count, std::uint64_t seed) {
    CONVOY_EXPECT(count >= 1);
    const std::int64_t rows = plan.coupling.local(stays).rows;
    std::vector<std::int64_t> samples(static_cast<std::size_t>(rows * count));
    in_portions(plan, stays, slots_at_once / std::min(count, most_draws_at_once), [&](LocalRun run) {
        for (std::int64_t done = 0; done < count; done += most_draws_at_once) {
            const std::int64_t slots = std::min(count - done, most_draws_at_once);
            const Picks picks =
                pick(plan, stays, run, {PickRule::Kind::sample, slots, seed_of_round(seed, done / most_draws_at_once)},
                     false);
            expect_draws(plan, picks);
            for (std::int64_t i = 0; i < run.count; ++i)
                std::copy_n(picks.index.begin() + i * slots, slots,
                            samples.begin() + (run.first.value + i) * count + done);
        }
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
    const auto largest_of_all = [&](LocalRun run) {
        std::vector<double> largest{1};
        for (const std::int64_t n : std::span{draws}.subspan(at(run.first.value), at(run.count)))
            largest[0] = std::max(largest[0], static_cast<double>(n));
        coupling.grid().world().max(largest);
        return static_cast<std::int64_t>(largest[0]);
    };

    SampledPairs pairs;
    std::vector<std::int64_t> begin{0};  // where the pairs of each row are
    for (const std::int64_t n : draws) begin.push_back(begin.back() + n);
    pairs.source.resize(at(begin.back()));
    pairs.target.resize(at(begin.back()));
    const std::int64_t most = largest_of_all({LocalIndex{0}, std::ssize(draws)});
    in_portions(plan, Side::row, slots_at_once / std::min(most, most_draws_at_once), [&](LocalRun run) {
        const std::int64_t most_here = largest_of_all(run);
        for (std::int64_t done = 0; done < most_here; done += most_draws_at_once) {
            // After the first round few rows are left.
            while (run.count > 0 && draws[at(run.first.value + run.count - 1)] <= done) --run.count;
            while (run.count > 0 && draws[at(run.first.value)] <= done) {
                ++run.first.value;
                --run.count;
            }
            std::int64_t slots = 1;
            for (std::int64_t i = run.first.value; i < run.first.value + run.count; ++i)
                slots = std::max(slots, std::min(draws[at(i)] - done, most_draws_at_once));
            const Picks picks =
                pick(plan, Side::row, run,
                     {PickRule::Kind::sample, slots, seed_of_round(seed_of_rows, done / most_draws_at_once)}, false);
            expect_draws(plan, picks);
            for (std::int64_t k = 0; k < run.count; ++k) {
                const std::int64_t i = run.first.value + k;
                const std::int64_t drawn = std::clamp<std::int64_t>(draws[at(i)] - done, 0, slots);
                std::fill_n(pairs.source.begin() + begin[at(i)] + done, drawn, first + i);
                std::copy_n(picks.index.begin() + k * slots, drawn, pairs.target.begin() + begin[at(i)] + done);
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
