#include "io/selection.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include "convoy/error.hpp"
#include "io/input_error.hpp"

namespace convoy::io {

namespace {

constexpr std::int64_t piece_numbers = std::int64_t{1} << 19;
constexpr std::int64_t tile_numbers = std::int64_t{1} << 23;

std::optional<std::int64_t> whole_number(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < 0) return std::nullopt;
    return value;
}

std::optional<ColumnRun> parse_run(std::string_view item) {
    const auto colon = item.find(':');
    const std::string_view from = item.substr(0, colon);
    const auto first = from.empty() && colon != std::string_view::npos ? 0 : whole_number(from);
    if (!first) return std::nullopt;
    if (colon == std::string_view::npos) return ColumnRun{*first, *first + 1};
    const std::string_view to = item.substr(colon + 1);
    if (to.empty()) return ColumnRun{*first, -1};
    const auto end = whole_number(to);
    if (!end || *end <= *first) return std::nullopt;
    return ColumnRun{*first, *end};
}

class Selected final : public Reader {
 public:
    Selected(std::unique_ptr<Reader> reader, bool transposed, std::vector<ColumnRun> runs)
        : reader_{std::move(reader)}, transposed_{transposed}, runs_{std::move(runs)} {
        for (const ColumnRun& run : runs_) columns_ += run.end - run.first;
    }

    std::int64_t rows() const override { return transposed_ ? reader_->columns() : reader_->rows(); }
    std::int64_t columns() const override { return columns_; }
    bool is_vector() const override { return false; }
    bool sequential() const override { return reader_->sequential(); }
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
            if (column < run.end - run.first)
                return transposed_ ? reader_->position(run.first + column, row)
                                   : reader_->position(row, run.first + column);
            column -= run.end - run.first;
        }
        return row_name(row);
    }

    void read(std::int64_t first, std::int64_t count, std::span<double> out) override {
        CONVOY_EXPECT(static_cast<std::int64_t>(out.size()) == count * columns_);
        if (transposed_) return read_transposed(first, count, out);
        if (runs_.size() == 1) return reader_->read_block({first, count, runs_[0].first, columns_}, out);
        // Several runs: rows as far as they reach are read once, and taken apart here.
        const auto [least, most] = reach();
        const std::int64_t width = most - least, step = std::max<std::int64_t>(1, piece_numbers / width);
        buffer_.resize(static_cast<std::size_t>(std::min(step, count) * width));
        for (std::int64_t done = 0; done < count; done += step) {
            const std::int64_t some = std::min(step, count - done);
            reader_->read_block({first + done, some, least, width},
                                std::span{buffer_}.first(static_cast<std::size_t>(some * width)));
            auto next = out.begin() + done * columns_;
            for (std::int64_t i = 0; i < some; ++i)
                for (const ColumnRun& run : runs_)
                    next = std::copy_n(buffer_.begin() + i * width + run.first - least, run.end - run.first, next);
        }
    }

 private:
    std::pair<std::int64_t, std::int64_t> reach() const {
        std::int64_t least = runs_[0].first, most = runs_[0].end;
        for (const ColumnRun& run : runs_) {
            least = std::min(least, run.first);
            most = std::max(most, run.end);
        }
        return {least, most};
    }

    // Rows here are columns there. As many as the buffer holds, with all of a run: a chunk of a packed dataset is
    // unpacked anew for every part of it that is asked for.
    void read_transposed(std::int64_t first, std::int64_t count, std::span<double> out) {
        std::int64_t column = 0;
        for (const ColumnRun& run : runs_) {
            const std::int64_t width = run.end - run.first, step = std::max<std::int64_t>(1, tile_numbers / width);
            for (std::int64_t at = 0; at < count; at += step) {
                const std::int64_t some = std::min(step, count - at);
                buffer_.resize(static_cast<std::size_t>(some * width));
                reader_->read_block({run.first, width, first + at, some}, buffer_);
                for (std::int64_t i = 0; i < some; ++i)
                    for (std::int64_t k = 0; k < width; ++k)
                        out[static_cast<std::size_t>((at + i) * columns_ + column + k)] =
                            buffer_[static_cast<std::size_t>(k * some + i)];
            }
            column += width;
        }
    }

    std::unique_ptr<Reader> reader_;
    bool transposed_;
    std::vector<ColumnRun> runs_;
    std::int64_t columns_ = 0;
    std::vector<double> buffer_;
};

}  // namespace

std::vector<ColumnRun> parse_columns(const std::string& text) {
    std::vector<ColumnRun> runs;
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t end = std::min(text.find(',', at), text.size());
        const auto run = parse_run(std::string_view{text}.substr(at, end - at));
        CONVOY_VALIDATE(run.has_value(),
                        fmt::format("'{}' names no columns (need numbers from 0, ranges without their end); write for "
                                    "example 6:17 for columns 6 to 16, or 0,2,5:9",
                                    text));
        runs.push_back(*run);
        at = end + 1;
    }
    return runs;
}

std::unique_ptr<Reader> select(const Location& location, std::unique_ptr<Reader> reader, bool transposed,
                               const std::string& columns) {
    if (!transposed && columns.empty()) return reader;
    if (transposed && reader->sequential())
        refuse(location, "it cannot be transposed", "it is read from its beginning to its end",
               "transpose it before, or write it as .npy or HDF5");
    std::vector<ColumnRun> runs = columns.empty() ? std::vector{ColumnRun{}} : parse_columns(columns);
    const std::int64_t width = transposed ? reader->rows() : reader->columns();
    for (ColumnRun& run : runs) {
        if (run.end < 0) run.end = width;
        if (run.first < width && run.end <= width) continue;
        refuse(location, fmt::format("it has no columns {}", columns),
               fmt::format("{}{} columns, counted from 0", transposed ? "transposed it has " : "", width),
               "name columns that are there");
    }
    return std::make_unique<Selected>(std::move(reader), transposed, std::move(runs));
}

}  // namespace convoy::io
