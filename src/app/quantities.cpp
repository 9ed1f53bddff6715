#include "app/quantities.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <string_view>

#include "convoy/error.hpp"

namespace convoy::app {

namespace {

// A number at the front of `text`, which is shortened by it. False if there is none.
bool take_number(std::string_view& text, double& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || !std::isfinite(value)) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return true;
}

}  // namespace

double parse_number(const std::string& what, const std::string& text) {
    std::string_view rest{text};
    double value = 0;
    const bool whole = take_number(rest, value) && rest.empty();
    CONVOY_VALIDATE(whole, fmt::format("{}: '{}' is not a finite number; write it like 0.001 or 1e-3", what, text));
    return value;
}

std::int64_t parse_count(const std::string& what, const std::string& text, std::int64_t least) {
    std::string_view rest{text};
    double value = 0;
    const bool whole = take_number(rest, value) && rest.empty() && value == std::floor(value);
    CONVOY_VALIDATE(whole && value >= static_cast<double>(least) && value < 9e15,
                    fmt::format("{}: '{}' is not a whole number of at least {}", what, text, least));
    return static_cast<std::int64_t>(value);
}

std::uint64_t parse_seed(const std::string& what, const std::string& text) {
    std::uint64_t value = 0;
    const char* last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, value);
    CONVOY_VALIDATE(error == std::errc{} && end == last && value <= INT64_MAX,
                    fmt::format("{}: '{}' is not a whole number from 0 to 2^63 - 1", what, text));
    return value;
}

double parse_duration(const std::string& what, const std::string& text) {
    std::string_view rest{text};
    double seconds = 0;
    bool good = !rest.empty();
    while (good && !rest.empty()) {
        const bool first = rest.size() == text.size();
        double value = 0;
        // Only a number that stands alone means seconds: is 1h30 half past one, or 30 seconds more?
        good = take_number(rest, value) && value >= 0 && (first || !rest.empty());
        if (!good) break;
        const char unit = rest.empty() ? 's' : rest.front();
        if (!rest.empty()) rest.remove_prefix(1);
        switch (unit) {
            case 'd':
                value *= 86400;
                break;
            case 'h':
                value *= 3600;
                break;
            case 'm':
                value *= 60;
                break;
            case 's':
                break;
            default:
                good = false;
        }
        seconds += value;
    }
    CONVOY_VALIDATE(good && seconds > 0,
                    fmt::format("{}: '{}' is not a time; write it like 2h, 90m, 1h30m or 3600 (seconds)", what, text));
    return seconds;
}

double parse_bytes(const std::string& what, const std::string& text) {
    std::string_view rest{text};
    double value = 0;
    bool good = take_number(rest, value) && value > 0;
    if (good && !rest.empty()) {
        constexpr std::string_view units = "KMGT";
        const auto power = units.find(rest.front() >= 'a' ? static_cast<char>(rest.front() - 'a' + 'A') : rest.front());
        good = power != std::string_view::npos;
        if (good) {
            value *= std::pow(1024.0, static_cast<double>(power + 1));
            rest.remove_prefix(1);
        }
        good = good && (rest.empty() || rest == "B" || rest == "iB");
    }
    CONVOY_VALIDATE(good, fmt::format("{}: '{}' is not an amount of memory; write it like 16G or 500M", what, text));
    return value;
}

bool parse_switch(const std::string& what, const std::string& text) {
    CONVOY_VALIDATE(text == "on" || text == "off", fmt::format("{}: '{}' is neither on nor off", what, text));
    return text == "on";
}

std::string duration_text(double seconds) {
    if (seconds < 10) return fmt::format("{:.2g} s", seconds);
    if (seconds < 99.5) return fmt::format("{:.0f} s", seconds);
    const auto whole = std::llround(seconds);
    if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
    if (whole < 172800) return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
    return fmt::format("{} d {} h", whole / 86400, whole % 86400 / 3600);
}

std::string bytes_text(double bytes) {
    constexpr std::array units = {"B", "KB", "MB", "GB", "TB", "PB"};
    std::size_t unit = 0;
    while (bytes >= 999.5 && unit + 1 < units.size()) {
        bytes /= 1024;
        ++unit;
    }
    return fmt::format("{:.3g} {}", bytes, units.at(unit));
}

std::string count_text(std::int64_t count) {
    std::string text = std::to_string(count);
    const std::ptrdiff_t first = count < 0 ? 1 : 0;
    for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > first; at -= 3) {
        text.insert(static_cast<std::size_t>(at), 1, ',');
    }
    return text;
}

std::string plural(std::int64_t count, const std::string& one, const std::string& many) {
    return fmt::format("{} {}", count_text(count), count == 1 ? one : many);
}

}  // namespace convoy::app
