#pragma once
// Which rows of a file are points: a bit for each, so that ten million rows take 1.2 MB, and travel as that.

#include <cstdint>
#include <span>
#include <vector>

#include "convoy/communicator.hpp"
#include "convoy/partition.hpp"

namespace convoy::io {

std::int64_t rows_of(std::span<const GlobalRun> runs);

class RowSelection {
 public:
    RowSelection() = default;
    // Of so many rows, none.
    explicit RowSelection(std::int64_t file_rows);

    void add(std::int64_t file_row);
    // Leaves rows that are in both. Of one file.
    void keep(const RowSelection& other);
    // To be called when it is complete, before what is below.
    void count();

    std::int64_t file_rows() const { return file_rows_; }
    std::int64_t rows() const { return rows_; }  // chosen ones
    bool holds(std::int64_t file_row) const;
    // How many are chosen of those before.
    std::int64_t before(std::int64_t file_row) const;
    // Where the chosen row number `row` is in the file.
    std::int64_t file_row(std::int64_t row) const;
    // Chosen rows [first, first + count) as runs of the file's rows, ascending.
    std::vector<GlobalRun> runs(std::int64_t first, std::int64_t count) const;

    // Rank 0's, on all ranks. Collective.
    void broadcast(const Communicator& world);

 private:
    std::int64_t file_rows_ = 0, rows_ = 0;
    std::vector<std::uint64_t> words_;
    std::vector<std::int64_t> before_;  // chosen before each block of words
};

// What conditions leave (see row_filter.hpp).
struct FilteredRows {
    RowSelection rows;               // complete: counted
    std::int64_t without_value = 0;  // rows that have no value in a column that was asked for: they are in no selection
};

// Cuts `rows` points, those of `selection` (nothing: all of a file), into consecutive pieces of about equal size, so
// that no band of the file's rows (see Reader) is in two of them: for ranks that unpack whole bands.
Partition cut_at_bands(std::int64_t rows, const RowSelection* selection, std::int64_t band, std::int64_t pieces);

}  // namespace convoy::io
