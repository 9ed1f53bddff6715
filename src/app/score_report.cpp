#include "app/score_report.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "app/provenance.hpp"
#include "app/quantities.hpp"
#include "app/report_parts.hpp"
#include "app/side_files.hpp"
#include "app/standard_output.hpp"
#include "convoy/error.hpp"

namespace convoy::app {

namespace {

std::string name_of_input(const io::InputIdentity& input) {
    return io::Location{input.path, input.key}.name();
}

std::string summary_text(const Score& score, const std::string& summary) {
    const Divergence& d = score.divergence;
    std::string text = fmt::format("{}\n\n", score.converged() ? "scored" : "scored, NOT converged");
    const auto row = [&](const std::string& name, const std::string& value) { text += summary_row(name, value); };
    row("model", fmt::format("{}   ({}; {}{})", score.model.path, in_words(score.model), score.model.status,
                             score.options.debiased ? "; debiased" : ""));
    row("images", fmt::format("{} of {}", count_text(score.source.rows), name_of_input(score.source)));
    row("against", fmt::format("{} of {}", count_text(score.target.rows), name_of_input(score.target)));
    row("epsilon",
        fmt::format("{:.6g}   ({} of the target's own squared distances)", score.epsilon, score.rule.name()));
    row("divergence", fmt::format("{:.10g}", d.values.divergence));
    row("from transport costs", fmt::format("{:.10g}", d.values.transport));
    row("errors, audited",
        fmt::format("images to target {:.2e}, images {:.2e}, target {:.2e}   (goal {:.1e})", d.cross.audit.error(),
                    d.source.audit.error(), d.target.audit.error(), score.tolerance));
    if (score.has_truth) {
        row("mean squared error", fmt::format("{:.10g}   ({})", score.mean_squared_error, name_of_input(score.truth)));
        row("L2-UVP", fmt::format("{:.6g} %   (of the target's variance, {:.6g})", score.unexplained, score.variance));
    }
    text += "\n" + timing_table(score.timing) + "\n" + memory_row(score.memory);
    if (!summary.empty()) row("written", summary);
    return text + warning_lines(score.warnings);
}

nlohmann::ordered_json term_json(const DivergenceTerm& term) {
    return {{"dual_value", term.values.dual_value},
            {"transport_cost", term.values.transport_cost},
            {"audited_error", term.audit.error()},
            {"half_passes", term.half_passes},
            {"status", name_of(term.status)}};
}

std::string summary_json(const Score& score) {
    nlohmann::ordered_json object = {{"program", "convoy"},
                                     {"version", version()},
                                     {"command", "score"},
                                     {"created", utc_now()},
                                     {"status", score.converged() ? "converged" : "not_converged"}};
    object["divergence"] = score.divergence.values.divergence;
    object["divergence_transport"] = score.divergence.values.transport;
    object["epsilon"] = score.epsilon;
    object["epsilon_rule"] = score.rule.name();
    if (score.has_truth) {
        object["mean_squared_error"] = score.mean_squared_error;
        object["l2_uvp"] = score.unexplained;
        object["target_variance"] = score.variance;
    }
    object["terms"] = {{"cross", term_json(score.divergence.cross)},
                       {"images", term_json(score.divergence.source)},
                       {"target", term_json(score.divergence.target)}};
    object["model"] = to_json(attributes_of(score.options, score.model));
    object["inputs"] = {{"source_test", to_json(score.source)}, {"target_test", to_json(score.target)}};
    if (score.has_truth) object["inputs"]["truth"] = to_json(score.truth);
    object["run"] = to_json(score.run);
    object["timing"] = to_json(score.timing);
    object["peak_memory_of_a_rank"] = score.memory.largest;
    object["warnings"] = score.warnings;
    return json_text(object);
}

}  // namespace

void close_score(const Communicator& world, const Score& score, const std::string& summary, bool overwrite) {
    // A summary that cannot be written costs only itself.
    std::string failure, written = summary;
    try {
        if (!summary.empty()) write_text(world, summary, summary_json(score), overwrite);
    } catch (const Failure& error) {
        failure = error.what();
        written.clear();
    }
    print(world, summary_text(score, written));
    if (!failure.empty()) throw Failure{failure};
}

}  // namespace convoy::app
