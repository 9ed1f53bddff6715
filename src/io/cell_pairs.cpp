#include "io/cell_pairs.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <set>

#include "convoy/error.hpp"
#include "io/h5ad_contents.hpp"
#include "io/hdf5_dataset.hpp"
#include "io/input_error.hpp"
#include "io/number.hpp"
#include "io/obs_frame.hpp"
#include "io/row_filter.hpp"

namespace convoy::io {

namespace {

constexpr std::int64_t rows_at_once = std::int64_t{1} << 18;
constexpr std::size_t most_listed = 12;

// Values and what stands between them, one after the other.
class PairText {
 public:
    explicit PairText(const std::string& text) : text_{text} {}

    bool at_end() const { return at_ >= text_.size(); }
    std::string value() {
        if (at_end() || text_[at_] != '"') {
            const auto end = std::min(text_.find_first_of(":,", at_), text_.size());
            if (end == at_) refuse("a value is empty");
            const std::string word = text_.substr(at_, end - at_);
            at_ = end;
            return word;
        }
        const auto quote = text_.find('"', at_ + 1);
        if (quote == std::string::npos) refuse("a quote does not end");
        const std::string word = text_.substr(at_ + 1, quote - at_ - 1);
        at_ = quote + 1;
        return word;
    }
    void expect(char sign) {
        if (at_end() || text_[at_] != sign)
            refuse(sign == ':' ? "a value has no partner" : "something follows a pair that is no comma");
        ++at_;
    }

 private:
    [[noreturn]] void refuse(const std::string& problem) const {
        throw InputError{
            fmt::format("'{}' names no pairs ({}); write sequential, star:VALUE or A:B,A:B, values with a colon or a "
                        "comma in double quotes",
                        text_, problem)};
    }

    const std::string& text_;
    std::size_t at_ = 0;
};

// For conditions: quotes are no part of a value there.
std::string quoted(const std::string& value) {
    return value.find('"') == std::string::npos ? fmt::format("\"{}\"", value) : value;
}

bool needs_quotes(const std::string& value) {
    return value.empty() || value.find(',') != std::string::npos || value.front() == ' ' || value.back() == ' ';
}

// What rank 0 finds.
class Choice {
 public:
    Choice(const InputOptions& input, const std::string& request)
        : location_{Location::parse(input.points)}, input_{input} {
        if (!is_h5ad(location_.path))
            refuse(location_, "it has no table of labels", "pairs are made by a column of obs, which .h5ad files have",
                   "give such a file");
        expect_readable_file(location_);
        file_ = open_hdf5_input(location_);
        obs_ = ObsFrame::open(location_, file_.get(), "obs");
        if (!obs_) refuse(location_, "it has no table 'obs'", "pairs are made by one of its columns");
        const std::string words = cut(request);
        request_ = parse_pairs(words);
    }

    CellPairs made() {
        find_values();
        const std::vector<std::pair<std::int32_t, std::int32_t>> chosen = pairs_of_levels();
        constexpr std::int16_t in_no_pair = -1, in_a_pair = 0;
        std::vector<std::int16_t> group_of_level(levels_.size(), in_no_pair);
        const auto group_of = [&](std::int32_t level) -> std::int16_t& {
            return group_of_level[static_cast<std::size_t>(level)];
        };
        for (const auto& [source, target] : chosen) group_of(source) = group_of(target) = in_a_pair;
        CellPairs found;
        found.column = column_;
        found.order = order_;
        for (const std::int32_t level : sorted_) {
            if (group_of(level) == in_no_pair) continue;
            expect_few(found.values.size() + 1);
            group_of(level) = static_cast<std::int16_t>(found.values.size());
            found.values.push_back(levels_.label(level));
            found.cells.push_back(levels_.rows(level));
        }
        for (const auto& [source, target] : chosen)
            found.pairs.emplace_back(static_cast<std::size_t>(group_of(source)),
                                     static_cast<std::size_t>(group_of(target)));
        for (const std::int32_t level : level_of_row_)
            if (level >= 0 && group_of(level) != in_no_pair) found.group_of_cell.push_back(group_of(level));
        return found;
    }

