#pragma once
/// \file
/// What a solved plan says, without the plan: matches, largest entries, samples, averages, transitions, entropy. Each
/// is one pass over all pairs, which forms no more of the plan than what is asked for. All calls are collective;
/// answers are this rank's parts, the same on all ranks that share the part.

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "convoy/coupling.hpp"

namespace convoy {

/// What the passes of some questions have found so far, in the order in which they were made: plain values, this rank's
/// part. Whoever asks the same questions in the same order on the same grid with a journal that was kept gets what is
/// in it without computing it again, and goes on from there. Words of 64 bits, by the side that stays.
struct PassJournal {
    std::vector<std::int64_t> rows, columns;
    std::size_t rows_read = 0, columns_read = 0;  ///< so far: what follows is still to be asked for
    std::int64_t passes = 0;                      ///< portions of passes in it, or asked for
};

/// A coupling with its potentials (this rank's parts): P_ij = a_i b_j exp((f_i + g_j - C_ij)/epsilon).
struct SolvedPlan {
    Coupling& coupling;
    std::span<const double> f, g;
    double epsilon = 0;
    /// Called by all ranks between portions of a pass; it may throw, on all ranks alike.
    std::function<void()> between = [] {};
    PassJournal* journal = nullptr;  ///< kept if there is one

    Potentials potentials() const { return {f, g}; }
};

/// log s_i for each point of `stays`: its mass under the plan is s_i times its own, 1 where the marginal is exact.
std::vector<double> log_masses(const SolvedPlan& plan, Side stays);

/// For each point of `stays` the largest entry of its conditional plan: whose it is, the smaller index in a tie, and
/// P_ij / sum_j P_ij. Index -1 where the other side has no points with mass.
struct Matches {
    std::vector<std::int64_t> index;
    std::vector<double> probability;
};
Matches best_matches(const SolvedPlan& plan, Side stays, std::span<const double> log_mass);

/// Rows of the plan cut to their largest entries: the first `count` of them at most, and no more than are needed to
/// hold the share `mass` of the row.
struct EntriesRule {
    std::int64_t count = 1;
    double mass = 1;
};
/// Row i holds index[begin[i]] ... index[begin[i + 1]], ascending, and P_ij itself. Points without mass have no
/// entries.
struct SparseRows {
    std::vector<std::int64_t> begin{0}, index;
    std::vector<double> value;
    std::vector<double> share;  ///< of each row's mass that its entries hold
    std::int64_t rows() const { return std::ssize(begin) - 1; }
};
SparseRows largest_entries(const SolvedPlan& plan, Side stays, const EntriesRule& rule,
                           std::span<const double> log_mass);

/// `count` draws from the conditional plan of each point of `stays`, rows x count, with replacement. A function of the
/// problem and the seed: ranks, tiles and devices change nothing.
std::vector<std::int64_t> sample_rows(const SolvedPlan& plan, Side stays, std::int64_t count, std::uint64_t seed);

/// `count` independent pairs (i, j): i by its mass a_i, then j from row i of the plan. Those whose i is of this rank's
/// part, by ascending i. The same pairs on all grids.
struct SampledPairs {
    std::vector<std::int64_t> source, target;
};
SampledPairs sample_pairs(const SolvedPlan& plan, std::int64_t count, std::uint64_t seed);
/// y_j for the targets of these pairs, pairs x d.
std::vector<double> target_points(const SolvedPlan& plan, const SampledPairs& pairs);

/// Rows of numbers that the other side's points have (this rank's part, rows x width), averaged under the conditional
/// plan of each point of `stays`. In single precision, entries that hold less than 1e-7 of a row in all are left out.
std::vector<double> conditional_averages(const SolvedPlan& plan, Side stays, std::span<const double> columns,
                                         std::int64_t width);

/// A group of each point of this rank's part: 0 ... count - 1.
struct Groups {
    std::int64_t count = 0;
    std::vector<std::int32_t> of;
};
/// So many groups of the other side in a pass: a number for each of them and each of its points is held.
inline constexpr std::int64_t groups_at_once = 64;
/// Which group of the other side the conditional plan of each point of `stays` gives the most to (the first in a tie),
/// and that share; and what groups give to groups: sum of P_ij over i in one and j in the other, own.count x
/// others.count, on all ranks.
struct Transition {
    std::vector<std::int64_t> group;
    std::vector<double> share;
    std::vector<double> joint;
};
Transition transition(const SolvedPlan& plan, Side stays, const Groups& own, const Groups& others,
                      std::span<const double> log_mass);

/// Entropy of each point's conditional plan, -sum_j p_ij log p_ij in nats. 0: one partner; log m: anybody.
std::vector<double> conditional_entropy(const SolvedPlan& plan, Side stays, std::span<const double> log_mass);

/// log(P_ii / a_i) for each source point, -infinity where target i has no mass; needs as many sources as targets. The
/// trace of the plan is the mean of their exponentials under a.
std::vector<double> log_diagonal(const SolvedPlan& plan);

}  // namespace convoy
