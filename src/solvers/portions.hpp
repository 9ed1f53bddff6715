#pragma once
// A pass in portions, so that what a portion needs beside its answer stays small and a run can be ended between two.

#include <functional>

#include "convoy/plan_questions.hpp"

namespace convoy {

// Calls use(run) for consecutive runs of this rank's part of `stays`, and plan.between() after each: as often on all
// ranks, with runs that may be empty, of about so many rows at most. Collective.
void in_portions(const SolvedPlan& plan, Side stays, std::int64_t rows, const std::function<void(LocalRun)>& use);

}  // namespace convoy
