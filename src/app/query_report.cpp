#include "app/query_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/closing.hpp"
#include "app/fitted_map.hpp"
#include "app/quantities.hpp"
#include "app/report_parts.hpp"

namespace convoy::app {

namespace {

constexpr std::size_t most_columns = 12;  // of a table on a terminal

std::string fitted(const std::string& text, std::size_t width) {
    const std::string plain = printable(text);
    return plain.size() <= width ? plain : plain.substr(0, width - 1) + "~";
}

// Rows as shares of what each source group gives.
std::string table_text(const TransitionTable& table) {
    const std::size_t rows = table.source_levels.size(), columns = table.target_levels.size();
    if (rows > 2 * most_columns || columns > most_columns)
        return fmt::format("\n  a table of {} x {} groups: too large to show here\n", rows, columns);
    std::string text = fmt::format("\n  {:<20}", "share that goes to");
    for (const std::string& level : table.target_levels) text += fmt::format(" {:>11}", fitted(level, 11));
    for (std::size_t r = 0; r < rows; ++r) {
        const double* const row = table.joint.data() + r * columns;
        double sum = 0;
        for (std::size_t c = 0; c < columns; ++c) sum += row[c];
        text += fmt::format("\n  {:<20}", fitted(table.source_levels[r], 20));
        for (std::size_t c = 0; c < columns; ++c)
            text += fmt::format(" {:>11.4f}", sum > 0 ? std::max(row[c] / sum, 0.0) : 0.0);
    }
    return text + "\n";
}

std::string summary_text(const QueryReport& report) {
    std::string text = fmt::format("asked {}\n\n", printable(report.model.path));
    text += summary_row(
        "result", fmt::format("{}; {} x {}; {}", in_words(report.model), count_text(report.model.points(Side::row)),
                              count_text(report.model.points(Side::column)), report.model.status));
    for (const AnswerLine& line : report.asked.lines) text += summary_row(line.name, line.value);
    if (report.asked.transition) text += table_text(*report.asked.transition);
    text += "\n" + timing_table(report.timing) + "\n";
    if (report.kernel_seconds > 0)
        text += summary_row("speed", fmt::format("{:.3g} pairs/s", report.pairs / report.kernel_seconds));
    text += memory_row(report.memory);
    for (const std::string& file : report.files) text += summary_row("written", file);
    return text + warning_lines(report.warnings);
}

std::string summary_json(const QueryReport& report) {
    nlohmann::ordered_json object = to_json(report.asked.answers.root);
    object["result"] = {{"path", report.model.path},
                        {"command", report.model.command},
                        {"status", report.model.status},
                        {"epsilon", report.model.epsilon}};
    object["answers"] = nlohmann::ordered_json::object();
    for (const auto& [name, value] : report.asked.numbers) object["answers"][name] = value;
    if (const auto& table = report.asked.transition) {
        nlohmann::ordered_json rows = nlohmann::ordered_json::array();
        const auto columns = static_cast<std::ptrdiff_t>(table->target_levels.size());
        for (std::ptrdiff_t r = 0; r < std::ssize(table->source_levels); ++r)
            rows.push_back(
                std::vector<double>(table->joint.begin() + r * columns, table->joint.begin() + (r + 1) * columns));
        object["transition"] = {
            {"source_levels", table->source_levels}, {"target_levels", table->target_levels}, {"joint", rows}};
    }
    object["timing"] = to_json(report.timing);
    object["pairs"] = report.pairs;
    object["kernel_seconds"] = report.kernel_seconds;
    object["peak_memory_of_a_rank"] = report.memory.largest;
    object["peak_memory_of_all"] = report.memory.sum;
    object["files"] = report.files;
    object["warnings"] = report.warnings;
    return json_text(object);
}

}  // namespace

void close_query(const Communicator& world, QueryReport report, const std::string& summary, bool overwrite) {
    tell(
        world, report.files, "the answers themselves are", summary, overwrite, [&] { return summary_json(report); },
        [&] { return summary_text(report); });
}

}  // namespace convoy::app
