#include "app/report_parts.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <variant>

#include "app/console.hpp"
#include "app/quantities.hpp"
#include "io/conditions.hpp"

namespace convoy::app {

using Json = nlohmann::ordered_json;

std::string summary_row(const std::string& name, const std::string& value) {
    return fmt::format("  {:<22}{}\n", name, printable(value));
}

std::string timing_table(const std::vector<io::PhaseTiming>& timing) {
    std::string table = fmt::format("  {:<22}{:>12}{:>12}{:>12}\n", "seconds over ranks", "min", "mean", "max");
    for (const io::PhaseTiming& row : timing) {
        // Parts of the phase before stand indented.
        const bool part = row.phase == "kernel" || row.phase == "communication";
        table += fmt::format("  {:<22}{:>12.3f}{:>12.3f}{:>12.3f}\n", (part ? "  of which " : "") + row.phase, row.min,
                             row.mean, row.max);
    }
    return table;
}

std::string memory_row(const Memory& memory) {
    if (!(memory.largest > 0)) return {};
    return summary_row("peak memory", fmt::format("{} on one rank at most, {} in all", bytes_text(memory.largest),
                                                  bytes_text(memory.sum)));
}

std::string warning_lines(const std::vector<std::string>& warnings) {
    std::string text;
    for (const std::string& warning : warnings) text += "\nwarning: " + printable(warning);
    return warnings.empty() ? text : text + "\n";
}

Json to_json(const io::Attributes& attributes) {
    Json object = Json::object();
    for (const auto& [name, value] : attributes) {
        std::visit([&, &key = name](const auto& plain) { object[key] = plain; }, value);
    }
    return object;
}

Json to_json(const io::InputIdentity& input) {
    Json object = {{"path", input.path},        {"absolute_path", input.absolute_path},
                   {"key", input.key},          {"rows", input.rows},
                   {"columns", input.columns},  {"scaling", input.scaling},
                   {"checksum", input.checksum}};
    if (!input.where.empty()) {
        object["where"] = io::split_conditions(input.where);
        object["file_rows"] = input.file_rows;
        object["rows_without_value"] = input.rows_without_value;
    }
    const io::Preparation& prepare = input.prepare;
    if (prepare.transposed) object["transposed"] = true;
    if (!prepare.columns.empty()) object["chosen_columns"] = prepare.columns;
    if (prepare.grayscale) object["grayscale"] = true;
    if (prepare.blur > 0) object["blur"] = prepare.blur;
    if (!prepare.image.empty()) object["image"] = prepare.image;
    if (!input.weights_path.empty()) {
        object["weights_path"] = input.weights_path;
        object["weights_key"] = input.weights_key;
        object["weights_checksum"] = input.weights_checksum;
    }
    return object;
}

Json to_json(const std::vector<io::PhaseTiming>& timing) {
    Json rows = Json::array();
    for (const io::PhaseTiming& row : timing)
        rows.push_back({{"phase", row.phase}, {"min", row.min}, {"mean", row.mean}, {"max", row.max}});
    return rows;
}

std::string json_text(const Json& object) {
    return object.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace convoy::app
