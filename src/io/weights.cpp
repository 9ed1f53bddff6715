#include "io/weights.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "io/exact_sum.hpp"
#include "io/input_error.hpp"

namespace convoy::io {

// Each part is summed once: by the first of its sharers.
void normalise(const Grid& grid, Side side, const Location& location, std::span<double> weights) {
    ExactSum sum;
    if (grid.sharers(side).rank() == 0) sum.add(weights);
    sum.join(grid.world());
    const double total = sum.value();
    if (total == 0) refuse(location, "all weights are 0", "need a positive sum", "give other weights");
    if (!std::isfinite(total))
        refuse(location, "the sum of the weights overflows", "beyond what fp64 holds", "scale the weights down");
    if (!(total >= std::numeric_limits<double>::min()))
        refuse(location, fmt::format("the sum of the weights is {}", total), "less than fp64 holds exactly",
               "scale the weights up");
    for (double& weight : weights) weight /= total;
}

}  // namespace convoy::io
