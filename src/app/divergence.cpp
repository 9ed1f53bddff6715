// convoy divergence SOURCE TARGET -o OUT: the Sinkhorn divergence of two clouds, both definitions.

#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>

#include "app/closing.hpp"
#include "app/command.hpp"
#include "app/divergence_report.hpp"
#include "app/exit_codes.hpp"
#include "app/options.hpp"
#include "app/progress.hpp"
#include "app/quantities.hpp"
#include "app/run.hpp"
#include "app/self_terms.hpp"
#include "app/sinkhorn_run.hpp"
#include "app/spelling.hpp"
#include "convoy/error.hpp"

namespace convoy::app {

namespace {

struct Options {
    ProblemOptions problem;
    SolverOptions solver;
    MachineOptions machine;
    OutputOptions output;
    VolumeOptions volume;
    std::string epsilon_of = "cross";
    bool gradient = false;
    std::string reuse;
};

void take_epsilon_of(Options& options, const std::string& text) {
    if (text != "cross" && text != "source" && text != "target")
        throw InputError{fmt::format("--epsilon-of: '{}' is not one of cross, source, target.{}", text,
                                     suggestion(text, {"cross", "source", "target"}))};
    options.epsilon_of = text;
}

bool parse(const Invocation& invocation, Options& options) {
    CommandLine line{
        "divergence SOURCE TARGET -o OUT [options]",
        "Computes the Sinkhorn divergence OT(x,y) - (OT(x,x) + OT(y,y))/2, all three terms at one epsilon: with the "
        "entropy\nand from transport costs alone. The result is that of `solve` for the cross problem, with the self "
        "terms beside it;\n--init and --annealing concern the cross problem alone, limits hold for each term.\n",
        "Examples:\n"
        "  convoy divergence before.npy after.npy -o run.h5\n"
        "  convoy divergence generated.npy data.npy --epsilon 0.05mean --epsilon-of target -o first.h5\n"
        "  convoy divergence better.npy data.npy --epsilon 0.05mean --epsilon-of target --reuse first.h5 -o second.h5\n"
        "  convoy divergence particles.npy data.npy --epsilon 0.1 --gradient -o step.h5\n\n"
        "Exit codes: 0 converged, 1 failed, 2 bad usage or input, 3 one of the terms is not converged (result "
        "written).\n"};
    declare(line, options.problem, true);
    line.option("--epsilon-of", "TERM",
                "the cost that a relative --epsilon refers to: cross (between the clouds, the default), source or "
                "target (within that cloud)",
                [&](const std::string& text) { take_epsilon_of(options, text); })
        ->group("Problem");
    declare(line, options.solver);
    declare(line, options.machine);
    declare(line, options.output);
    line.flag("--gradient", "store the divergence's gradient with respect to the source's points: /gradient/source",
              options.gradient)
        ->group("Output");
    line.text("--reuse", "FILE",
              "an earlier result of this command: its self terms serve where points, weights, cost and epsilon are the "
              "same, on either side",
              options.reuse)
        ->group("Solver");
    declare(line, options.volume);
    if (!line.parse(invocation)) return false;

    check_together(line, options.problem);
    check_together(line, options.solver);
    check_together(line, options.machine);
    check_together(line, options.volume);
    CONVOY_VALIDATE(!line.given("--epsilon-of") || options.problem.epsilon.unit != EpsilonRule::Unit::absolute,
                    "--epsilon-of has no effect with an absolute --epsilon; leave one of them out");
    check_outputs(invocation.world, line, options.problem, options.solver, options.output, {},
                  {{"--reuse", options.reuse}});
    return true;
}

double find_epsilon(const Coupling& coupling, const Options& options) {
    const EpsilonRule& rule = options.problem.epsilon;
    if (options.epsilon_of == "cross") return rule.resolve(coupling);
    return rule.resolve(self_coupling(coupling, options.epsilon_of == "source" ? Side::row : Side::column));
}

// One self term that is solved here. \param known an earlier solution to go on from
SelfTerm solve_self_term(Run& run, const Plan& plan, Coupling& self, Side side, double epsilon, const SelfTerm* known,
                         const SolverOptions& solver) {
    const double pairs = static_cast<double>(self.points(side)) * static_cast<double>(self.points(side));
    run.console.say(fmt::format("solving the {} against itself", name_of(side)));
    Progress progress{run.console, pairs};
    self.while_reducing([&](double share) { progress.within(share); });
    SinkhornOptions goal;
    goal.epsilon = epsilon;
    goal.tolerance = solver.tolerance / 2;
    goal.max_half_passes = solver.max_half_passes;
    const auto show = [&](const SelfSolution& solution) {
        SinkhornState state;
        state.half_passes = solution.half_passes;
        state.epsilon = solution.epsilon;
        state.marginal_error = solution.marginal_error;
        state.history = solution.history;
        progress.show(state, goal);
    };
    SelfOptions options{.epsilon = epsilon,
                        .tolerance = solver.tolerance,
                        .max_half_passes = solver.max_half_passes,
                        .stop = [&] { return run.stop.seen() != StopReason::none; },
                        .accelerated = plan.acceleration != Acceleration::plain,
                        .start = {},
                        .observer = show};
    if (known != nullptr) options.start = known->solution.f;
    SelfTerm self_term = convoy::solve_self_term(self, std::move(options), solver.seed);
    progress.finish();
    self.while_reducing({});
    run.heed_signals(fmt::format("solving the {} against itself", name_of(side)));
    const DivergenceTerm& term = self_term.term;
    run.console.say(fmt::format("self term of the {}: {}, error {:.1e}, {}", name_of(side),
                                plural(term.half_passes, "half-pass", "half-passes"), term.audit.error(),
                                convoy::name_of(term.status)));
    return self_term;
}

// A self term and, for the source and where it is asked for, its share of the gradient.
struct SelfPart {
    SelfTerm self;
    std::vector<double> pull;
    bool reused = false;
};

SelfPart find_self_part(Run& run, const Problem& problem, Side side, double epsilon, const StoredSelfTerms* stored,
                        const StoredSelfTerm* reusable, const Options& options) {
    SelfPart part;
    if (reusable != nullptr) {
        part.self = read_self_term(problem, side, *stored, *reusable);
        const DivergenceTerm& term = part.self.term;
        part.reused = term.status == Status::converged && term.audit.error() <= options.solver.tolerance;
        part.self.term.half_passes = 0;
        run.console.say(fmt::format("self term of the {}: {} of the {} in '{}'", name_of(side),
                                    part.reused ? "that" : "goes on from that", name_of(reusable->side), stored->path));
    }
    const bool pull = side == Side::row && options.gradient;
    if (part.reused && !pull) return part;

    Coupling self = self_coupling(problem.coupling, side, problem.plan.keep_products && !part.reused);
    const Meters before = self.meters();
    if (!part.reused)
        part.self = solve_self_term(run, problem.plan, self, side, epsilon, reusable != nullptr ? &part.self : nullptr,
                                    options.solver);
    if (pull) part.pull = source_pull(self, part.self.solution.g, epsilon);
    run.phases.end("self terms");
    const Meters& now = self.meters();
    run.phases.add("kernel", now.kernel_seconds - before.kernel_seconds);
    run.phases.add("communication", now.communication_seconds - before.communication_seconds);
    return part;
}

void warn_of_outcome(Console& console, const DivergenceFindings& findings, const Options& options) {
    const Status status = findings.status();
    if (status == Status::converged) return;
    const std::string more = fmt::format("go on with --init {0} --reuse {0} and ", options.output.output);
    console.warn(fmt::format("not converged ({}); {}", findings.reason(),
                             status == Status::stopped
                                 ? more + "more time"
                                 : more + "more --max-half-passes, or use a larger --tolerance or --epsilon, or "
                                          "--precision double"));
}

DivergenceFindings findings_of(const Outcome& cross, const SelfPart& source, const SelfPart& target,
                               const Options& options) {
    DivergenceFindings findings;
    findings.cross = {cross.verdict.values, cross.verdict.audit, cross.solver_error,
                      cross.half_passes,    cross.status,        cross.reason};
    findings.source = source.self.term;
    findings.target = target.self.term;
    findings.values = divergence_of(findings.cross, findings.source, findings.target);
    if (options.problem.epsilon.unit != EpsilonRule::Unit::absolute) findings.epsilon_of = options.epsilon_of;
    findings.source_reused = source.reused ? options.reuse : "";
    findings.target_reused = target.reused ? options.reuse : "";
    return findings;
}

}  // namespace

int divergence(const Invocation& invocation) {
    Options options;
    if (!parse(invocation, options)) return done;
    Run run{invocation.world, options.volume, options.solver.time_limit};
    std::optional<StoredSelfTerms> stored;
    if (!options.reuse.empty()) stored = read_self_terms(run.world, options.reuse);
    const HeldMore more{
        .sources = options.gradient ? 2.0 : 0.0, .self_problems = true, .wide_averages = options.gradient};
    Problem problem = load_problem(run, "divergence", options.problem, options.machine, options.solver, more);
    Coupling& coupling = problem.coupling;
    const ReusableTerms reusable = stored ? find_reusable(*stored, problem) : ReusableTerms{};
    const double epsilon = find_epsilon(coupling, options);
    run.heed_signals("finding epsilon");
    run.phases.end("epsilon");
    run.console.say(
        fmt::format("epsilon {:.6g} ({}, {})", epsilon, options.problem.epsilon.name(), coupling.cost().name()));
    if (stored) expect_same_problem(*stored, options.problem.cost, epsilon);
    warn_of_rounding(run.console, coupling, epsilon);

    // Self terms first, one after the other: products are kept for one problem at a time.
    const StoredSelfTerms* from = stored ? &*stored : nullptr;
    SelfPart self_x = find_self_part(run, problem, Side::row, epsilon, from, reusable.source, options);
    SelfPart self_y = find_self_part(run, problem, Side::column, epsilon, from, reusable.target, options);
    if (problem.plan.keep_products) {
        coupling.keep_products();
        run.heed_signals("computing products");
        run.phases.end("products");
    }
    SolvedProblem cross = solve_problem(run, problem, epsilon, options.problem, options.solver);
    std::vector<double> gradient;
    if (options.gradient) {
        const std::vector<double> pull = source_pull(coupling, cross.state.g, epsilon);
        gradient = divergence_gradient(coupling.local(Side::row), pull, self_x.pull);
        run.phases.end("gradient");
    }

    // What solve writes of the cross problem, and the terms beside it.
    const DivergenceFindings findings = findings_of(cross.outcome, self_x, self_y, options);
    warn_of_outcome(run.console, findings, options);
    io::Result result = begin_result(run, problem, invocation, "divergence", findings.status());
    result.solution = solution_attributes(cross.outcome);
    for (auto& group : divergence_groups(findings)) result.groups.push_back(std::move(group));
    result.datasets.push_back({"self/source/f", Side::row, 1, std::move(self_x.self.solution.f)});
    result.datasets.push_back({"self/target/f", Side::column, 1, std::move(self_y.self.solution.g)});
    if (options.gradient)
        result.datasets.push_back(
            {"gradient/source", Side::row, coupling.dimension(), std::move(gradient), true, true});
    result.history = std::move(cross.state.history);
    result.f = std::move(cross.state.f);
    result.g = std::move(cross.state.g);
    result.store_source = result.store_target = options.output.store_points;
    write_result(problem, result, options.output);

    const std::string text = divergence_text(findings, cross.outcome);
    cross.outcome.status = findings.status();  // decides the exit code
    return close_run(run, problem, options.output, cross.outcome, result, text);
}

}  // namespace convoy::app