 private:
    // A column's name may have signs itself: the first cut whose left side is a column counts.
    std::string cut(const std::string& request) {
        for (auto at = request.find('='); at != std::string::npos; at = request.find('=', at + 1)) {
            if (!obs_->has(request.substr(0, at))) continue;
            column_ = request.substr(0, at);
            return request.substr(at + 1);
        }
        const auto at = request.find('=');
        if (at == std::string::npos || at == 0)
            refuse(location_, fmt::format("'{}' names no column", request),
                   "need COLUMN=sequential, COLUMN=star:VALUE or COLUMN=A:B", list_of_columns(*obs_));
        refuse(location_, fmt::format("obs has no column '{}'", request.substr(0, at)), list_of_columns(*obs_),
               "choose one of its columns");
    }

    void find_values() {
        const auto reader = open_reader(location_);
        if (reader->rows() != obs_->rows())
            refuse(location_, fmt::format("{} has {} rows", reader->place(), reader->rows()),
                   fmt::format("'obs' has {}", obs_->rows()), "choose a matrix with a row for each cell");
        std::optional<RowSelection> chosen;
        if (!input_.where.empty()) chosen = reader->filter(input_.where).rows;
        ObsColumn column = obs_->column(column_);
        column_kind_ = column.type();
        listed_by_ = column.order();
        level_of_row_.reserve(static_cast<std::size_t>(column.rows()));
        std::vector<std::int32_t> levels;
        for (std::int64_t at = 0; at < column.rows(); at += rows_at_once) {
            column.read(at, std::min(rows_at_once, column.rows() - at), levels_, levels);
            for (std::size_t k = 0; k < levels.size(); ++k) {
                if (chosen && !chosen->holds(at + static_cast<std::int64_t>(k))) continue;
                level_of_row_.push_back(levels[k]);
            }
        }
        levels_.count(level_of_row_);
        sort_values(column);
        value_ = [column = std::make_shared<ObsColumn>(std::move(column))](const std::string& word) {
            return column->value(word);
        };
    }

    // Values that there are, in their order.
    void sort_values(const ObsColumn& column) {
        bool numbers = true;
        for (std::int32_t level = 0; level < std::ssize(levels_); ++level) {
            if (levels_.rows(level) == 0) continue;
            sorted_.push_back(level);
            numbers = numbers && parse_number(levels_.label(level)).has_value();
        }
        const auto label = [&](std::int32_t level) { return levels_.label(level); };
        if (numbers) {
            order_ = "by size";
            std::ranges::stable_sort(sorted_, {}, [&](std::int32_t level) { return *parse_number(label(level)); });
        } else if (column.categorical()) {
            order_ = "as the file lists its categories";
        } else {
            order_ = "by the alphabet";
            std::ranges::sort(sorted_, {}, label);
        }
    }

    std::int32_t level_of(const std::string& word) const {
        const std::optional<std::string> value = value_(word);
        const auto found =
            std::ranges::find_if(sorted_, [&](std::int32_t level) { return value && levels_.label(level) == *value; });
        if (found == sorted_.end())
            refuse(location_, fmt::format("no cell has {}={}", column_, word), what_there_is(),
                   "choose one of its values");
        return *found;
    }

    std::string what_there_is() const {
        std::string list = levels_.list(most_listed, listed_by_);
        if (levels_.missing_rows() > 0) list += fmt::format("; {} rows have none", levels_.missing_rows());
        return fmt::format("'{}', {}, has {}", column_, column_kind_, list);
    }

    void expect_few(std::size_t values) const {
        if (values > CellPairs::most_values || (request_.kind != PairRequest::Kind::listed && levels_.other_rows() > 0))
            refuse(location_, fmt::format("'{}' has too many values", column_),
                   fmt::format("{} at most can be in pairs", CellPairs::most_values),
                   "list some pairs like A:B, or choose another column");
    }

