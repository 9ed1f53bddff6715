#pragma once
// AnnData's files (.h5ad): finding a matrix in one. Every generation of the format, from 0.5 on.
//
//     X, layers/NAME, obsm/NAME, raw/X     dense or sparse
//     obsm/NAME                            also a table all of whose columns are numeric
//     obs:COLUMN, obs:COLUMN,COLUMN        numeric columns of a table; likewise obsm/NAME:COLUMN
//     any other path of a numeric dataset

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "io/obs_frame.hpp"
#include "io/reader.hpp"
#include "io/sparse_matrix.hpp"

namespace convoy::io {

// What is read where no key is given: scanpy's default, too.
inline constexpr const char* default_h5ad_key = "obsm/X_pca";

// A matrix of one of three kinds.
class H5adMatrix {
 public:
    // `location.key` names it. \throws InputError that lists what there is
    H5adMatrix(const Location& location, hid_t file);

    std::int64_t rows() const { return rows_; }
    std::int64_t columns() const { return columns_; }
    std::int64_t band() const { return dense_ ? dense_->band() : 1; }
    std::int64_t column_band() const { return dense_ ? dense_->column_band() : 1; }
    bool is_vector() const { return dense_ ? dense_->vector() : !frame_.empty() && columns_ == 1; }
    bool is_sparse() const { return sparse_.has_value(); }
    const std::string& place() const { return place_; }
    // "float32", "sparse float32 by rows"
    std::string type() const;

    void read(std::span<const GlobalRun> runs, ColumnRun columns, std::span<double> out);

 private:
    void find(const Location& location, hid_t file);
    bool find_columns(const Location& location, hid_t file);
    void take_columns(const Location& location, const ObsFrame& table, std::vector<std::string> names);

    std::optional<NumericRows> dense_;
    std::optional<SparseMatrix> sparse_;
    std::vector<ObsColumn> frame_;
    std::int64_t rows_ = 0, columns_ = 0;
    std::string place_;
};

// Keys of the matrices that there are, in the order of X, layers, obsm, raw/X.
std::vector<std::string> h5ad_keys(const Location& location, hid_t file);

}  // namespace convoy::io
