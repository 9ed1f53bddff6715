#include "convoy/divergence.hpp"

#include <fmt/format.h>

#include <cmath>

#include "convoy/error.hpp"
#include "solvers/audited_run.hpp"

namespace convoy {

namespace {

constexpr int most_retries = 3;
constexpr double largest_error = 2.01;  // L1, of two distributions, and some rounding
constexpr double both_sides = 2;        // neither is exact in a self problem

// What an audit makes of a self problem that was solved to `goal`; true if that goal is to be tightened.
bool goes_on(DivergenceTerm& term, double tolerance, bool may_retry) {
    const double audited = term.audit.error();
    if (audited <= tolerance && (term.status == Status::converged || !term.audit.sampled)) {
        if (term.status != Status::converged) term.reason = "the audited error is within the tolerance";
        term.status = Status::converged;
        return false;
    }
    if (term.status != Status::converged) return false;
    if (may_retry) return true;
    term.status = Status::not_converged;
    term.reason = fmt::format(
        "the solver's error is {:.2e}, but audited in double it is {:.2e} and did not fall below "
        "{:.1e}",
        term.marginal_error, audited, tolerance);
    return false;
}

// Inner products serve: the pull is linear in the summed side's points. Those, or their directions.
std::vector<double> linear_columns(const Cost& cost, const Cloud& cloud) {
    std::vector<double> columns = cloud.points;
    if (!cost.normalises_rows()) return columns;
    for (std::int64_t j = 0; j < cloud.rows; ++j) {
        double square = 0;
        for (const double y : cloud.point(j)) square += y * y;
        for (std::int64_t k = 0; k < cloud.dimension; ++k) columns[j * cloud.dimension + k] /= std::sqrt(square);
    }
    return columns;
}

// dC/dx of 1 - <x/|x|, v> for an average v of directions: -(v - <x,v> x/|x|^2)/|x|, given -v.
void take_along_sphere(std::span<const double> x, std::span<double> pull) {
    double square = 0, along = 0;
    for (std::size_t k = 0; k < x.size(); ++k) {
        square += x[k] * x[k];
        along += x[k] * pull[k];
    }
    for (std::size_t k = 0; k < x.size(); ++k) pull[k] = (pull[k] - along / square * x[k]) / std::sqrt(square);
}

DivergenceTerm term_of(const SinkhornState& state, const Verdict& verdict) {
    return {verdict.values, verdict.audit, state.marginal_error, state.half_passes, state.status, state.reason};
}

}  // namespace

SelfTerm solve_self_term(Coupling& self, SelfOptions options, std::uint64_t seed) {
    const double tolerance = options.tolerance;
    const std::int64_t most = options.max_half_passes;
    options.tolerance /= both_sides;
    SelfTerm result;
    DivergenceTerm& term = result.term;
    SelfSolution& solution = result.solution;
    for (int retry = 0;; ++retry) {
        solution = solve_self(self, options);
        if (solution.status == Status::failed) throw Failure{solution.reason};
        term.half_passes += solution.half_passes;
        solution.half_passes = term.half_passes;
        const Verdict verdict = audit_and_value(self, solution.f, solution.g, options.epsilon, seed);
        const double audited = verdict.audit.error();
        // Before it has converged, the mass of a symmetric problem is not 1, and its error has no bound.
        const bool a_plan = solution.status != Status::converged || verdict.audit.sampled || audited <= largest_error;
        if (std::isnan(audited) || !a_plan)
            throw Failure{
                fmt::format("the audited error of a self term is {:.2g} (no plan has one above 2): rounding of the "
                            "cost is {:.1g} epsilon; use --precision double, or a larger --epsilon",
                            audited, self.rounding_of_cost() / options.epsilon)};
        term.values = verdict.values;
        term.audit = verdict.audit;
        term.marginal_error = both_sides * solution.marginal_error;
        term.status = solution.status;
        term.reason = solution.reason;
        if (!goes_on(term, tolerance, retry < most_retries && term.half_passes < most)) break;
        options.tolerance *= 0.7 * tolerance / audited;
        options.max_half_passes = most - term.half_passes;
        options.start = std::move(solution.f);
    }
    solution.status = term.status;
    solution.reason = term.reason;
    return result;
}

DivergenceValues divergence_of(const DivergenceTerm& cross, const DivergenceTerm& source,
                               const DivergenceTerm& target) {
    const Values &xy = cross.values, &xx = source.values, &yy = target.values;
    return {xy.dual_value - (xx.dual_value + yy.dual_value) / 2,
            xy.transport_cost - (xx.transport_cost + yy.transport_cost) / 2};
}

std::vector<double> source_pull(Coupling& coupling, std::span<const double> g, double epsilon) {
    const Cost& cost = coupling.cost();
    const Cloud& source = coupling.local(Side::row);
    const std::int64_t d = source.dimension;
    // The safe form does without the source's potential: the average is under the conditional plan.
    const std::vector<double> unknown(static_cast<std::size_t>(source.rows), 0.0);
    const Potentials potentials{unknown, g};
    if (!cost.uses_products())
        return coupling.apply(Side::row, potentials, epsilon, Safety::safe, Weighting::of_gradient(d)).value;

    const std::vector<double> columns = linear_columns(cost, coupling.local(Side::column));
    std::vector<double> pull =
        coupling.apply(Side::row, potentials, epsilon, Safety::safe, Weighting::of_columns(columns, d)).value;
    for (double& p : pull) p *= -cost.product_factor();
    if (cost.normalises_rows()) {
        for (std::int64_t i = 0; i < source.rows; ++i)
            take_along_sphere(source.point(i), {pull.data() + i * d, static_cast<std::size_t>(d)});
    }
    return pull;
}

std::vector<double> divergence_gradient(const Cloud& source, std::span<const double> cross,
                                        std::span<const double> self) {
    const auto d = static_cast<std::size_t>(source.dimension);
    std::vector<double> gradient(cross.size());
    for (std::size_t i = 0; i < source.weights.size(); ++i)
        for (std::size_t k = i * d; k < (i + 1) * d; ++k) gradient[k] = source.weights[i] * (cross[k] - self[k]);
    return gradient;
}

bool Divergence::converged() const {
    return cross.status == Status::converged && source.status == Status::converged &&
           target.status == Status::converged;
}

Divergence sinkhorn_divergence(Coupling& cross, const DivergenceOptions& options) {
    const double epsilon = options.sinkhorn.epsilon;
    const auto stop = [&] { return options.stop && options.stop(); };
    Divergence result;
    std::vector<double> self_pull;
    for (const Side side : {Side::row, Side::column}) {
        const SelfTerm* known = side == Side::row ? options.source : options.target;
        const bool pull = side == Side::row && options.gradient;
        SelfTerm self = known != nullptr ? *known : SelfTerm{};
        if (known == nullptr || pull) {
            Coupling coupling = self_coupling(cross, side, cross.keeps_products());
            if (known == nullptr) {
                self = solve_self_term(coupling,
                                       {.epsilon = epsilon,
                                        .tolerance = options.sinkhorn.tolerance,
                                        .max_half_passes = options.sinkhorn.max_half_passes,
                                        .stop = stop,
                                        .accelerated = options.sinkhorn.acceleration != Acceleration::plain,
                                        .anderson_memory = options.sinkhorn.anderson_memory,
                                        .start = {},
                                        .observer = {}},
                                       options.seed);
            }
            if (pull) self_pull = source_pull(coupling, self.solution.g, epsilon);
        }
        (side == Side::row ? result.source : result.target) = std::move(self.term);
        (side == Side::row ? result.self_source : result.self_target) = std::move(self.solution);
    }

    Sinkhorn sinkhorn{cross, options.sinkhorn};
    sinkhorn.observer = [&](const SinkhornState&) { return stop(); };
    SinkhornState state = make_start(cross, sinkhorn, options.start, stop).state;
    const Verdict verdict = run_audited(cross, sinkhorn, state, options.seed, {});
    fix_gauge(cross, state.f, state.g);
    result.cross = term_of(state, verdict);
    result.values = divergence_of(result.cross, result.source, result.target);
    if (options.gradient) {
        const std::vector<double> cross_pull = source_pull(cross, state.g, epsilon);
        result.gradient = divergence_gradient(cross.local(Side::row), cross_pull, self_pull);
    }
    result.f = std::move(state.f);
    result.g = std::move(state.g);
    return result;
}

}  // namespace convoy
