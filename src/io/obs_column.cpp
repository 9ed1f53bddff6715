#include "io/obs_column.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>

#include "convoy/error.hpp"
#include "io/hdf5_dataset.hpp"
#include "io/input_error.hpp"
#include "io/number.hpp"

namespace convoy::io {

namespace {

constexpr std::int64_t rows_at_once = std::int64_t{1} << 18;

std::string lower_case(std::string_view text) {
    std::string lower{text};
    std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return lower;
}

}  // namespace

ObsColumn::ObsColumn(const Location& location, std::string name, PlainColumn values)
    : location_{location}, name_{std::move(name)}, values_{std::move(values)} {
    CONVOY_EXPECT(values_.numbers.has_value() != values_.texts.has_value());
    if (values_.numbers) {
        const NumericRows& numbers = *values_.numbers;
        if (numbers.columns() != 1)
            refuse(location_, fmt::format("column '{}' has {} numbers in a row", name_, numbers.columns()), "need one");
        kind_ = numbers.is_boolean() ? Kind::boolean : numbers.is_integer() ? Kind::integer : Kind::real;
        is_single_ = numbers.is_single();
        is_unsigned_ = numbers.is_unsigned();
    }
    if (values_.mask && values_.mask->rows() != rows())
        refuse(location_,
               fmt::format("column '{}' has {} values and a mask of {}", name_, rows(), values_.mask->rows()),
               "damaged file", "write it again");
}

ObsColumn::ObsColumn(const Location& location, std::string name, NumericRows codes, ObsColumn categories)
    : location_{location}, name_{std::move(name)}, is_categorical_{true} {
    if (categories.is_categorical_ || !codes.is_integer() || codes.columns() != 1)
        refuse(location_, fmt::format("column '{}' is no column of categories", name_), "damaged file",
               "write it again");
    kind_ = categories.kind_;
    is_single_ = categories.is_single_;
    is_unsigned_ = categories.is_unsigned_;
    if (categories.rows() > std::numeric_limits<std::int32_t>::max())
        refuse(location_, fmt::format("column '{}' has {} categories", name_, categories.rows()), "too many");
    const GlobalRun all{GlobalIndex{0}, categories.rows()};
    if (categories.is_numeric()) {
        numbers_.resize(static_cast<std::size_t>(all.count));
        categories.read({&all, 1}, numbers_);
    }
    labels_ = categories.read(0, all.count);
    values_.numbers = std::move(codes);
}

std::int64_t ObsColumn::rows() const {
    return values_.numbers ? values_.numbers->rows() : values_.texts->rows();
}

std::string ObsColumn::type() const {
    if (is_categorical_) return "category";
    if (kind_ == Kind::text) return "text";
    if (kind_ == Kind::boolean) return "boolean";
    return type_name(values_.numbers->type());
}

std::string ObsColumn::label(std::int64_t number) const {
    if (kind_ == Kind::boolean) return number != 0 ? "true" : "false";
    return is_unsigned_ ? fmt::format("{}", static_cast<std::uint64_t>(number)) : fmt::format("{}", number);
}

// The shortest that reads back as this number.
std::string ObsColumn::label(double number) const {
    number += 0.0;  // no -0
    return is_single_ ? fmt::format("{}", static_cast<float>(number)) : fmt::format("{}", number);
}

std::optional<std::string> ObsColumn::value(std::string_view word) const {
    if (kind_ == Kind::text) return std::string{word};
    if (kind_ == Kind::boolean) {
        const std::string lower = lower_case(word);
        if (lower == "true" || lower == "1") return "true";
        if (lower == "false" || lower == "0") return "false";
        return std::nullopt;
    }
    if (kind_ == Kind::integer) {
        // Long ones have more digits than fp64.
        std::int64_t whole = 0;
        std::uint64_t natural = 0;
        const char *begin = word.data(), *end = begin + word.size();
        if (const auto found = std::from_chars(begin, end, whole); found.ec == std::errc{} && found.ptr == end)
            return fmt::format("{}", whole);
        if (const auto found = std::from_chars(begin, end, natural); found.ec == std::errc{} && found.ptr == end)
            return fmt::format("{}", natural);
    }
    const std::optional<double> number = parse_number(word);
    if (!number || std::isnan(*number)) return std::nullopt;
    if (kind_ == Kind::integer)
        return *number == std::trunc(*number) && std::abs(*number) < 9e18
                   ? fmt::format("{}", static_cast<std::int64_t>(*number))
                   : std::optional<std::string>{};
    return label(*number);
}

void ObsColumn::read_codes(std::span<const GlobalRun> runs, std::vector<std::int64_t>& codes) {
    values_.numbers->read(runs, std::span<std::int64_t>{codes});
    for (const std::int64_t code : codes)
        if (code >= categories())
            refuse(location_, fmt::format("column '{}' has a code {}", name_, code),
                   fmt::format("it has {} categories", categories()), "the file is damaged: write it again");
}

void ObsColumn::read_mask(std::span<const GlobalRun> runs, std::vector<std::int64_t>& mask) {
    if (values_.mask)
        values_.mask->read(runs, std::span<std::int64_t>{mask});
    else
        std::ranges::fill(mask, 0);
}

// Row by row, of values that are no categories: missing(), text(value), or number(bits, label()).
template <class Missing, class Text, class Number>
void ObsColumn::read_each(std::int64_t first, std::int64_t count, Missing&& missing, Text&& text, Number&& number) {
    for (std::int64_t at = 0; at < count; at += rows_at_once) {
        const GlobalRun run{GlobalIndex{first + at}, std::min(rows_at_once, count - at)};
        const auto length = static_cast<std::size_t>(run.count);
        std::vector<std::int64_t> mask(length), integers;
        read_mask({&run, 1}, mask);
        std::vector<std::string> texts;
        std::vector<double> reals;
        if (values_.texts) {
            texts = values_.texts->read(run.first.value, run.count);
        } else if (kind_ == Kind::real) {
            reals.resize(length);
            values_.numbers->read({&run, 1}, std::span<double>{reals});
        } else {
            integers.resize(length);
            values_.numbers->read({&run, 1}, std::span<std::int64_t>{integers});
        }
        for (std::size_t k = 0; k < length; ++k) {
            if (mask[k] != 0 || (kind_ == Kind::real && std::isnan(reals[k])))
                missing();
            else if (values_.texts)
                text(texts[k]);
            else if (kind_ == Kind::real)
                number(std::bit_cast<std::uint64_t>(reals[k] + 0.0), [&] { return label(reals[k]); });
            else
                number(static_cast<std::uint64_t>(integers[k]), [&] { return label(integers[k]); });
        }
    }
}

void ObsColumn::read(std::int64_t first, std::int64_t count, Levels& levels, std::vector<std::int32_t>& into) {
    into.clear();
    into.reserve(static_cast<std::size_t>(count));
    if (is_categorical_) {
        if (known_ != &levels) {
            known_ = &levels;
            levels_of_categories_.clear();
            for (const std::string& one : labels_) levels_of_categories_.push_back(levels.add(one));
        }
        const GlobalRun run{GlobalIndex{first}, count};
        std::vector<std::int64_t> codes(static_cast<std::size_t>(count));
        read_codes({&run, 1}, codes);
        for (const std::int64_t code : codes)
            into.push_back(code < 0 ? Levels::missing : levels_of_categories_[static_cast<std::size_t>(code)]);
        return;
    }
    read_each(
        first, count, [&] { into.push_back(Levels::missing); },
        [&](const std::string& text) { into.push_back(levels.find(text)); },
        [&](std::uint64_t bits, const auto& label_of) { into.push_back(levels.find(bits, label_of)); });
}

std::vector<std::string> ObsColumn::read(std::int64_t first, std::int64_t count) {
    std::vector<std::string> texts;
    texts.reserve(static_cast<std::size_t>(count));
    if (is_categorical_) {
        const GlobalRun run{GlobalIndex{first}, count};
        std::vector<std::int64_t> codes(static_cast<std::size_t>(count));
        read_codes({&run, 1}, codes);
        for (const std::int64_t code : codes)
            texts.push_back(code < 0 ? std::string{} : labels_[static_cast<std::size_t>(code)]);
        return texts;
    }
    read_each(
        first, count, [&] { texts.emplace_back(); }, [&](std::string& text) { texts.push_back(std::move(text)); },
        [&](std::uint64_t, const auto& label_of) { texts.push_back(label_of()); });
    return texts;
}

void ObsColumn::read(std::span<const GlobalRun> runs, std::span<double> out) {
    CONVOY_EXPECT(is_numeric());
    constexpr double none = std::numeric_limits<double>::quiet_NaN();
    if (is_categorical_) {
        std::vector<std::int64_t> codes(out.size());
        read_codes(runs, codes);
        for (std::size_t k = 0; k < out.size(); ++k)
            out[k] = codes[k] < 0 ? none : numbers_[static_cast<std::size_t>(codes[k])];
        return;
    }
    values_.numbers->read(runs, out);
    if (!values_.mask) return;
    std::vector<std::int64_t> mask(out.size());
    read_mask(runs, mask);
    for (std::size_t k = 0; k < out.size(); ++k)
        if (mask[k] != 0) out[k] = none;
}

}  // namespace convoy::io
