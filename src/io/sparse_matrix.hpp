#pragma once
// A sparse matrix of AnnData's: a group of data, indices and indptr, compressed by rows (CSR) or by columns (CSC). Rows
// are made dense as they are read.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/numeric_rows.hpp"

namespace convoy::io {

class SparseMatrix {
 public:
    // Nothing if the group is none. \throws InputError if its pieces contradict each other
    static std::optional<SparseMatrix> open(const Location& location, hid_t group, const std::string& path);

    std::int64_t rows() const { return rows_; }
    std::int64_t columns() const { return columns_; }
    std::int64_t entries() const { return entries_; }
    bool by_rows() const { return by_rows_; }
    std::string place() const;  // "sparse matrix 'X'"
    hid_t type() const { return data_.type(); }

    // As Hdf5Rows::read(). By rows, every call goes through all entries of the rows; by columns, of the columns.
    void read(std::span<const GlobalRun> runs, ColumnRun columns, std::span<double> out);

 private:
    SparseMatrix(const Location& location, const std::string& path, NumericRows data, NumericRows indices,
                 NumericRows pointers)
        : location_{location},
          path_{path},
          data_{std::move(data)},
          indices_{std::move(indices)},
          pointers_{std::move(pointers)} {}

    void read_by_rows(std::span<const GlobalRun> runs, ColumnRun columns, std::span<double> out);
    void read_by_columns(std::span<const GlobalRun> runs, ColumnRun columns, std::span<double> out);
    // Where lines [first, first + count) begin among the entries, and where the last one ends.
    std::vector<std::int64_t> pointers(std::int64_t first, std::int64_t count);
    void expect_index(std::int64_t index, std::int64_t below, std::int64_t line) const;
    [[noreturn]] void damaged(const std::string& problem, const std::string& why = {}) const;

    Location location_;
    std::string path_;
    NumericRows data_, indices_, pointers_;
    std::int64_t rows_ = 0, columns_ = 0, entries_ = 0;
    bool by_rows_ = true;
};

}  // namespace convoy::io
