#pragma once
/// \file
/// Typed indices: a global row, a row of one rank's shard and a rank do not mix.

#include <compare>
#include <cstdint>

namespace convoy {

template <class Tag>
struct Index {
    std::int64_t value = 0;

    constexpr Index() = default;
    constexpr explicit Index(std::int64_t v) : value{v} {}
    constexpr auto operator<=>(const Index&) const = default;
};

/// Number of a point in its whole cloud, 0 .. n - 1.
using GlobalIndex = Index<struct GlobalIndexTag>;
/// Number of a point in one part of a Partition, 0 .. count(part) - 1.
using LocalIndex = Index<struct LocalIndexTag>;
/// Number of a part of a Partition: a row or a column of the process grid.
using PartIndex = Index<struct PartIndexTag>;

}  // namespace convoy
