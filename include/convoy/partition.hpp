#pragma once
/// \file
/// Who owns what: pure integer arithmetic, no communication.
///
///     items   0 1 2 3 4 5 6 7 8 9          Partition::even(10, 3)
///     part    0 0 0 0 1 1 1 2 2 2          first() = 0 4 7, count() = 4 3 3
///     stripes of part 0 in 2 pieces: 0 1 | 2 3   (who reads and writes which of a part's rows)

#include <cstdint>
#include <vector>

#include "convoy/index.hpp"

namespace convoy {

/// A contiguous run of items: [first, first + count).
template <class I>
struct Run {
    I first;
    std::int64_t count = 0;
    bool operator==(const Run&) const = default;
};
using GlobalRun = Run<GlobalIndex>;
using LocalRun = Run<LocalIndex>;

/// `items` things cut into consecutive parts, some of them perhaps empty.
class Partition {
 public:
    Partition() : offsets_{0, 0} {}
    /// Parts whose sizes differ by one at most, the larger ones first.
    static Partition even(std::int64_t items, std::int64_t parts);
    /// Parts of the given sizes.
    static Partition of_counts(const std::vector<std::int64_t>& counts);

    std::int64_t items() const { return offsets_.back(); }
    std::int64_t parts() const { return static_cast<std::int64_t>(offsets_.size()) - 1; }
    GlobalIndex first(PartIndex part) const { return GlobalIndex{offsets_.at(static_cast<std::size_t>(part.value))}; }
    std::int64_t count(PartIndex part) const;
    std::int64_t largest() const;
    GlobalRun run(PartIndex part) const { return {first(part), count(part)}; }
    PartIndex owner(GlobalIndex item) const;
    LocalIndex to_local(PartIndex part, GlobalIndex item) const;
    GlobalIndex to_global(PartIndex part, LocalIndex item) const;

    /// Piece `piece` of `pieces` of one part: the stripe that one of the ranks sharing the part reads or writes.
    GlobalRun stripe(PartIndex part, std::int64_t pieces, std::int64_t piece) const;

    bool operator==(const Partition&) const = default;

 private:
    explicit Partition(std::vector<std::int64_t> offsets);
    std::vector<std::int64_t> offsets_;  // parts + 1 of them, ascending from 0
};

/// What two runs have in common (count 0 if nothing).
GlobalRun intersect(GlobalRun a, GlobalRun b);

}  // namespace convoy