    std::vector<std::pair<std::int32_t, std::int32_t>> pairs_of_levels() const {
        std::vector<std::pair<std::int32_t, std::int32_t>> pairs;
        if (request_.kind == PairRequest::Kind::listed) {
            std::set<std::pair<std::int32_t, std::int32_t>> known;
            for (const auto& [source, target] : request_.listed) {
                pairs.emplace_back(level_of(source), level_of(target));
                if (!known.insert(pairs.back()).second)
                    refuse(location_, fmt::format("the pair {}:{} is listed twice", source, target), "",
                           "leave one out");
            }
            return pairs;
        }
        expect_few(sorted_.size());
        if (request_.kind == PairRequest::Kind::star) {
            const std::int32_t centre = level_of(request_.centre);
            for (const std::int32_t level : sorted_)
                if (level != centre) pairs.emplace_back(centre, level);
        } else {
            for (std::size_t k = 0; k + 1 < sorted_.size(); ++k) pairs.emplace_back(sorted_[k], sorted_[k + 1]);
        }
        if (pairs.empty()) refuse(location_, "there is no pair", what_there_is(), "choose another column");
        return pairs;
    }

    Location location_;
    const InputOptions& input_;
    Hdf5 file_;
    std::optional<ObsFrame> obs_;
    PairRequest request_;
    std::string column_, column_kind_, order_;
    Levels::Order listed_by_ = Levels::Order::met;
    Levels levels_;
    std::vector<std::int32_t> level_of_row_;  // of the cells that the input chooses
    std::vector<std::int32_t> sorted_;        // levels that there are, in their order
    std::function<std::optional<std::string>(const std::string&)> value_;
};

void broadcast(const Communicator& world, CellPairs& pairs) {
    std::array<std::int64_t, 3> sizes{std::ssize(pairs.values), std::ssize(pairs.pairs),
                                      std::ssize(pairs.group_of_cell)};
    world.broadcast(std::span<std::int64_t>{sizes});
    world.broadcast(pairs.column);
    world.broadcast(pairs.order);
    pairs.values.resize(static_cast<std::size_t>(sizes[0]));
    pairs.cells.resize(static_cast<std::size_t>(sizes[0]));
    pairs.pairs.resize(static_cast<std::size_t>(sizes[1]));
    pairs.group_of_cell.resize(static_cast<std::size_t>(sizes[2]));
    for (std::string& value : pairs.values) world.broadcast(value);
    world.broadcast(std::span{pairs.cells});
    world.broadcast(std::span{pairs.group_of_cell});
    for (auto& [source, target] : pairs.pairs) {
        std::array<std::int64_t, 2> both{static_cast<std::int64_t>(source), static_cast<std::int64_t>(target)};
        world.broadcast(std::span<std::int64_t>{both});
        source = static_cast<std::size_t>(both[0]);
        target = static_cast<std::size_t>(both[1]);
    }
}

}  // namespace

PairRequest parse_pairs(const std::string& text) {
    constexpr std::string_view star = "star:";
    if (text == "sequential") return {};
    PairRequest request;
    if (text.starts_with(star)) {
        request.kind = PairRequest::Kind::star;
        request.centre = text.substr(star.size());
        if (request.centre.size() > 1 && request.centre.front() == '"' && request.centre.back() == '"')
            request.centre = request.centre.substr(1, request.centre.size() - 2);
        CONVOY_VALIDATE(!request.centre.empty(), "'star:' names no pairs (a value is missing); write star:VALUE");
        return request;
    }
    request.kind = PairRequest::Kind::listed;
    PairText words{text};
    for (;;) {
        std::string source = words.value();
        words.expect(':');
        request.listed.emplace_back(std::move(source), words.value());
        if (words.at_end()) return request;
        words.expect(',');
    }
}

std::string CellPairs::condition(std::size_t value) const {
    const std::string& label = values[value];
    return column + "=" + (needs_quotes(label) ? quoted(label) : label);
}

std::string CellPairs::condition_of_all() const {
    std::vector<std::string> words;
    for (const std::string& value : values) words.push_back(quoted(value));
    return fmt::format("{}={}", column, fmt::join(words, ","));
}

CellPairs choose_pairs(const Communicator& world, const InputOptions& input, const std::string& request) {
    CellPairs pairs;
    agree(world, [&] {
        if (world.is_root()) pairs = Choice{input, request}.made();
    });
    broadcast(world, pairs);
    return pairs;
}

}  // namespace convoy::io
