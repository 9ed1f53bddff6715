#include "solvers/portions.hpp"

#include <algorithm>

namespace convoy {

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
