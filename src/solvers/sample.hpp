#pragma once
// A seeded sample of one side's points, drawn by mass, that every rank holds in full: what coarse problems are made of.

#include <cstdint>
#include <span>
#include <vector>

#include "convoy/coupling.hpp"

namespace convoy {

// `cloud` holds the drawn points in ascending order of their numbers. Each of `size` equal shares of the mass gives one
// draw, so heavy points come several times: weights are draws / size. Where size reaches the number of points with mass
// it is all of them, with their own weights.
struct Sample {
    Side side = Side::row;
    Cloud cloud;
    // Of the points that this rank's part holds: their place in `cloud`, and their local number.
    struct Here {
        std::int64_t place;
        LocalIndex local;
    };
    std::vector<Here> here;
};

// The same points on every grid. Collective.
Sample draw_sample(const Coupling& coupling, Side side, std::int64_t size, std::uint64_t seed);

// The entries of a side's distributed vector that belong to the sample, on all ranks. Collective.
std::vector<double> at_sample(const Coupling& coupling, const Sample& sample, std::span<const double> values);

// The sample as one side of a problem on the same grid.
DistributedCloud distributed(const Grid& grid, Side side, const Sample& sample);
// This rank's part of numbers that belong to the sample's points, under the partition of distributed().
std::vector<double> own_part(const Grid& grid, Side side, std::span<const double> at_sample);
// The inverse: from the parts of distributed() the whole vector, on all ranks. Collective.
std::vector<double> whole_of_parts(const Grid& grid, Side side, std::span<const double> part);

}  // namespace convoy
