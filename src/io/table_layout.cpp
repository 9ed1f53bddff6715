#include "io/table_layout.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "io/input_error.hpp"
#include "io/number.hpp"
#include "io/text_lines.hpp"

namespace convoy::io {

namespace {

constexpr std::size_t most_headers = 2;
constexpr std::int64_t most_remarks = 10000;

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::ptrdiff_t numbers_in(const std::vector<std::string_view>& fields) {
    return std::ranges::count_if(fields, [](std::string_view field) { return parse_number(field).has_value(); });
}

// The separator that leaves the most numbers; among equals the first that cuts the line at all.
char separator_of(std::string_view line) {
    std::vector<std::string_view> fields;
    char best = '\0';
    std::ptrdiff_t most = 0;
    for (const char separator : {'\t', ';', ',', ' '}) {
        if (!split_fields(line, separator, fields) || fields.size() < 2) continue;
        const std::ptrdiff_t numbers = numbers_in(fields);
        if (best != '\0' && numbers <= most) continue;
        best = separator;
        most = numbers;
    }
    return best == '\0' ? ',' : best;
}

std::optional<std::int64_t> whole_number(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < 0) return std::nullopt;
    return value;
}

std::string list_of(const TableLayout& layout, const std::vector<std::int64_t>& columns) {
    std::vector<std::string> names;
    for (const std::int64_t column : columns)
        names.push_back(layout.names.empty() ? std::to_string(column) : layout.names[static_cast<std::size_t>(column)]);
    const bool long_list = names.size() > 12;
    if (long_list) names.resize(12);
    return fmt::format("{}{}", fmt::join(names, ","), long_list ? ",..." : "");
}

std::vector<std::int64_t> all_columns(const TableLayout& layout) {
    std::vector<std::int64_t> columns;
    for (std::int64_t column = 0; column < layout.columns; ++column) columns.push_back(column);
    return columns;
}

// One item of the key: a name, a number, or a range of numbers whose end is not included.
void pick(const Location& location, std::string_view item, TableLayout& layout) {
    const auto named = std::ranges::find(layout.names, item);
    if (named != layout.names.end()) {
        if (std::find(named + 1, layout.names.end(), item) != layout.names.end())
            refuse(location, fmt::format("more than one column is called '{}'", item), "",
                   "pick it by its number, from 0");
        layout.wanted.push_back(named - layout.names.begin());
        return;
    }
    const auto colon = item.find(':');
    const auto from = whole_number(item.substr(0, colon));
    const auto to = colon == std::string_view::npos ? from : whole_number(item.substr(colon + 1));
    const std::int64_t end = to ? *to + (colon == std::string_view::npos ? 1 : 0) : 0;
    if (!from || !to || *from >= end || end > layout.columns)
        refuse(
            location, fmt::format("the table has no column '{}'", item),
            fmt::format("its {} columns: {}", layout.columns, list_of(layout, all_columns(layout))),
            fmt::format("pick columns by name or number, like: {}#{}", location.path, list_of(layout, layout.numeric)));
    for (std::int64_t column = *from; column < end; ++column) layout.wanted.push_back(column);
}

void name_columns(const std::vector<std::vector<std::string>>& headers, TableLayout& layout) {
    for (const auto& header : headers) {
        const auto count = static_cast<std::int64_t>(header.size());
        if (count != layout.columns && count + 1 != layout.columns) continue;
        layout.names = header;
        // R leaves the column of row names without a name.
        if (count + 1 == layout.columns) layout.names.insert(layout.names.begin(), "");
        return;
    }
}

void expect_numeric(const Location& location, const std::vector<std::string_view>& fields, const TableLayout& layout) {
    for (const std::int64_t column : layout.wanted) {
        if (std::ranges::binary_search(layout.numeric, column)) continue;
        const std::string_view text = fields[static_cast<std::size_t>(column)];
        refuse(location,
               fmt::format("{} {}", layout.column_name(column), text.empty() ? "is empty" : "holds no numbers"),
               text.empty() ? fmt::format("line {}", layout.first_line)
                            : fmt::format("'{}' in line {}", text.substr(0, 40), layout.first_line),
               fmt::format("pick columns with numbers, like: {}#{}", location.path, list_of(layout, layout.numeric)));
    }
}

}  // namespace

