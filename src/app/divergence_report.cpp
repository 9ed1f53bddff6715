#include "app/divergence_report.hpp"

#include <fmt/format.h>

#include <array>

#include "app/console.hpp"
#include "app/quantities.hpp"
#include "app/self_terms.hpp"

namespace convoy::app {

namespace {

struct Named {
    const char* name;
    const DivergenceTerm* term;
};

std::array<Named, 3> terms_of(const DivergenceFindings& findings) {
    return {{{"cross", &findings.cross}, {"source", &findings.source}, {"target", &findings.target}}};
}

}  // namespace

Status DivergenceFindings::status() const {
    Status all = Status::converged;
    for (const Named& one : terms_of(*this)) {
        if (one.term->status == Status::converged) continue;
        if (all != Status::not_converged) all = one.term->status;
    }
    return all;
}

std::string DivergenceFindings::reason() const {
    std::string words;
    for (const auto& [name, term] : terms_of(*this)) {
        if (term->status == Status::converged) continue;
        words += fmt::format("{}{}: {}", words.empty() ? "" : "; ", name, term->reason);
    }
    return words;
}

std::vector<std::pair<std::string, io::Attributes>> divergence_groups(const DivergenceFindings& findings) {
    return {{"divergence",
             {{"divergence", findings.values.divergence},
              {"divergence_transport", findings.values.transport},
              {"epsilon_of", findings.epsilon_of}}},
            {"divergence/cross", term_attributes(findings.cross, "")},
            {"divergence/source", term_attributes(findings.source, findings.source_reused)},
            {"divergence/target", term_attributes(findings.target, findings.target_reused)}};
}

std::string divergence_text(const DivergenceFindings& findings, const Outcome& outcome) {
    const Status status = findings.status();
    const std::string reason = status == Status::converged
                                   ? fmt::format("all three terms are within {:.1e}", outcome.tolerance)
                                   : findings.reason();
    std::string text = printable(in_words(status, reason)) + "\n\n";
    text += summary_row("divergence", fmt::format("{:.10g}   (with the entropy)", findings.values.divergence));
    text += summary_row("", fmt::format("{:.10g}   (from transport costs alone)", findings.values.transport));
    const std::string of = findings.epsilon_of.empty() ? "" : " of the " + findings.epsilon_of + " cost";
    text += summary_row("epsilon",
                        fmt::format("{:.10g}   ({}{}, {})", outcome.epsilon, outcome.rule, of, outcome.cost.name()));
    text += summary_row("start", outcome.start);

    const auto table_row = [&](const std::string& name, const auto& cell) {
        text += fmt::format("  {:<22}", name);
        for (const Named& one : terms_of(findings)) text += fmt::format("{:>16}", cell(one));
        text += "\n";
    };
    text += "\n";
    table_row("term", [](const Named& one) { return std::string{one.name}; });
    table_row("dual value", [](const Named& one) { return fmt::format("{:.10g}", one.term->values.dual_value); });
    table_row("transport cost",
              [](const Named& one) { return fmt::format("{:.10g}", one.term->values.transport_cost); });
    table_row("kl", [](const Named& one) { return fmt::format("{:.10g}", one.term->values.kl); });
    table_row("error, the solver's", [](const Named& one) {
        return one.term->marginal_error > 0 ? fmt::format("{:.2e}", one.term->marginal_error) : "-";
    });
    table_row("error, audited", [](const Named& one) { return fmt::format("{:.2e}", one.term->audit.error()); });
    table_row("half-passes", [&](const Named& one) {
        const bool reused = (one.term == &findings.source && !findings.source_reused.empty()) ||
                            (one.term == &findings.target && !findings.target_reused.empty());
        return reused ? std::string{"reused"} : count_text(one.term->half_passes);
    });
    table_row("status", [](const Named& one) { return name_of(one.term->status); });
    return text;
}

}  // namespace convoy::app
