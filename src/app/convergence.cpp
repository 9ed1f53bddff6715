#include "app/convergence.hpp"

#include <algorithm>
#include <cmath>

namespace convoy::app {

std::optional<double> half_passes_left(std::span<const HalfPass> history, double tolerance) {
    constexpr std::int64_t most = 20, least = 4;
    double count = 0, sum_x = 0, sum_y = 0, sum_xx = 0, sum_xy = 0;
    for (auto at = history.rbegin(); at != history.rend() && at - history.rbegin() < most; ++at) {
        if (at->epsilon != history.back().epsilon) break;
        if (!(at->marginal_error > 0) || !std::isfinite(at->marginal_error)) continue;
        const auto x = static_cast<double>(at->number - history.back().number);
        const double y = std::log(at->marginal_error);
        count += 1;
        sum_x += x;
        sum_y += y;
        sum_xx += x * x;
        sum_xy += x * y;
    }
    const double spread = count * sum_xx - sum_x * sum_x;
    if (count < least || spread <= 0) return std::nullopt;

    const double slope = (count * sum_xy - sum_x * sum_y) / spread;
    const double now = (sum_y - slope * sum_x) / count;  // of the line, at the last half-pass
    if (slope > -1e-6) return std::nullopt;
    return std::max(1.0, (now - std::log(tolerance)) / -slope);
}

}  // namespace convoy::app
