#include "convoy/partition.hpp"

#include <algorithm>
#include <utility>

#include "convoy/error.hpp"

namespace convoy {

namespace {

// Where piece `piece` begins when `items` are cut into `pieces` that differ by one at most, the larger ones first.
std::int64_t even_offset(std::int64_t items, std::int64_t pieces, std::int64_t piece) {
    return piece * (items / pieces) + std::min(piece, items % pieces);
}

}  // namespace

Partition::Partition(std::vector<std::int64_t> offsets) : offsets_{std::move(offsets)} {}

Partition Partition::even(std::int64_t items, std::int64_t parts) {
    CONVOY_EXPECT(items >= 0 && parts > 0);
    std::vector<std::int64_t> offsets(static_cast<std::size_t>(parts) + 1);
    for (std::int64_t p = 0; p <= parts; ++p) offsets[static_cast<std::size_t>(p)] = even_offset(items, parts, p);
    return Partition{std::move(offsets)};
}

Partition Partition::of_counts(const std::vector<std::int64_t>& counts) {
    CONVOY_EXPECT(!counts.empty());
    std::vector<std::int64_t> offsets{0};
    offsets.reserve(counts.size() + 1);
    for (const std::int64_t count : counts) {
        CONVOY_EXPECT(count >= 0);
        offsets.push_back(offsets.back() + count);
    }
    return Partition{std::move(offsets)};
}

std::int64_t Partition::count(PartIndex part) const {
    return first(PartIndex{part.value + 1}).value - first(part).value;
}

std::int64_t Partition::largest() const {
    std::int64_t most = 0;
    for (std::int64_t p = 0; p < parts(); ++p) most = std::max(most, count(PartIndex{p}));
    return most;
}

PartIndex Partition::owner(GlobalIndex item) const {
    CONVOY_EXPECT(item.value >= 0 && item.value < items());
    // The last part that begins at or before the item; empty parts begin there too, but earlier in the list.
    const auto after = std::upper_bound(offsets_.begin(), offsets_.end(), item.value);
    return PartIndex{after - offsets_.begin() - 1};
}

LocalIndex Partition::to_local(PartIndex part, GlobalIndex item) const {
    CONVOY_EXPECT(item.value >= first(part).value && item.value < first(part).value + count(part));
    return LocalIndex{item.value - first(part).value};
}

GlobalIndex Partition::to_global(PartIndex part, LocalIndex item) const {
    CONVOY_EXPECT(item.value >= 0 && item.value < count(part));
    return GlobalIndex{first(part).value + item.value};
}

GlobalRun Partition::stripe(PartIndex part, std::int64_t pieces, std::int64_t piece) const {
    CONVOY_EXPECT(pieces > 0 && piece >= 0 && piece < pieces);
    const std::int64_t begin = even_offset(count(part), pieces, piece);
    const std::int64_t end = even_offset(count(part), pieces, piece + 1);
    return {GlobalIndex{first(part).value + begin}, end - begin};
}

GlobalRun intersect(GlobalRun a, GlobalRun b) {
    const std::int64_t begin = std::max(a.first.value, b.first.value);
    const std::int64_t end = std::min(a.first.value + a.count, b.first.value + b.count);
    return {GlobalIndex{begin}, std::max<std::int64_t>(end - begin, 0)};
}

}  // namespace convoy
