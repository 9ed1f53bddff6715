#include "app/pairs_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/console.hpp"
#include "app/quantities.hpp"
#include "app/report_parts.hpp"

namespace convoy::app {

namespace {

using Json = nlohmann::ordered_json;

std::string status_of(const PairEnding& pair) {
    if (pair.outcome) return pair.outcome->status == Status::converged ? "converged" : name_of(pair.outcome->status);
    return pair.error.empty() ? "not begun" : "failed";
}

std::string padded(const std::string& text, std::size_t width) {
    return text + std::string(width - std::min(width, text.size()), ' ');
}

}  // namespace

std::string summary_text(const PairsReport& report) {
    constexpr std::size_t gap = 2;
    std::size_t from = 6, to = 6;
    std::int64_t converged = 0;
    for (const PairEnding& pair : report.pairs) {
        from = std::max(from, printable(pair.source).size());
        to = std::max(to, printable(pair.target).size());
        converged += pair.outcome && pair.outcome->status == Status::converged ? 1 : 0;
    }
    std::string text =
        fmt::format("{} of {} converged\n\n", converged, plural(std::ssize(report.pairs), "pair", "pairs"));
    text += fmt::format("  {}{}{:>12}{:>12}  {:<14}{:>16}{:>13}{:>10}{:>10}\n", padded("source", from + gap),
                        padded("target", to), "cells", "cells", "status", "transport cost", "half-passes", "error",
                        "seconds");
    for (const PairEnding& pair : report.pairs) {
        text += fmt::format("  {}{}{:>12}{:>12}  {:<14}", padded(printable(pair.source), from + gap),
                            padded(printable(pair.target), to), count_text(pair.sources), count_text(pair.targets),
                            status_of(pair));
        if (pair.outcome)
            text +=
                fmt::format("{:>16.8g}{:>13}{:>10.1e}{:>10.2f}", pair.outcome->verdict.values.transport_cost,
                            count_text(pair.outcome->half_passes), pair.outcome->verdict.audit.error(), pair.seconds);
        text += "\n";
    }
    text.append("\n").append(timing_table(report.timing)).append("\n").append(memory_row(report.memory));
    for (const std::string& file : report.files) text += summary_row("written", file);
    return text + warning_lines(report.warnings);
}

std::string summary_json(const PairsReport& report) {
    Json object = to_json(report.root);
    object["column"] = report.column;
    object["input"] = to_json(report.input);
    object["pairs"] = Json::array();
    for (const PairEnding& pair : report.pairs) {
        Json one = {{"source", pair.source},
                    {"target", pair.target},
                    {"source_cells", pair.sources},
                    {"target_cells", pair.targets},
                    {"status", pair.outcome ? name_of(pair.outcome->status) : status_of(pair)}};
        if (pair.outcome) {
            one["file"] = pair.file;
            one["solution"] = to_json(solution_attributes(*pair.outcome));
            one["seconds"] = pair.seconds;
        }
        if (!pair.error.empty()) one["error"] = pair.error;
        object["pairs"].push_back(std::move(one));
    }
    object["run"] = to_json(report.run);
    object["timing"] = to_json(report.timing);
    object["peak_memory_of_a_rank"] = report.memory.largest;
    object["peak_memory_of_all"] = report.memory.sum;
    object["files"] = report.files;
    object["warnings"] = report.warnings;
    return json_text(object);
}

}  // namespace convoy::app
