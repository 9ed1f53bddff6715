#include "io/selected_columns.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include "convoy/error.hpp"
#include "io/input_error.hpp"

namespace convoy::io {

namespace {

constexpr std::int64_t tile_numbers = std::int64_t{1} << 23;

std::optional<std::int64_t> whole_number(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < 0) return std::nullopt;
    return value;
}

std::optional<ColumnSlice> parse_slice(std::string_view item) {
    const auto colon = item.find(':');
    const std::string_view from = item.substr(0, colon);
    const auto first = from.empty() && colon != std::string_view::npos ? 0 : whole_number(from);
    if (!first) return std::nullopt;
    if (colon == std::string_view::npos) return ColumnSlice{*first, *first + 1};
    const std::string_view to = item.substr(colon + 1);
    if (to.empty()) return ColumnSlice{*first};
    const auto end = whole_number(to);
    if (!end || *end <= *first) return std::nullopt;
    return ColumnSlice{*first, end};
}

class SelectedColumns final : public Reader {
 public:
    SelectedColumns(std::unique_ptr<Reader> reader, bool transposed, std::vector<ColumnRun> runs)
        : reader_{std::move(reader)}, transposed_{transposed}, runs_{std::move(runs)} {
        for (const ColumnRun& run : runs_) columns_ += run.count;
    }

    std::int64_t rows() const override { return transposed_ ? reader_->columns() : reader_->rows(); }
    std::int64_t columns() const override { return columns_; }
    bool is_vector() const override { return !transposed_ && reader_->is_vector(); }
    bool is_sparse() const override { return reader_->is_sparse(); }
    bool sequential() const override { return reader_->sequential(); }
    std::int64_t band() const override { return transposed_ ? reader_->column_band() : reader_->band(); }
    std::int64_t column_band() const override { return transposed_ ? reader_->band() : reader_->column_band(); }
    std::string key() const override { return reader_->key(); }
    FilteredRows filter(const std::vector<std::string>& conditions) override {
        if (!transposed_) return reader_->filter(conditions);
        throw InputError{fmt::format(
            "points cannot be chosen by '{}' (transposed, the file's columns are the points, and conditions "
            "are on its rows); leave out one of the two",
            conditions.front())};
    }
    std::optional<ImageShape> image() const override {
        const bool all = !transposed_ && runs_.size() == 1 && columns_ == reader_->columns();
        return all ? reader_->image() : std::nullopt;
    }
    std::string place() const override { return reader_->place(); }
    std::string row_name(std::int64_t row) const override {
        return transposed_ ? fmt::format("column {}", row) : reader_->row_name(row);
    }
    std::string position(std::int64_t row, std::int64_t column) const override {
        for (const ColumnRun& run : runs_) {
            if (column < run.count)
                return transposed_ ? reader_->position(run.first + column, row)
                                   : reader_->position(row, run.first + column);
            column -= run.count;
        }
        return row_name(row);
    }

    void read(std::int64_t first, std::int64_t count, std::span<double> out) override {
        const GlobalRun rows{GlobalIndex{first}, count};
        read_all({&rows, 1}, out);
    }
    void read_runs(std::span<const GlobalRun> rows, ColumnRun columns, std::span<double> out) override {
        if (columns.count != columns_) return Reader::read_runs(rows, columns, out);
        read_all(rows, out);
    }

 private:
    void read_all(std::span<const GlobalRun> rows, std::span<double> out) {
        expect_within(rows, all_columns(), out);
        if (!transposed_ && runs_.size() == 1) return reader_->read_runs(rows, runs_[0], out);
        // A tile at a time, with all of a run's columns: what is packed is unpacked anew for every tile.
        std::int64_t place = 0;
        for (const GlobalRun& run : rows) {
            for (std::int64_t at = 0; at < run.count;) {
                const std::int64_t some = std::min(run.count - at, std::max<std::int64_t>(1, tile_numbers / widest()));
                const GlobalRun tile{GlobalIndex{run.first.value + at}, some};
                read_tile(tile, out.subspan(static_cast<std::size_t>(place * columns_)));
                at += some;
                place += some;
            }
        }
    }

