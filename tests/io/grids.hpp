#pragma once
// Every grid of the running ranks, and clouds cut for it.

#include <cmath>
#include <string>
#include <vector>

#include "convoy/coupling.hpp"
#include "convoy/grid.hpp"
#include "files.hpp"
#include "io/checksum.hpp"

namespace convoy::io {

inline std::vector<GridShape> shapes_of(int ranks) {
    std::vector<GridShape> shapes;
    for (int rows = 1; rows <= ranks; ++rows)
        if (ranks % rows == 0) shapes.push_back({rows, ranks / rows});
    return shapes;
}

// Rank `rank`'s part of `whole` (rows x width).
inline std::vector<double> part_of(const Grid& grid, Side side, const Partition& partition, std::int64_t width,
                                   const std::vector<double>& whole) {
    const GlobalRun run = partition.run(grid.part(side));
    return {whole.begin() + run.first.value * width, whole.begin() + (run.first.value + run.count) * width};
}

inline std::vector<double> noise(std::int64_t count, double seed) {
    std::vector<double> values(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::sin(seed + 1.7 * static_cast<double>(i));
    return values;
}

// The error of a collective action, which must be the same on every rank.
template <class Error, class Action>
std::string agreed_error(const Communicator& world, Action&& action) {
    std::string message = "no error";
    try {
        action();
    } catch (const Error& error) {
        message = error.what();
    }
    const std::vector<double> mine{
        static_cast<double>(crc32c(std::as_bytes(std::span{message.data(), message.size()})))};
    for (const double other : world.gather_all(mine)) EXPECT_EQ(other, mine[0]) << message;
    return message;
}

}  // namespace convoy::io
