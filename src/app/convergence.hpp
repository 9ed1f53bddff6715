#pragma once
// How long still? Geometric convergence fitted to the last errors.

#include <cstdint>
#include <optional>
#include <span>

#include "convoy/sinkhorn.hpp"

namespace convoy::app {

// Half-passes still needed (one at least) until the error is below `tolerance`, from a line through the logarithms of
// the last errors at the last epsilon. Nothing if there are fewer than four, or if they do not fall.
std::optional<double> half_passes_left(std::span<const HalfPass> history, double tolerance);

}  // namespace convoy::app
