#pragma once
// Masses of points.

#include <span>

#include "convoy/grid.hpp"
#include "io/reader.hpp"

namespace convoy::io {

// Divides this rank's part by the exact sum over the whole cloud: the same bits on every grid. `location` is where they
// were read. \throws InputError, on all ranks, where the sum is no positive number. Collective.
void normalise(const Grid& grid, Side side, const Location& location, std::span<double> weights);

}  // namespace convoy::io
