#include "app/map_report.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "app/closing.hpp"
#include "app/fitted_map.hpp"
#include "app/quantities.hpp"
#include "app/report_parts.hpp"

namespace convoy::app {

namespace {

std::string text_of(const io::Attributes& attributes, const std::string& name) {
    for (const auto& [key, value] : attributes)
        if (key == name && std::holds_alternative<std::string>(value)) return std::get<std::string>(value);
    return "";
}

std::string self_words(const MapReport& report) {
    const io::SelfPotential& self = *report.head.self;
    const std::string error = fmt::format("{}, error {:.2e}", self.status, self.marginal_error);
    if (!report.self_file.empty()) return fmt::format("{}   (from {})", error, report.self_file);
    return fmt::format("{}   (goal {:.1e}; {})", error, self.tolerance,
                       plural(report.self_half_passes, "half-pass", "half-passes"));
}

std::string summary_text(const MapReport& report) {
    const bool debiased = report.head.self != nullptr;
    std::string text = fmt::format("mapped {} {}{}\n\n", plural(report.head.rows, "point", "points"),
                                   text_of(report.head.model, "direction"), debiased ? ", debiased" : "");
    text += summary_row("model",
                        fmt::format("{}   ({}; {})", report.model.path, in_words(report.model), report.model.status));
    if (debiased) text += summary_row("self problem", self_words(report));
    text += summary_row("points", fmt::format("{} x {}   ({})", count_text(report.head.rows), report.head.columns,
                                              io::Location{report.input.path, report.input.key}.name()));
    text += "\n" + timing_table(report.timing) + "\n";
    text += summary_row("speed", fmt::format("{:.3g} pairs/s", report.pairs_per_second));
    text += memory_row(report.memory);
    for (const std::string& file : report.files) text += summary_row("written", file);
    return text + warning_lines(report.warnings);
}

std::string summary_json(const MapReport& report) {
    nlohmann::ordered_json object = to_json(report.head.root);
    object["model"] = to_json(report.head.model);
    object["inputs"] = {{"points", to_json(report.input)}};
    object["rows"] = report.head.rows;
    object["columns"] = report.head.columns;
    if (const io::SelfPotential* self = report.head.self; self != nullptr)
        object["self"] = {
            {"epsilon", self->epsilon}, {"marginal_error", self->marginal_error}, {"tolerance", self->tolerance},
            {"status", self->status},   {"half_passes", report.self_half_passes}, {"read_from", report.self_file}};
    object["run"] = to_json(report.head.run);
    object["timing"] = to_json(report.timing);
    object["pairs_per_second"] = report.pairs_per_second;
    object["peak_memory_of_a_rank"] = report.memory.largest;
    object["peak_memory_of_all"] = report.memory.sum;
    object["files"] = report.files;
    object["warnings"] = report.warnings;
    return json_text(object);
}

}  // namespace

void close_map(const Communicator& world, MapReport report, const std::string& summary, bool overwrite) {
    tell(
        world, report.files, "the images themselves are", summary, overwrite, [&] { return summary_json(report); },
        [&] { return summary_text(report); });
}

}  // namespace convoy::app
