#include "app/chosen_rows.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "app/quantities.hpp"
#include "io/conditions.hpp"

namespace convoy::app {

std::string chosen_rows(const io::InputIdentity& input) {
    if (input.where.empty()) return plural(input.rows, "row", "rows");
    std::string text = fmt::format("{} of {} where {}", count_text(input.rows), plural(input.file_rows, "row", "rows"),
                                   fmt::join(io::split_conditions(input.where), " and "));
    if (input.rows_without_value > 0)
        text += fmt::format(" ({} there)", plural(input.rows_without_value, "row has no value", "rows have no value"));
    return text;
}

void say_choice(Console& console, const std::string& name, const io::InputOptions& asked,
                const io::InputIdentity& found) {
    const io::Location location{found.path, found.key};
    if (found.where.empty() && io::Location::parse(asked.points).key == found.key) return;
    console.say(fmt::format("{}: {}, {}", name, location.name(), chosen_rows(found)));
}

}  // namespace convoy::app
