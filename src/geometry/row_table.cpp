#include "geometry/row_table.hpp"

#include <algorithm>
#include <bit>

namespace convoy {

std::uint64_t hash_of(std::span<const double> row) {
    std::uint64_t hash = 0x9e3779b97f4a7c15;
    for (const double x : row) {
        hash = (std::rotl(hash, 23) ^ std::bit_cast<std::uint64_t>(x + 0.0)) * 0xff51afd7ed558ccd;  // -0 + 0 is 0
        hash ^= hash >> 32;
    }
    // The last numbers have not met the low bits yet (the finaliser of SplitMix64).
    hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9;
    hash = (hash ^ (hash >> 27)) * 0x94d049bb133111eb;
    return hash ^ (hash >> 31);
}

bool RowTable::holds(std::int64_t number, std::span<const double> other) const {
    return std::ranges::equal(row(number), other);
}

void RowTable::grow() {
    slots_.assign(2 * slots_.size(), none);
    const std::size_t mask = slots_.size() - 1;
    for (std::int64_t number = 0; number < size(); ++number) {
        std::size_t at = hashes_[static_cast<std::size_t>(number)] & mask;
        while (slots_[at] != none) at = (at + 1) & mask;
        slots_[at] = number;
    }
}

std::int64_t RowTable::find_or_add(std::span<const double> row, std::uint64_t hash) {
    if (3 * hashes_.size() >= 2 * slots_.size()) grow();
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = hash & mask;
    for (; slots_[at] != none; at = (at + 1) & mask) {
        const std::int64_t number = slots_[at];
        if (hashes_[static_cast<std::size_t>(number)] == hash && holds(number, row)) return number;
    }
    slots_[at] = size();
    hashes_.push_back(hash);
    rows_.insert(rows_.end(), row.begin(), row.end());
    return slots_[at];
}

}  // namespace convoy
