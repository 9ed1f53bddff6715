#pragma once
// A cloud of one side's distribution in the other's.

#include "convoy/coupling.hpp"
#include "convoy/grid.hpp"

namespace convoy {

// `cloud`, spread like `held`, spread evenly like the other side. Collective.
DistributedCloud redistributed(const Grid& grid, Side held, const DistributedCloud& cloud);

}  // namespace convoy
