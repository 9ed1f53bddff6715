#pragma once
// One column of a table of AnnData's, such as obs: text, numbers or booleans, as they are, with a mask of what is
// missing, or as categories; in every layout that AnnData has written.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/numeric_rows.hpp"
#include "io/obs_levels.hpp"
#include "io/text_rows.hpp"

namespace convoy::io {

// Values as they lie in the file. Either numbers or texts.
struct PlainColumn {
    std::optional<NumericRows> numbers;
    std::optional<TextRows> texts;
    std::optional<NumericRows> mask;  // not 0: missing
};

class ObsColumn {
 public:
    enum class Kind { text, integer, real, boolean };

    // \param name for messages
    ObsColumn(const Location& location, std::string name, PlainColumn values);
    // \param categories is read here; codes below 0 are missing. \throws InputError
    ObsColumn(const Location& location, std::string name, NumericRows codes, ObsColumn categories);

    Kind kind() const { return kind_; }
    bool is_numeric() const { return kind_ != Kind::text; }
    bool categorical() const { return is_categorical_; }
    std::int64_t categories() const { return std::ssize(labels_); }
    std::int64_t rows() const;
    // In which its values are listed: that of the categories, else the natural one.
    Levels::Order order() const {
        return is_categorical_          ? Levels::Order::met
               : kind_ == Kind::text    ? Levels::Order::text
               : kind_ == Kind::boolean ? Levels::Order::text
                                        : Levels::Order::number;
    }
    // "category", "text", "float32", ...
    std::string type() const;

    // What a word stands for among these values: in a column of numbers, 10.0 for 10. Nothing if it can be none.
    std::optional<std::string> value(std::string_view word) const;

    // For each row the number of its value in `levels`, always the same ones for this column. \throws InputError
    void read(std::int64_t first, std::int64_t count, Levels& levels, std::vector<std::int32_t>& into);
    // Values as text; empty where missing. \throws InputError
    std::vector<std::string> read(std::int64_t first, std::int64_t count);
    // Of a numeric column; nan where missing. \throws InputError
    void read(std::span<const GlobalRun> runs, std::span<double> out);

 private:
    std::string label(std::int64_t number) const;
    std::string label(double number) const;
    void read_codes(std::span<const GlobalRun> runs, std::vector<std::int64_t>& codes);
    void read_mask(std::span<const GlobalRun> runs, std::vector<std::int64_t>& mask);
    template <class Missing, class Text, class Number>
    void read_each(std::int64_t first, std::int64_t count, Missing&& missing, Text&& text, Number&& number);

    Location location_;
    std::string name_;
    Kind kind_ = Kind::text;
    bool is_categorical_ = false;
    PlainColumn values_;  // codes, if categorical
    bool is_single_ = false, is_unsigned_ = false;
    std::vector<std::string> labels_;  // of categories
    std::vector<double> numbers_;      // of numeric categories
    Levels* known_ = nullptr;          // which these numbers refer to
    std::vector<std::int32_t> levels_of_categories_;
};

}  // namespace convoy::io
