#pragma once
// The verb pick on the CPU: the reference's picks and scores, found at the kernels' speed.
//
//     tiles       of logits in the block's precision, each with a bound added, against what a row has reached
//     candidates  the few entries that pass, kept with their bounds            (pick_bounds.hpp, pick_rows.hpp)
//     scores      of those that may be picked, in fp64 from the points as given
//
// What is picked does not depend on how a call is cut: exact scores are compared, and of equal ones the smaller index
// is taken. So it is the same on any number of threads.

#include "kernels/cpu/call.hpp"

namespace convoy::cpu {

// reference: of the same problem; it looks at the rows that no bounds hold for (nan, numbers out of range).
template <class T>
void pick(const BlockPoints<T>& points, const BlockProblem& problem, const Block& reference, Side stays, LocalRun range,
          const Potentials& potentials, double epsilon, const PickRule& rule, Picks& out);

}  // namespace convoy::cpu
