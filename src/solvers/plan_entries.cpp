// Entries of the plan: the largest of each row.

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "convoy/error.hpp"
#include "convoy/plan_questions.hpp"
#include "solvers/portions.hpp"

namespace convoy {

std::vector<double> log_masses(const SolvedPlan& plan, Side stays) {
    return log_sums(plan, stays);
}

Matches best_matches(const SolvedPlan& plan, Side stays, std::span<const double> log_mass) {
    Matches matches;
    in_portions(plan, stays, slots_at_once, [&](LocalRun run) {
        const Picks picks = pick(plan, stays, run, {PickRule::Kind::top, 1}, true);
        for (std::int64_t i = 0; i < run.count; ++i) {
            const auto at = static_cast<std::size_t>(i);
            const double log_s = log_mass[at + static_cast<std::size_t>(run.first.value)];
            matches.index.push_back(picks.index[at]);
            // The sum is rounded elsewhere than the entry: a whole row in one entry may come out a hair above 1.
            matches.probability.push_back(std::min(std::exp(picks.score[at] - log_s), 1.0));
        }
    });
    return matches;
}

SparseRows largest_entries(const SolvedPlan& plan, Side stays, const EntriesRule& rule,
                           std::span<const double> log_mass) {
    const Coupling& coupling = plan.coupling;
    const std::int64_t count = std::min(rule.count, coupling.points(other(stays)));
    CONVOY_EXPECT(count >= 1 && rule.mass > 0 && rule.mass <= 1);
    SparseRows rows;
    rows.index.reserve(static_cast<std::size_t>(coupling.local(stays).rows * count));
    rows.value.reserve(rows.index.capacity());
    std::vector<std::pair<std::int64_t, double>> entries;
    const auto add_row = [&](const Picks& picks, std::int64_t i, double own_mass, double log_s) {
        double held = 0;
        entries.clear();
        for (std::int64_t k = i * count; k < (i + 1) * count && (rule.mass == 1 || held < rule.mass); ++k) {
            const auto at = static_cast<std::size_t>(k);
            if (picks.index[at] < 0) break;
            held += std::exp(picks.score[at] - log_s);
            const double value = own_mass * std::exp(picks.score[at]);
            if (value > 0) entries.emplace_back(picks.index[at], value);
        }
        std::ranges::sort(entries);
        for (const auto& [index, value] : entries) {
            rows.index.push_back(index);
            rows.value.push_back(value);
        }
        rows.begin.push_back(std::ssize(rows.index));
        rows.share.push_back(std::min(held, 1.0));
    };
    in_portions(plan, stays, slots_at_once / count, [&](LocalRun run) {
        const Picks picks = pick(plan, stays, run, {PickRule::Kind::top, count}, true);
        for (std::int64_t i = 0; i < run.count; ++i) {
            const auto at = static_cast<std::size_t>(run.first.value + i);
            add_row(picks, i, coupling.local(stays).weights[at], log_mass[at]);
        }
    });
    return rows;
}

std::vector<double> log_diagonal(const SolvedPlan& plan) {
    const Coupling& coupling = plan.coupling;
    CONVOY_EXPECT(coupling.points(Side::row) == coupling.points(Side::column));
    // Partners meet in the distribution of the sources.
    const Grid& grid = coupling.grid();
    const DistributedCloud& source = coupling.cloud(Side::row);
    const Partition& columns = coupling.cloud(Side::column).partition;
    const Cloud& target = coupling.local(Side::column);
    const auto bring = [&](std::span<const double> numbers, std::int64_t width) {
        return redistribute(grid, Side::column, columns, source.partition, width, numbers);
    };
    const std::vector<double> y = bring(target.points, target.dimension), b = bring(target.weights, 1),
                              g = bring(plan.g, 1);
    std::vector<double> values;
    const auto d = static_cast<std::size_t>(source.local.dimension);
    for (std::size_t i = 0; i < b.size(); ++i) {
        const double cost =
            coupling.cost()(source.local.point(static_cast<std::int64_t>(i)), std::span{y}.subspan(i * d, d));
        values.push_back(b[i] > 0 ? std::log(b[i]) + (plan.f[i] + g[i] - cost) / plan.epsilon
                                  : -std::numeric_limits<double>::infinity());
    }
    return values;
}

}  // namespace convoy
