#include "app/report.hpp"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "app/console.hpp"
#include "app/quantities.hpp"
#include "app/report_parts.hpp"

namespace convoy::app {

namespace {

using Json = nlohmann::ordered_json;

std::string in_words(const Outcome& outcome) {
    std::string words;
    switch (outcome.status) {
        case Status::converged:
            words = "converged";
            break;
        case Status::stopped:
            words = "stopped early";
            break;
        default:
            words = "NOT converged";
    }
    return outcome.reason.empty() ? words : words + ": " + outcome.reason;
}

std::string audit_words(const Audit& audit) {
    const std::string sides = fmt::format("source {:.2e}, target {:.2e}", audit.source_error, audit.target_error);
    if (!audit.sampled) return sides + "; all rows and columns, in double";
    return fmt::format("{}; from {} rows and {} columns, in double", sides, count_text(audit.rows),
                       count_text(audit.columns));
}

}  // namespace

io::Attributes solution_attributes(const Outcome& o) {
    const Values& values = o.verdict.values;
    const Audit& audit = o.verdict.audit;
    return {{"epsilon", o.epsilon},
            {"epsilon_rule", o.rule.name()},
            {"cost", o.cost.name()},
            {"dual_value", values.dual_value},
            {"transport_cost", values.transport_cost},
            {"kl", values.kl},
            {"normalised_entropy", values.normalised_entropy},
            {"mass", values.mass},
            {"tolerance", o.tolerance},
            {"marginal_error", o.solver_error},
            {"audited_error", audit.error()},
            {"audited_source_error", audit.source_error},
            {"audited_target_error", audit.target_error},
            {"audit", std::string{audit.sampled ? "sampled" : "all"}},
            {"audited_rows", audit.rows},
            {"audited_columns", audit.columns},
            {"half_passes", o.half_passes},
            {"work", o.work},
            {"start", o.start},
            {"iterations", o.iterations},
            {"restarts", o.restarts},
            {"safe_sums", o.safe_rows},
            {"seconds", o.seconds},
            {"reason", o.reason}};
}

std::string summary_text(const Report& report) {
    const Outcome& o = report.outcome;
    const Values& values = o.verdict.values;
    std::string text = printable(in_words(o)) + "\n\n";
    const auto row = [&](const std::string& name, const std::string& value) { text += report_row(name, value); };
    row("epsilon", fmt::format("{:.10g}   ({}, {})", o.epsilon, o.rule.name(), o.cost.name()));
    row("dual value", fmt::format("{:.10g}", values.dual_value));
    row("transport cost", fmt::format("{:.10g}", values.transport_cost));
    row("kl", fmt::format("{:.10g}", values.kl));
    row("normalised entropy", fmt::format("{:.6g}", values.normalised_entropy));
    // A run that ends while annealing, or in its first half-passes, has not measured one.
    const bool measured = o.solver_error > 0 || o.status == Status::converged;
    const std::string solver_error = measured ? fmt::format("{:.2e}", o.solver_error) : "not measured";
    row("error, the solver's", fmt::format("{}   (goal {:.1e})", solver_error, o.tolerance));
    row("error, audited", fmt::format("{:.2e}   ({})", o.verdict.audit.error(), audit_words(o.verdict.audit)));
    row("start", o.start);
    row("half-passes",
        fmt::format("{}   (all work: {:.1f}; {}, {}, {})", count_text(o.half_passes), o.work,
                    plural(o.iterations, "iteration", "iterations"), plural(o.restarts, "restart", "restarts"),
                    plural(o.safe_rows, "safe sum", "safe sums")));
    text += "\n" + timing_table(report.timing) + "\n";
    row("speed", fmt::format("{:.3g} pairs/s", report.pairs_per_second));
    text += memory_row(report.memory);
    if (report.products > 0) row("products kept", fmt::format("{} on one rank at most", bytes_text(report.products)));
    for (const std::string& file : report.files) row("written", file);
    return text + warning_lines(report.warnings);
}

std::string summary_json(const Report& report) {
    Json object = to_json(report.result.root);
    object["solution"] = to_json(report.result.solution);
    object["inputs"] = {{"source", to_json(report.result.source_input)},
                        {"target", to_json(report.result.target_input)}};
    object["run"] = to_json(report.result.run);
    object["timing"] = to_json(report.timing);
    object["pairs_per_second"] = report.pairs_per_second;
    object["peak_memory_of_a_rank"] = report.memory.largest;
    object["peak_memory_of_all"] = report.memory.sum;
    object["files"] = report.files;
    object["warnings"] = report.warnings;
    return json_text(object);
}

std::string trace_csv(const std::vector<HalfPass>& history) {
    std::string text = "half_pass,epsilon,marginal_error,seconds\n";
    for (const HalfPass& row : history) {
        text += fmt::format("{},{},{},{}\n", row.number, row.epsilon, row.marginal_error, row.seconds);
    }
    return text;
}

}  // namespace convoy::app
