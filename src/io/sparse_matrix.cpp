#include "io/sparse_matrix.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "convoy/error.hpp"
#include "io/hdf5_attributes.hpp"
#include "io/hdf5_dataset.hpp"
#include "io/input_error.hpp"

namespace convoy::io {

namespace {

constexpr std::int64_t entries_at_once = std::int64_t{1} << 20;
constexpr std::int64_t lines_at_once = std::int64_t{1} << 16;

}  // namespace

std::optional<SparseMatrix> SparseMatrix::open(const Location& location, hid_t group, const std::string& path) {
    const std::string encoding = attribute_text(group, "encoding-type").value_or("");
    const std::string older = attribute_text(group, "h5sparse_format").value_or("");  // up to 0.6
    const bool by_rows = encoding == "csr_matrix" || older == "csr";
    if (!by_rows && encoding != "csc_matrix" && older != "csc") return std::nullopt;
    const auto piece = [&](const char* name) {
        Hdf5 dataset = open_hdf5_dataset(location, group, name);
        if (!dataset)
            refuse(location, fmt::format("sparse matrix '{}' has no '{}'", path, name), "damaged file",
                   "write it again");
        NumericRows rows{location, fmt::format("{}/{}", path, name), std::move(dataset)};
        if (!rows.vector()) refuse(location, rows.place() + " is no list of numbers", "damaged file", "write it again");
        return rows;
    };
    SparseMatrix matrix{location, path, piece("data"), piece("indices"), piece("indptr")};
    matrix.by_rows_ = by_rows;
    const auto shape = attribute_integers(group, older.empty() ? "shape" : "h5sparse_shape");
    if (shape.size() != 2 || shape[0] < 0 || shape[1] < 0) matrix.damaged("it does not say its shape");
    matrix.rows_ = shape[0];
    matrix.columns_ = shape[1];
    matrix.entries_ = matrix.data_.rows();
    if (shape[1] > 0 && shape[0] > std::numeric_limits<std::int64_t>::max() / 16 / shape[1])
        matrix.damaged(fmt::format("it is {} x {} large", shape[0], shape[1]));
    const std::int64_t lines = by_rows ? matrix.rows_ : matrix.columns_;
    if (!matrix.indices_.is_integer() || !matrix.pointers_.is_integer())
        matrix.damaged("its indices are no whole numbers");
    if (matrix.indices_.rows() != matrix.entries_)
        matrix.damaged(fmt::format("it has {} numbers and {} indices", matrix.entries_, matrix.indices_.rows()));
    if (matrix.pointers_.rows() != lines + 1)
        matrix.damaged(fmt::format("it has {} pointers", matrix.pointers_.rows()),
                       fmt::format("{} x {} needs {}", matrix.rows_, matrix.columns_, lines + 1));
    return matrix;
}

std::string SparseMatrix::place() const {
    return fmt::format("sparse matrix '{}'", path_);
}

void SparseMatrix::damaged(const std::string& problem, const std::string& why) const {
    refuse(location_, fmt::format("{} is damaged: {}", place(), problem), why, "write it again");
}

std::vector<std::int64_t> SparseMatrix::pointers(std::int64_t first, std::int64_t count) {
    std::vector<std::int64_t> found(static_cast<std::size_t>(count) + 1);
    const GlobalRun run{GlobalIndex{first}, count + 1};
    pointers_.read({&run, 1}, std::span<std::int64_t>{found});
    for (std::size_t k = 0; k < found.size(); ++k)
        if (found[k] < (k > 0 ? found[k - 1] : 0) || found[k] > entries_)
            damaged(fmt::format("pointer {} is {}", first + static_cast<std::int64_t>(k), found[k]),
                    fmt::format("they must ascend up to {}", entries_));
    return found;
}

void SparseMatrix::expect_index(std::int64_t index, std::int64_t below, std::int64_t line) const {
    if (index < 0 || index >= below)
        damaged(fmt::format("{} {} has an entry with index {}", by_rows_ ? "row" : "column", line, index),
                fmt::format("{} x {}", rows_, columns_));
}

void SparseMatrix::read(std::span<const GlobalRun> runs, ColumnRun columns, std::span<double> out) {
    std::ranges::fill(out, 0.0);
    if (by_rows_)
        read_by_rows(runs, columns, out);
    else
        read_by_columns(runs, columns, out);
}

// Entries of rows that lie far apart are read in one go, as long as they are not too many.
void SparseMatrix::read_by_rows(std::span<const GlobalRun> runs, ColumnRun columns, std::span<double> out) {
    // Some entries of one row, all of them where they are few.
    struct Part {
        std::int64_t row, place, entries;  // in the file, in `out`
    };
    std::vector<Part> parts;
    std::vector<GlobalRun> pieces;  // of entries, all parts together
    std::int64_t gathered = 0;
    std::vector<double> values;
    std::vector<std::int64_t> indices;
    const auto scatter = [&] {
        values.resize(static_cast<std::size_t>(gathered));
        indices.resize(static_cast<std::size_t>(gathered));
        data_.read(pieces, std::span<double>{values});
        indices_.read(pieces, std::span<std::int64_t>{indices});
        std::size_t at = 0;
        for (const Part& part : parts) {
            double* row = out.data() + part.place * columns.count;
            for (std::int64_t k = 0; k < part.entries; ++k, ++at) {
                expect_index(indices[at], columns_, part.row);
                const std::int64_t column = indices[at] - columns.first;
                if (column >= 0 && column < columns.count)
                    row[column] += values[at];  // twice the same index: the sum, as everywhere
            }
        }
        pieces.clear();
        parts.clear();
        gathered = 0;
    };
    const auto take = [&](std::int64_t row, std::int64_t place, std::int64_t from, std::int64_t end) {
        while (from < end) {
            const std::int64_t length = std::min(end - from, entries_at_once - gathered);
            if (!pieces.empty() && pieces.back().first.value + pieces.back().count == from)
                pieces.back().count += length;
            else
                pieces.push_back({GlobalIndex{from}, length});
            parts.push_back({row, place, length});
            gathered += length;
            from += length;
            if (gathered == entries_at_once) scatter();
        }
    };
    std::int64_t place = 0;
    for (const GlobalRun& run : runs) {
        for (std::int64_t at = 0; at < run.count; at += lines_at_once) {
            const std::int64_t first = run.first.value + at, count = std::min(lines_at_once, run.count - at);
            const std::vector<std::int64_t> begins = pointers(first, count);
            for (std::size_t k = 0; k + 1 < begins.size(); ++k)
                take(first + static_cast<std::int64_t>(k), place++, begins[k], begins[k + 1]);
        }
    }
    scatter();
}

void SparseMatrix::read_by_columns(std::span<const GlobalRun> runs, ColumnRun columns, std::span<double> out) {
    // Where a row of the file goes, by the run that it is in.
    std::vector<std::int64_t> firsts, places;
    std::int64_t place = 0;
    for (const GlobalRun& run : runs) {
        firsts.push_back(run.first.value);
        places.push_back(place);
        place += run.count;
    }
    const auto place_of = [&](std::int64_t row) -> std::int64_t {
        const auto after = std::ranges::upper_bound(firsts, row) - firsts.begin();
        if (after == 0) return -1;
        const auto k = static_cast<std::size_t>(after - 1);
        return row - firsts[k] < runs[k].count ? places[k] + row - firsts[k] : -1;
    };
    if (place == 0) return;
    std::vector<double> values;
    std::vector<std::int64_t> indices;
    const std::int64_t end = columns.first + columns.count;
    for (std::int64_t first = columns.first; first < end; first += lines_at_once) {
        const std::int64_t count = std::min(lines_at_once, end - first);
        const std::vector<std::int64_t> begins = pointers(first, count);
        std::int64_t column = 0;
        for (std::int64_t at = begins.front(); at < begins.back(); at += entries_at_once) {
            const GlobalRun piece{GlobalIndex{at}, std::min(entries_at_once, begins.back() - at)};
            values.resize(static_cast<std::size_t>(piece.count));
            indices.resize(values.size());
            data_.read({&piece, 1}, std::span<double>{values});
            indices_.read({&piece, 1}, std::span<std::int64_t>{indices});
            for (std::size_t k = 0; k < values.size(); ++k) {
                while (begins[static_cast<std::size_t>(column) + 1] <= at + static_cast<std::int64_t>(k)) ++column;
                expect_index(indices[k], rows_, first + column);
                const std::int64_t row = place_of(indices[k]);
                if (row >= 0)
                    out[static_cast<std::size_t>(row * columns.count + first - columns.first + column)] += values[k];
            }
        }
    }
}

}  // namespace convoy::io
