#include "io/row_filter.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <string_view>
#include <utility>

#include "convoy/error.hpp"
#include "io/input_error.hpp"

namespace convoy::io {

namespace {

constexpr std::int64_t rows_at_once = std::int64_t{1} << 18;
constexpr std::size_t most_listed = 12;
constexpr std::size_t most_values = 1000;  // of one condition
constexpr std::size_t longest_join = 8;    // pieces between commas that may be one value

// Cut at its sign.
struct Condition {
    std::string column;
    bool negated = false;
    std::string values;
};

// A column's name may have signs itself: the first cut whose left side is a column counts.
Condition cut(const Location& location, const ObsFrame& table, const std::string& text) {
    for (auto at = text.find('='); at != std::string::npos; at = text.find('=', at + 1)) {
        const bool negated = at > 0 && text[at - 1] == '!';
        if (negated && table.has(text.substr(0, at - 1))) return {text.substr(0, at - 1), true, text.substr(at + 1)};
        if (table.has(text.substr(0, at))) return {text.substr(0, at), false, text.substr(at + 1)};
    }
    const auto at = text.find('=');
    if (at == std::string::npos || at == 0)
        refuse(location, fmt::format("'{}' is no condition", text), "need COLUMN=VALUE or COLUMN!=VALUE",
               list_of_columns(table));
    refuse(location,
           fmt::format("{} has no column '{}'", table.path(), text.substr(0, text[at - 1] == '!' ? at - 1 : at)),
           list_of_columns(table), "choose one of its columns");
}

// What is between commas.
struct Word {
    std::string text;
    bool quoted = false;
};

std::vector<Word> words_of(const Location& location, const Condition& condition) {
    std::vector<Word> words;
    const std::string& text = condition.values;
    for (std::size_t at = 0;;) {
        std::size_t end = 0;
        if (at < text.size() && text[at] == '"') {
            const auto quote = text.find('"', at + 1);
            end = quote == std::string::npos ? quote : quote + 1;
            if (end == std::string::npos || (end < text.size() && text[end] != ','))
                refuse(location, fmt::format("a quote in '{}' does not end before a comma", text), "",
                       "write values with commas like \"a, b\"");
            words.push_back({text.substr(at + 1, quote - at - 1), true});
        } else {
            end = std::min(text.find(',', at), text.size());
            words.push_back({text.substr(at, end - at), false});
        }
        if (end >= text.size()) break;
        at = end + 1;
    }
    if (words.size() > most_values)
        refuse(location, fmt::format("a condition on '{}' lists {} values", condition.column, words.size()),
               fmt::format("{} at most", most_values), "give fewer");
    return words;
}

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(' ');
    return first == std::string_view::npos ? std::string_view{}
                                           : text.substr(first, text.find_last_not_of(' ') - first + 1);
}

// Words from one on, so many, taken as one value: as they are, else without the blanks around them.
struct Candidate {
    std::size_t first = 0, count = 1;
    std::int32_t level = -1, trimmed_level = -1;
    std::int32_t found = -1;
};

// One condition on one column: which rows it holds for.
class Filter {
 public:
    Filter(const Location& location, const ObsFrame& table, const std::string& text)
        : location_{location},
          condition_{cut(location, table, text)},
          column_{table.column(condition_.column)},
          words_{words_of(location, condition_)} {}

    // Narrows `rows`, and adds those without a value to `unknown`.
    void apply(RowSelection& rows, RowSelection& unknown) {
        note_candidates();
        scan();
        choose();
        RowSelection chosen{column_.rows()};
        for (std::int64_t row = 0; row < column_.rows(); ++row) {
            const std::uint16_t kind = kinds_[static_cast<std::size_t>(row)];
            if (kind == no_value)
                unknown.add(row);
            else if (wanted_[kind] != condition_.negated)
                chosen.add(row);
        }
        rows.keep(chosen);
    }

 private:
    // Kinds of rows: no value, a value that nobody asked for, else 2 + its level among those asked for.
    static constexpr std::uint16_t no_value = 0, not_asked = 1;

    void note_candidates() {
        if (column_.categorical()) {  // all of its values have their numbers now
            std::vector<std::int32_t> none;
            column_.read(0, 0, levels_, none);
        }
        const auto note = [&](std::string_view text) {
            const std::optional<std::string> value = column_.value(text);
            return value ? levels_.add(*value) : -1;
        };
        for (std::size_t first = 0; first < words_.size(); ++first) {
            std::string text;
            for (std::size_t count = 1; first + count <= words_.size() && count <= longest_join; ++count) {
                const Word& word = words_[first + count - 1];
                if (count > 1 && word.quoted) break;
                text += (count > 1 ? "," : "") + word.text;
                Candidate candidate{.first = first, .count = count};
                candidate.level = note(text);
                if (!word.quoted) candidate.trimmed_level = note(trimmed(text));
                candidates_.push_back(candidate);
                if (word.quoted) break;
            }
        }
    }

