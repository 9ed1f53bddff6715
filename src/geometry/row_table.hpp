#pragma once
// The distinct rows of a matrix, found exactly: a hash table that holds each of them once.

#include <cstdint>
#include <span>
#include <vector>

namespace convoy {

// Rows of equal numbers have equal hashes (0 and -0 are equal), of which all bits are good.
std::uint64_t hash_of(std::span<const double> row);

class RowTable {
 public:
    explicit RowTable(std::int64_t dimension) : dimension_{dimension}, slots_(64, none) {}

    // The number of this row among the distinct ones, which are counted as they come. \param hash hash_of(row)
    std::int64_t find_or_add(std::span<const double> row, std::uint64_t hash);

    std::int64_t size() const { return static_cast<std::int64_t>(hashes_.size()); }
    std::span<const double> row(std::int64_t number) const {
        return std::span{rows_}.subspan(static_cast<std::size_t>(number * dimension_),
                                        static_cast<std::size_t>(dimension_));
    }

 private:
    static constexpr std::int64_t none = -1;
    bool holds(std::int64_t number, std::span<const double> row) const;
    void grow();

    std::int64_t dimension_;
    std::vector<double> rows_;
    std::vector<std::uint64_t> hashes_;
    std::vector<std::int64_t> slots_;  // numbers of rows, a power of two of places, at most two thirds taken
};

}  // namespace convoy
