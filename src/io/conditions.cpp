#include "io/conditions.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "convoy/error.hpp"

namespace convoy::io {

std::string joined_conditions(const std::vector<std::string>& conditions) {
    for (const std::string& text : conditions)
        CONVOY_VALIDATE(text.find('\n') == std::string::npos,
                        fmt::format("the condition '{}' has a line break; choose another column or value", text));
    return fmt::format("{}", fmt::join(conditions, "\n"));
}

std::vector<std::string> split_conditions(const std::string& text) {
    std::vector<std::string> conditions;
    for (std::size_t at = 0; !text.empty();) {
        const auto end = text.find('\n', at);
        conditions.push_back(text.substr(at, end == std::string::npos ? end : end - at));
        if (end == std::string::npos) break;
        at = end + 1;
    }
    return conditions;
}

}  // namespace convoy::io