    // One pass over the column: what there is, how often, and what each row has of what was asked.
    void scan() {
        const std::size_t known = levels_.size();
        std::vector<std::uint16_t> kind_of(known, not_asked);
        std::uint16_t kinds = not_asked;
        for (const Candidate& candidate : candidates_)
            for (const std::int32_t level : {candidate.level, candidate.trimmed_level})
                if (level >= 0 && kind_of[static_cast<std::size_t>(level)] == not_asked)
                    kind_of[static_cast<std::size_t>(level)] = ++kinds;
        kinds_.reserve(static_cast<std::size_t>(column_.rows()));
        std::vector<std::int32_t> levels;
        for (std::int64_t at = 0; at < column_.rows(); at += rows_at_once) {
            column_.read(at, std::min(rows_at_once, column_.rows() - at), levels_, levels);
            levels_.count(levels);
            for (const std::int32_t level : levels)
                kinds_.push_back(level == Levels::missing ? no_value
                                 : level >= 0 && static_cast<std::size_t>(level) < known
                                     ? kind_of[static_cast<std::size_t>(level)]
                                     : not_asked);
        }
        kind_of_ = std::move(kind_of);
        wanted_.assign(static_cast<std::size_t>(kinds) + 1, false);
    }

    bool is_there(std::int32_t level) const {
        // The first levels of a column of categories are these.
        return level >= 0 && (levels_.rows(level) > 0 || level < column_.categories());
    }

    // Cuts the words into values that there are: there must be one way to do that.
    void choose() {
        std::vector<std::vector<const Candidate*>> from(words_.size());
        for (Candidate& candidate : candidates_) {
            candidate.found = is_there(candidate.level)           ? candidate.level
                              : is_there(candidate.trimmed_level) ? candidate.trimmed_level
                                                                  : -1;
            if (candidate.found >= 0) from[candidate.first].push_back(&candidate);
        }
        std::vector<int> ways(words_.size() + 1, 0);  // from here to the end: none, one, more
        ways.back() = 1;
        for (std::size_t k = words_.size(); k-- > 0;)
            for (const Candidate* candidate : from[k]) ways[k] = std::min(2, ways[k] + ways[k + candidate->count]);
        if (ways[0] == 0) refuse_unknown(from);
        if (ways[0] > 1)
            refuse(location_, fmt::format("'{}' can be read in more than one way", condition_.values),
                   fmt::format("'{}' has values with commas", condition_.column),
                   "put each such value in double quotes");
        for (std::size_t k = 0; k < words_.size();) {
            for (const Candidate* candidate : from[k]) {
                if (ways[k + candidate->count] == 0) continue;
                wanted_[kind_of_[static_cast<std::size_t>(candidate->found)]] = true;
                k += candidate->count;
                break;
            }
        }
    }

    [[noreturn]] void refuse_unknown(const std::vector<std::vector<const Candidate*>>& from) const {
        std::size_t first = 0;
        while (first + 1 < words_.size() && !from[first].empty()) first += from[first].front()->count;
        first = std::min(first, words_.size() - 1);
        std::string list = levels_.list(most_listed, column_.order());
        if (levels_.missing_rows() > 0) list += fmt::format("; {} rows have none", levels_.missing_rows());
        refuse(location_, fmt::format("no row has {}={}", condition_.column, words_[first].text),
               fmt::format("'{}', {}, has {}", condition_.column, column_.type(), list), "choose one of its values");
    }

    const Location& location_;
    Condition condition_;
    ObsColumn column_;
    std::vector<Word> words_;
    std::vector<Candidate> candidates_;
    Levels levels_;
    std::vector<std::uint16_t> kind_of_, kinds_;
    std::vector<bool> wanted_;
};

}  // namespace

std::string list_of_columns(const ObsFrame& table) {
    std::vector<std::string> words;
    for (const std::string& name : table.columns()) {
        if (words.size() == most_listed) {
            words.push_back(fmt::format("and {} more", table.columns().size() - most_listed));
            break;
        }
        try {
            const ObsColumn column = table.column(name);
            words.push_back(column.categorical() ? fmt::format("{} ({} categories)", name, column.categories())
                                                 : fmt::format("{} ({})", name, column.type()));
        } catch (const InputError&) {
            words.push_back(fmt::format("{} (not readable)", name));
        }
    }
    if (words.empty()) return fmt::format("{} has no columns", table.path());
    return fmt::format("{} has {}", table.path(), fmt::join(words, ", "));
}

FilteredRows filter_rows(const Location& location, const ObsFrame& table, const std::vector<std::string>& conditions) {
    FilteredRows found{RowSelection{table.rows()}, 0};
    for (std::int64_t row = 0; row < table.rows(); ++row) found.rows.add(row);
    RowSelection unknown{table.rows()};
    std::vector<std::int64_t> left;
    for (const std::string& text : conditions) {
        Filter{location, table, text}.apply(found.rows, unknown);
        found.rows.count();
        left.push_back(found.rows.rows());
    }
    found.rows.count();
    unknown.count();
    found.without_value = unknown.rows();
    if (found.rows.rows() > 0) return found;
    std::vector<std::string> steps;
    for (std::size_t k = 0; k < conditions.size(); ++k) steps.push_back(fmt::format("{}: {}", conditions[k], left[k]));
    refuse(location, "no row is left",
           fmt::format("of {}, one condition after the other leaves {}", table.rows(), fmt::join(steps, ", ")),
           "choose other values");
}

}  // namespace convoy::io
