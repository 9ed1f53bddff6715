#pragma once
// A pass in portions, so that what a portion needs beside its answer stays small and a run can be ended between two.

#include <functional>

#include "convoy/plan_questions.hpp"

namespace convoy {

// Picks of a portion, 16 bytes each.
inline constexpr std::int64_t slots_at_once = std::int64_t{1} << 22;
// Of a row; more are drawn in rounds.
inline constexpr std::int64_t most_draws_at_once = std::int64_t{1} << 14;

// Bytes that picks of `count` entries of each row take while they are found, beside the answer: of a rank among
// `ranks`, and of each of its threads. Pure arithmetic.
struct PickMemory {
    double rank = 0, thread = 0;
};
PickMemory memory_of_picks(std::int64_t rows, std::int64_t columns, std::int64_t count, int ranks);

// Calls use(run) for consecutive runs of this rank's part of `stays`, and plan.between() after each: as often on all
// ranks, with runs that may be empty, of about so many rows at most. Collective.
void in_portions(const SolvedPlan& plan, Side stays, std::int64_t rows, const std::function<void(LocalRun)>& use);

// The verbs of a plan, out of its journal where that has them, else computed and put down there. Collective.
std::vector<double> log_sums(const SolvedPlan& plan, Side stays);
// \param scores whether anybody looks at them; else there may be none
Picks pick(const SolvedPlan& plan, Side stays, LocalRun run, const PickRule& rule, bool scores);
std::vector<double> averages(const SolvedPlan& plan, Side stays, LocalRun run, const Weighting& weighting);

}  // namespace convoy
