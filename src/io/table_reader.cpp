// Text tables: one pass counts the rows, another reads the numbers, in bounded memory.

#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "convoy/error.hpp"
#include "io/formats.hpp"
#include "io/input_error.hpp"
#include "io/number.hpp"
#include "io/table_layout.hpp"
#include "io/text_lines.hpp"

namespace convoy::io {

namespace {

bool is_blank(std::string_view line) {
    return line.find_first_not_of(" \t") == std::string_view::npos;
}

class TableReader final : public Reader {
 public:
    explicit TableReader(const Location& location)
        : location_{location}, layout_{lay_out_table(location)}, lines_{location} {
        TextLines lines{location};
        while (const auto line = lines.next())
            if (lines.number() >= layout_.first_line && !is_blank(*line)) ++rows_;
    }

    std::int64_t rows() const override { return rows_; }
    std::int64_t columns() const override { return static_cast<std::int64_t>(layout_.wanted.size()); }
    bool is_vector() const override { return columns() == 1; }
    bool sequential() const override { return true; }
    std::string place() const override { return "table"; }

    std::string row_name(std::int64_t row) const override {
        const std::int64_t at = row - first_;
        if (at < 0 || at >= static_cast<std::int64_t>(numbers_.size())) return Reader::row_name(row);
        return fmt::format("line {}", numbers_[static_cast<std::size_t>(at)]);
    }

    void read(std::int64_t first, [[maybe_unused]] std::int64_t count, std::span<double> out) override {
        CONVOY_EXPECT(first >= next_ && first + count <= rows_);
        CONVOY_EXPECT(static_cast<std::int64_t>(out.size()) == count * columns());
        while (next_ < first) next_row();
        first_ = first;
        numbers_.clear();
        for (std::size_t at = 0; at < out.size(); at += layout_.wanted.size()) {
            parse(next_row(), out.subspan(at, layout_.wanted.size()));
            numbers_.push_back(lines_.number());
        }
    }

 private:
    std::string_view next_row() {
        for (;;) {
            const auto line = lines_.next();
            if (!line)
                refuse(location_, "the table became shorter while it was read",
                       fmt::format("{} rows at first, {} now", rows_, next_), "do not change inputs during a run");
            if (lines_.number() < layout_.first_line || is_blank(*line)) continue;
            ++next_;
            return *line;
        }
    }

    void parse(std::string_view line, std::span<double> out) {
        const std::int64_t number = lines_.number();
        if (!split_fields(line, layout_.separator, fields_))
            refuse(location_, "a quoted field does not end", fmt::format("line {}", number),
                   "close the quote; fields over several lines are not read");
        if (static_cast<std::int64_t>(fields_.size()) != layout_.columns)
            refuse(location_, fmt::format("line {} has {} columns", number, fields_.size()),
                   fmt::format("line {} has {}", layout_.first_line, layout_.columns), "repair the table");
        for (std::size_t k = 0; k < out.size(); ++k) {
            const std::string_view text = fields_[static_cast<std::size_t>(layout_.wanted[k])];
            const std::optional<double> value = parse_number(text);
            if (!value || !std::isfinite(*value)) refuse_field(number, layout_.wanted[k], text, value.has_value());
            out[k] = *value;
        }
    }

    [[noreturn]] void refuse_field(std::int64_t line, std::int64_t column, std::string_view text, bool number) const {
        const std::string where = fmt::format("line {}, {}", line, layout_.column_name(column));
        if (text.empty()) refuse(location_, where + " is empty", "need a number", "fill it in, or remove the line");
        refuse(location_, fmt::format("{} is '{}'", where, text.substr(0, 40)),
               number ? "need a finite number" : "need a number", "repair or remove the line");
    }

    Location location_;
    TableLayout layout_;
    TextLines lines_;
    std::int64_t rows_ = 0;
    std::int64_t next_ = 0;              // row that next_row() gives next
    std::int64_t first_ = 0;             // first row of the last read ...
    std::vector<std::int64_t> numbers_;  // ... and the lines of its rows
    std::vector<std::string_view> fields_;
};

}  // namespace

std::unique_ptr<Reader> open_table(const Location& location) {
    return std::make_unique<TableReader>(location);
}

}  // namespace convoy::io
