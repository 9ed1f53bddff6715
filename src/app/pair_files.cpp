#include "app/pair_files.hpp"

#include <fmt/format.h>

#include <cctype>
#include <string_view>

#include "convoy/error.hpp"

namespace convoy::app {

std::string in_file_name(const std::string& value) {
    constexpr std::string_view plain = ".+-,=@";
    std::string name;
    for (const char c : value) {
        const auto byte = static_cast<unsigned char>(c);
        const bool itself = byte >= 0x80 || std::isalnum(byte) != 0 || plain.find(c) != std::string_view::npos;
        if (itself && !(c == '.' && name.empty()))
            name += c;
        else
            name += fmt::format("%{:02X}", byte);
    }
    return name;
}

std::string file_of_pair(const std::string& pattern, const std::string& a, const std::string& b) {
    constexpr std::string_view ending = ".h5";
    if (pattern.find_first_of("{}") == std::string::npos) {
        const bool ends = pattern.ends_with(ending);
        const std::string prefix = pattern.substr(0, pattern.size() - (ends ? ending.size() : 0));
        return fmt::format("{}_{}_{}{}", prefix, in_file_name(a), in_file_name(b), ending);
    }
    std::string name;
    for (std::size_t at = 0; at < pattern.size();) {
        const std::string_view rest = std::string_view{pattern}.substr(at);
        const bool first = rest.starts_with("{a}"), second = rest.starts_with("{b}");
        CONVOY_VALIDATE(first || second || (rest[0] != '{' && rest[0] != '}'),
                        fmt::format("--output: '{}' has a brace that belongs to neither {{a}} nor {{b}} (the values of "
                                    "a pair); write for example days_{{a}}_{{b}}.h5",
                                    pattern));
        name += first || second ? in_file_name(first ? a : b) : std::string(1, rest[0]);
        at += first || second ? 3 : 1;
    }
    return name;
}

}  // namespace convoy::app
