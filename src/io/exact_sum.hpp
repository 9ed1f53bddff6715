#pragma once
// A sum of doubles without rounding until the end (Shewchuk 1997, as Python's math.fsum): the same bits in any order
// and on any grid.

#include <span>
#include <vector>

#include "convoy/communicator.hpp"

namespace convoy::io {

class ExactSum {
 public:
    void add(double value);
    void add(std::span<const double> values) {
        for (const double value : values) add(value);
    }
    // The exact sum, rounded once; infinite or nan if the terms are, or if they overflow on the way.
    double value() const;
    // Adds the sums of all ranks. Collective.
    void join(const Communicator& comm);

 private:
    std::vector<double> partials_;  // non-overlapping, ascending in magnitude; their exact sum is the sum
};

}  // namespace convoy::io
