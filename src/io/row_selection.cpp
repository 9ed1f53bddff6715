#include "io/row_selection.hpp"

#include <algorithm>
#include <array>
#include <bit>

#include "convoy/error.hpp"

namespace convoy::io {

namespace {

constexpr std::int64_t word_bits = 64;
constexpr std::size_t block_words = 8;  // looked through one by one

}  // namespace

std::int64_t rows_of(std::span<const GlobalRun> runs) {
    std::int64_t rows = 0;
    for (const GlobalRun& run : runs) rows += run.count;
    return rows;
}

RowSelection::RowSelection(std::int64_t file_rows)
    : file_rows_{file_rows}, words_(static_cast<std::size_t>((file_rows + word_bits - 1) / word_bits)) {}

void RowSelection::add(std::int64_t file_row) {
    CONVOY_EXPECT(file_row >= 0 && file_row < file_rows_);
    words_[static_cast<std::size_t>(file_row / word_bits)] |= std::uint64_t{1} << (file_row % word_bits);
}

void RowSelection::keep(const RowSelection& other) {
    CONVOY_EXPECT(other.file_rows_ == file_rows_);
    for (std::size_t k = 0; k < words_.size(); ++k) words_[k] &= other.words_[k];
}

void RowSelection::count() {
    before_.clear();
    rows_ = 0;
    for (std::size_t k = 0; k < words_.size(); ++k) {
        if (k % block_words == 0) before_.push_back(rows_);
        rows_ += std::popcount(words_[k]);
    }
}

bool RowSelection::holds(std::int64_t file_row) const {
    return (words_[static_cast<std::size_t>(file_row / word_bits)] >> (file_row % word_bits) & 1) != 0;
}

std::int64_t RowSelection::before(std::int64_t file_row) const {
    if (file_row >= file_rows_) return rows_;
    const auto word = static_cast<std::size_t>(file_row / word_bits);
    std::int64_t count = before_[word / block_words];
    for (std::size_t k = word / block_words * block_words; k < word; ++k) count += std::popcount(words_[k]);
    return count + std::popcount(words_[word] & ((std::uint64_t{1} << (file_row % word_bits)) - 1));
}

std::int64_t RowSelection::file_row(std::int64_t row) const {
    CONVOY_EXPECT(row >= 0 && row < rows_);
    const auto block = static_cast<std::size_t>(std::ranges::upper_bound(before_, row) - before_.begin() - 1);
    std::int64_t left = row - before_[block];
    std::size_t word = block * block_words;
    while (left >= std::popcount(words_[word])) left -= std::popcount(words_[word++]);
    std::uint64_t bits = words_[word];
    for (; left > 0; --left) bits &= bits - 1;
    return static_cast<std::int64_t>(word) * word_bits + std::countr_zero(bits);
}

std::vector<GlobalRun> RowSelection::runs(std::int64_t first, std::int64_t count) const {
    std::vector<GlobalRun> found;
    if (count == 0) return found;
    std::int64_t at = file_row(first);
    for (;;) {
        // The run that begins here ends at the next bit that is not set.
        std::int64_t end = at;
        while (end < file_rows_) {
            const auto ones = std::countr_one(words_[static_cast<std::size_t>(end / word_bits)] >> (end % word_bits));
            end += ones;
            if (end % word_bits != 0 || ones == 0) break;
        }
        end = std::min(end, at + count);
        found.push_back({GlobalIndex{at}, end - at});
        count -= end - at;
        if (count == 0) return found;
        auto word = static_cast<std::size_t>(end / word_bits);
        std::uint64_t bits = words_[word] >> (end % word_bits) << (end % word_bits);
        while (bits == 0) bits = words_[++word];
        at = static_cast<std::int64_t>(word) * word_bits + std::countr_zero(bits);
    }
}

void RowSelection::broadcast(const Communicator& world) {
    world.broadcast(file_rows_);
    words_.resize(static_cast<std::size_t>((file_rows_ + word_bits - 1) / word_bits));
    world.broadcast(std::span{words_});
    count();
}

Partition cut_at_bands(std::int64_t rows, const RowSelection* selection, std::int64_t band, std::int64_t pieces) {
    const auto file_row = [&](std::int64_t row) { return selection != nullptr ? selection->file_row(row) : row; };
    const auto before = [&](std::int64_t row) {
        return selection != nullptr ? selection->before(row) : std::min(row, rows);
    };
    std::vector<std::int64_t> counts;
    std::int64_t from = 0;
    for (std::int64_t piece = 1; piece <= pieces; ++piece) {
        std::int64_t to = rows;
        if (piece < pieces && rows > 0) {
            const std::int64_t even = Partition::even(rows, pieces).first(PartIndex{piece}).value;
            if (even < rows) {
                // The nearer end of the band that an even cut would go through.
                const std::int64_t begin = file_row(even) / band * band;
                const std::int64_t low = before(begin), high = before(begin + band);
                to = even - low <= high - even ? low : high;
            }
        }
        to = std::max(to, from);
        counts.push_back(to - from);
        from = to;
    }
    return Partition::of_counts(counts);
}

}  // namespace convoy::io
