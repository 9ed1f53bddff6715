#include "solvers/portions.hpp"

#include <algorithm>

namespace convoy {

PickMemory memory_of_picks(std::int64_t rows, std::int64_t columns, std::int64_t count, int ranks) {
    constexpr double pick = 16, candidates = 56;                     // bytes, of one that is found and kept in a row
    const auto task = static_cast<double>(count > 1024 ? 32 : 128);  // rows that a thread has at a time
    constexpr std::int64_t long_row = 16384;                         // is shared out, four pieces a thread
    const double n = static_cast<double>(rows), k = static_cast<double>(count);
    const double slots = std::min(n * k, std::max(static_cast<double>(slots_at_once), k));
    const double gathered = ranks > 1 ? std::min(slots * ranks, std::max(0x1p20, k * ranks)) : 0;
    // All of a portion, its part in hand, and the best of the pieces of rows; others' picks as sent, received and
    // sorted.
    return {3 * pick * slots + 3 * pick * gathered,
            std::min(task, n) * k * (candidates + (columns >= long_row ? 4 * pick : 0))};
}

void in_portions(const SolvedPlan& plan, Side stays, std::int64_t rows, const std::function<void(LocalRun)>& use) {
    const Partition& parts = plan.coupling.cloud(stays).partition;
    const std::int64_t most = std::max<std::int64_t>(rows, 1);
    const std::int64_t count = std::max<std::int64_t>((parts.largest() + most - 1) / most, 1);
    const Partition portions = Partition::even(plan.coupling.local(stays).rows, count);
    for (std::int64_t p = 0; p < count; ++p) {
        const GlobalRun run = portions.run(PartIndex{p});
        use({LocalIndex{run.first.value}, run.count});
        plan.between();
    }
}

}  // namespace convoy
