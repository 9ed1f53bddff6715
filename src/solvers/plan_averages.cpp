// Averages under the conditional plan: of columns, of groups, of log densities.

#include <algorithm>
#include <cmath>

#include "convoy/error.hpp"
#include "convoy/plan_questions.hpp"
#include "solvers/portions.hpp"

namespace convoy {

namespace {

// Of a row's mass, in single precision: what rounding costs anyway.
constexpr double most_dropped = 1e-7;
constexpr std::int64_t numbers_at_once = std::int64_t{1} << 23;

}  // namespace

std::vector<double> conditional_averages(const SolvedPlan& plan, Side stays, std::span<const double> columns,
                                         std::int64_t width) {
    const bool single = plan.coupling.precision() == Precision::single;
    const double share = single ? most_dropped / static_cast<double>(plan.coupling.points(other(stays))) : 0;
    const Weighting weighting = Weighting::of_columns(columns, width, share);
    std::vector<double> all;
    in_portions(plan, stays, numbers_at_once / std::max<std::int64_t>(width, 1), [&](LocalRun run) {
        const auto some = averages(plan, stays, run, weighting);
        all.insert(all.end(), some.begin(), some.end());
    });
    return all;
}

Transition transition(const SolvedPlan& plan, Side stays, const Groups& own, const Groups& others,
                      std::span<const double> log_mass) {
    Coupling& coupling = plan.coupling;
    const auto width = static_cast<std::size_t>(others.count), from = static_cast<std::size_t>(own.count);
    Transition result;
    result.joint.assign(from * width, 0.0);
    result.group.assign(static_cast<std::size_t>(coupling.local(stays).rows), 0);
    result.share.assign(result.group.size(), 0.0);
    for (std::size_t first = 0; first < width; first += groups_at_once) {
        const std::size_t some = std::min<std::size_t>(groups_at_once, width - first);
        std::vector<double> members(others.of.size() * some, 0.0);
        for (std::size_t j = 0; j < others.of.size(); ++j) {
            const auto group = static_cast<std::size_t>(others.of[j]);
            if (group >= first && group < first + some) members[j * some + group - first] = 1;
        }
        const Weighting weighting = Weighting::of_columns(members, static_cast<std::int64_t>(some));
        in_portions(plan, stays, numbers_at_once / static_cast<std::int64_t>(some), [&](LocalRun run) {
            const std::vector<double> shares = averages(plan, stays, run, weighting);
            for (std::int64_t k = 0; k < run.count; ++k) {
                const auto i = static_cast<std::size_t>(run.first.value + k);
                const double* const row = shares.data() + static_cast<std::size_t>(k) * some;
                const double* const best = std::max_element(row, row + some);
                if (*best > result.share[i]) {
                    result.share[i] = std::min(*best, 1.0);
                    result.group[i] = static_cast<std::int64_t>(first) + (best - row);
                }
                const double mass = coupling.local(stays).weights[i];
                if (mass == 0) continue;
                double* const into = result.joint.data() + static_cast<std::size_t>(own.of[i]) * width + first;
                for (std::size_t c = 0; c < some; ++c) into[c] += mass * std::exp(log_mass[i]) * row[c];
            }
        });
    }
    coupling.sum_over_parts(stays, result.joint);
    return result;
}

std::vector<double> conditional_entropy(const SolvedPlan& plan, Side stays, std::span<const double> log_mass) {
    Coupling& coupling = plan.coupling;
    // -sum_j p_ij log p_ij with log p_ij = log(P_ij/(a_i b_j)) + log b_j - log s_i.
    std::vector<double> log_b;
    for (const double b : coupling.local(other(stays)).weights) log_b.push_back(b > 0 ? std::log(b) : 0.0);
    const std::vector<double> of_masses = conditional_averages(plan, stays, log_b, 1);
    std::vector<double> entropy;
    in_portions(plan, stays, numbers_at_once, [&](LocalRun run) {
        const std::vector<double> values = averages(plan, stays, run, Weighting::of_values());
        for (std::int64_t k = 0; k < run.count; ++k) {
            const auto i = static_cast<std::size_t>(run.first.value + k);
            const double log_density = values[static_cast<std::size_t>(2 * k + 1)];
            entropy.push_back(std::max(log_mass[i] - log_density - of_masses[i], 0.0));
        }
    });
    return entropy;
}

}  // namespace convoy