bool split_fields(std::string_view line, char separator, std::vector<std::string_view>& fields) {
    fields.clear();
    const bool blanks = separator == ' ';
    if (blanks) line = trimmed(line);
    for (std::size_t at = 0;;) {
        const std::size_t start = std::min(line.find_first_not_of(separator == '\t' ? " " : " \t", at), line.size());
        std::size_t end = 0;
        if (start < line.size() && line[start] == '"') {
            std::size_t quote = start + 1;  // the closing one; doubled quotes stand for one inside the field
            for (;; quote += 2) {
                quote = line.find('"', quote);
                if (quote == std::string_view::npos) return false;
                if (quote + 1 >= line.size() || line[quote + 1] != '"') break;
            }
            fields.push_back(trimmed(line.substr(start + 1, quote - start - 1)));
            end = blanks ? line.find_first_of(" \t", quote) : line.find(separator, quote);
        } else {
            end = blanks ? line.find_first_of(" \t", start) : line.find(separator, at);
            const std::size_t from = blanks ? start : at;
            fields.push_back(trimmed(line.substr(from, end == std::string_view::npos ? end : end - from)));
        }
        if (end == std::string_view::npos) return true;
        at = end + 1;
    }
}

std::string TableLayout::column_name(std::int64_t column) const {
    if (names.empty() || names[static_cast<std::size_t>(column)].empty()) return fmt::format("column {}", column);
    return fmt::format("column '{}'", names[static_cast<std::size_t>(column)]);
}

TableLayout lay_out_table(const Location& location) {
    TextLines lines{location};
    TableLayout layout;
    std::vector<std::string_view> fields;
    std::vector<std::vector<std::string>> headers;
    std::vector<std::string> remark;
    std::int64_t remarks = 0;
    for (;;) {
        const auto line = lines.next();
        if (!line)
            refuse(location, "the table has no row of numbers", fmt::format("{} lines read", lines.number()),
                   "check the file");
        if (trimmed(*line).empty()) continue;
        const bool remarked = line->starts_with("# ") || *line == "#";
        const std::string_view text = remarked ? line->substr(1) : *line;
        layout.separator = separator_of(text);
        if (!split_fields(text, layout.separator, fields))
            refuse(location, "a quoted field does not end", fmt::format("line {}", lines.number()),
                   "close the quote; fields over several lines are not read");
        if (remarked) {
            if (++remarks > most_remarks) refuse(location, "the table begins with too many remarks", "", "remove them");
            remark.assign(fields.begin(), fields.end());
        } else if (numbers_in(fields) > 0) {
            break;
        } else if (headers.size() == most_headers) {
            refuse(location, fmt::format("line {} has no number", lines.number()),
                   fmt::format("{} header lines at most", most_headers), "remove what is not part of the table");
        } else {
            headers.emplace_back(fields.begin(), fields.end());
        }
    }
    headers.push_back(remark);  // the last remark may name the columns, as NumPy's savetxt writes them
    layout.first_line = lines.number();
    layout.columns = static_cast<std::int64_t>(fields.size());
    name_columns(headers, layout);
    for (std::int64_t column = 0; column < layout.columns; ++column)
        if (parse_number(fields[static_cast<std::size_t>(column)])) layout.numeric.push_back(column);

    std::string_view key = location.key;
    while (!key.empty()) {
        const auto comma = key.find(',');
        pick(location, trimmed(key.substr(0, comma)), layout);
        key = comma == std::string_view::npos ? std::string_view{} : key.substr(comma + 1);
    }
    if (location.key.empty()) layout.wanted = all_columns(layout);
    expect_numeric(location, fields, layout);
    return layout;
}

}  // namespace convoy::io
