#include "io/number.hpp"

#include <charconv>
#include <cstdlib>
#include <string>

namespace convoy::io {

std::optional<double> parse_number(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    if (text.size() > 1 && text.front() == '+' && text[1] != '-') text.remove_prefix(1);  // from_chars takes no plus
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (end != text.data() + text.size() || text.empty()) return std::nullopt;
    if (error == std::errc::result_out_of_range) return std::strtod(std::string{text}.c_str(), nullptr);
    if (error != std::errc{}) return std::nullopt;
    return value;
}

}  // namespace convoy::io