    // Rows that lie in one piece are read as far as any column reaches, and taken apart here.
    bool together() const { return !transposed_ && !reader_->is_sparse(); }
    std::int64_t widest() const {
        return together() ? reach().count : std::ranges::max(runs_, {}, &ColumnRun::count).count;
    }
    ColumnRun reach() const {
        const std::int64_t least = std::ranges::min(runs_, {}, &ColumnRun::first).first;
        std::int64_t end = 0;
        for (const ColumnRun& run : runs_) end = std::max(end, run.first + run.count);
        return {least, end - least};
    }

    // Rows of this matrix, all of its columns.
    void read_tile(GlobalRun tile, std::span<double> out) {
        const ColumnRun all = reach();
        if (together()) {
            buffer_.resize(static_cast<std::size_t>(tile.count * all.count));
            reader_->read_runs({&tile, 1}, all, buffer_);
        }
        std::int64_t column = 0;
        for (const ColumnRun& run : runs_) {
            if (together()) {
                put(tile.count, column, run.count, {run.first - all.first, all.count, 1}, out);
            } else if (transposed_) {
                buffer_.resize(static_cast<std::size_t>(tile.count * run.count));
                const GlobalRun lines{GlobalIndex{run.first}, run.count};
                reader_->read_runs({&lines, 1}, {tile.first.value, tile.count}, buffer_);
                put(tile.count, column, run.count, {0, 1, tile.count}, out);
            } else {
                buffer_.resize(static_cast<std::size_t>(tile.count * run.count));
                reader_->read_runs({&tile, 1}, run, buffer_);
                put(tile.count, column, run.count, {0, run.count, 1}, out);
            }
            column += run.count;
        }
    }

    // Where numbers lie in the buffer: the first, how far rows are apart, and numbers of a row.
    struct Lie {
        std::int64_t at = 0, row = 0, number = 0;
    };
    void put(std::int64_t rows, std::int64_t column, std::int64_t count, Lie from, std::span<double> out) const {
        for (std::int64_t i = 0; i < rows; ++i)
            for (std::int64_t k = 0; k < count; ++k)
                out[static_cast<std::size_t>(i * columns_ + column + k)] =
                    buffer_[static_cast<std::size_t>(from.at + i * from.row + k * from.number)];
    }

    std::unique_ptr<Reader> reader_;
    bool transposed_;
    std::vector<ColumnRun> runs_;
    std::int64_t columns_ = 0;
    std::vector<double> buffer_;
};

}  // namespace

std::vector<ColumnSlice> parse_columns(const std::string& text) {
    std::vector<ColumnSlice> slices;
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t end = std::min(text.find(',', at), text.size());
        const auto slice = parse_slice(std::string_view{text}.substr(at, end - at));
        CONVOY_VALIDATE(slice.has_value(),
                        fmt::format("'{}' names no columns (need numbers from 0, ranges without their end); write for "
                                    "example 6:17 for columns 6 to 16, or 0,2,5:9",
                                    text));
        slices.push_back(*slice);
        at = end + 1;
    }
    return slices;
}

std::unique_ptr<Reader> select_columns(const Location& location, std::unique_ptr<Reader> reader, bool transposed,
                                       const std::string& columns) {
    if (!transposed && columns.empty()) return reader;
    if (transposed && reader->sequential())
        refuse(location, "it cannot be transposed", "it is read from its beginning to its end",
               "transpose it before, or write it as .npy or HDF5");
    const std::int64_t width = transposed ? reader->rows() : reader->columns();
    std::vector<ColumnRun> runs;
    for (const ColumnSlice& slice : columns.empty() ? std::vector{ColumnSlice{}} : parse_columns(columns)) {
        const std::int64_t end = slice.end.value_or(width);
        if (slice.first >= width || end > width)
            refuse(location, fmt::format("it has no columns {}", columns),
                   fmt::format("{}{} columns, counted from 0", transposed ? "transposed it has " : "", width),
                   "name columns that are there");
        runs.push_back({slice.first, end - slice.first});
    }
    return std::make_unique<SelectedColumns>(std::move(reader), transposed, std::move(runs));
}

}  // namespace convoy::io
