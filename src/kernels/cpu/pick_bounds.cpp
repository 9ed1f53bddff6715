#include "kernels/cpu/pick_bounds.hpp"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace convoy::cpu {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double rounding = 0x1p-53;  // of fp64
constexpr std::int64_t few = 10000;   // numbers that are not worth waking threads

template <class T>
constexpr double rounding_of = static_cast<double>(std::numeric_limits<T>::epsilon()) / 2;
template <class T>
constexpr double tiny = static_cast<double>(std::numeric_limits<T>::min());
// Numbers of this size leave room for sums of them.
template <class T>
constexpr double large = sizeof(T) == sizeof(float) ? 0x1p100 : 0x1p900;

// Of a kernel's cost, in rounding units.
template <class T>
double roundings(const Cost& cost, double d) {
    const double of_a_sum = std::min(d, 256.0) + std::ceil(d / 256) + 2;
    switch (cost.kind()) {
        case CostKind::sqeuclidean:
        case CostKind::euclidean:
            return of_a_sum / 2 + 7;
        case CostKind::dot:
        case CostKind::cosine:
            return of_a_sum + 7;
        case CostKind::pnorm:
            break;
    }
    const double p = cost.p();
    if (p == 2) return of_a_sum / 2 + 7;
    const bool general = p != 1.5 && p != 3 && p != 4;
    const double largest_exponent = sizeof(T) == sizeof(float) ? 128 : 1024;
    return of_a_sum + 2 * p + 8 + (general ? 10 * largest_exponent : 0);
}

// In four sums, which do not wait for each other.
template <class T>
double euclidean_norm(const T* x, std::int64_t d) {
    double sums[4] = {};
    std::int64_t k = 0;
    for (; k + 4 <= d; k += 4) {
        for (std::int64_t at = 0; at < 4; ++at)
            sums[at] += static_cast<double>(x[k + at]) * static_cast<double>(x[k + at]);
    }
    for (; k < d; ++k) sums[0] += static_cast<double>(x[k]) * static_cast<double>(x[k]);
    return std::sqrt(sums[0] + sums[1] + sums[2] + sums[3]);
}

double mean(const std::vector<double>& numbers) {
    double sum = 0;
    for (const double x : numbers) sum += x;
    return sum / static_cast<double>(std::max<std::size_t>(numbers.size(), 1));
}

}  // namespace

template <class T>
PickBounds<T>::PickBounds(const BlockPoints<T>& of, const BlockProblem& problem, Side stays, LocalRun rows,
                          const Potentials& potentials, double epsilon, const PickRule& rule)
    : points{&of},
      staying{&of.side(stays)},
      summed{&of.side(other(stays))},
      cost{of.cost},
      range{rows},
      of_staying{stays == Side::row ? potentials.f : potentials.g},
      divided{rule.kind != PickRule::Kind::hard && !std::isinf(epsilon)},
      kernel_error{roundings<T>(of.cost, static_cast<double>(of.dimension)) * rounding_of<T>},
      reference_error{(2 * static_cast<double>(of.dimension) + 32 + 2 * of.cost.p()) * rounding},
      exact(static_cast<std::size_t>(summed->rows)),
      parts(exact.size()) {
    const auto [pair_form, pair_factor] = kernels::form_of_call(cost, nullptr, of.kept.has_value());
    form = pair_form;
    factor = pair_factor;
    if (cost.kind() == CostKind::dot) {
        for (const double c : problem.centre) centre_norm += c * c;
        centre_norm = std::sqrt(centre_norm);
    }
    staying_norms = norms_of(*staying, range);
    summed_norms = norms_of(*summed, {LocalIndex{0}, summed->rows});
    ratio = mean(summed_norms) / mean(staying_norms);
    if (!(ratio > 0) || std::isinf(ratio)) ratio = 1;

    const bool hard = rule.kind == PickRule::Kind::hard;
    if (divided) energy = epsilon;
    cost_unit = hard || divided ? 1 : 0;
    own = kernels::own_terms_count(form) && cost_unit > 0;
    form_potentials(stays == Side::row ? potentials.g : potentials.f, !hard);
    choose_unit(rule.kind == PickRule::Kind::sample ? energy : 0);
    round_potentials();
    // The noise, 37 at most in size, and its sum with a score: a few roundings each.
    if (rule.kind == PickRule::Kind::sample) draw_error = unit * energy * 1e-12;
}

// The part of S_ij of the staying point; of the summed one with 1 / ratio.
template <class T>
double PickBounds<T>::size(double norm, double relative) const {
    switch (cost.kind()) {
        case CostKind::sqeuclidean:
            return (1 + relative) * norm * norm;
        case CostKind::euclidean:
            return norm;
        case CostKind::dot:
            return relative * norm * norm / 2;
        case CostKind::cosine:
            return 1;
        case CostKind::pnorm:
            break;
    }
    const double p = cost.p();
    return p == 2 ? (1 + relative) * norm * norm / 2 : std::pow(2 * norm, p) / (2 * p);
}

// Of centred points before they were rounded. A little more where coordinates may have been lost below T's range.
template <class T>
std::vector<double> PickBounds<T>::norms_of(const RoundedCloud<T>& cloud, LocalRun run) const {
    const std::int64_t d = points->dimension;
    const double lost = std::sqrt(static_cast<double>(d)) * tiny<T> / rounding_of<T>;
    std::vector<double> norms(static_cast<std::size_t>(run.count));
    std::vector<double> buffers(static_cast<std::size_t>(omp_get_max_threads() * d));
    const bool euclidean = form != PairForm::power;
#pragma omp parallel for schedule(static) if (run.count * d > few)
    for (std::int64_t i = 0; i < run.count; ++i) {
        const T* const from = cloud.points.get() + (run.first.value + i) * d;
        double norm = 0;
        if (euclidean) {
            norm = euclidean_norm(from, d);
        } else {
            const std::span<double> x{buffers.data() + omp_get_thread_num() * d, static_cast<std::size_t>(d)};
            std::copy_n(from, d, x.begin());
            norm = cost.bounding_norm(x);
        }
        norms[static_cast<std::size_t>(i)] = norm + lost + centre_norm;
    }
    return norms;
}

// G_j - K W_j in fp64, of every summed point with mass.
template <class T>
void PickBounds<T>::form_potentials(std::span<const double> of_summed, bool with_weights) {
    const bool with_potentials = cost_unit > 0;
    double largest = 0;
#pragma omp parallel for schedule(static) reduction(max : largest) if (summed->rows > few)
    for (std::size_t j = 0; j < exact.size(); ++j) {
        if (!has_mass(j)) continue;
        const double potential = with_potentials ? of_summed[j] : 0;
        const double weight = with_weights ? energy * std::numbers::ln2 * summed->log_weights[j] : 0;
        const double term = own ? summed->own[j] : 0;
        exact[j] = potential + weight - term;
        parts[j] = std::abs(potential) + std::abs(weight) + std::abs(term);
        if (std::isfinite(exact[j])) largest = std::max(largest, std::abs(exact[j]));
    }
    largest_potential = largest;
}

// Brings logits and their noise near 1, and sees whether everything on the way to them is in range.
template <class T>
void PickBounds<T>::choose_unit(double noise) {
    const double r = points->sides[0].largest_norm, q = points->sides[1].largest_norm;
    const bool products = kernels::own_terms_count(form);
    const double of_costs = products ? factor * r * q : cost.range_bound(r, q);
    const double scale = std::max({largest_potential, cost_unit * of_costs, noise});
    if (scale > 0) unit = std::exp2(-std::ilogb(scale));
    cost_unit *= unit;
    multiplier = cost_unit * factor * (form == PairForm::kept ? 1 / points->kept->unit() : 1);
    const double raw = products ? std::max(r, q) : form == PairForm::root ? of_costs * of_costs : cost.p() * of_costs;
    const double at_most = form == PairForm::product ? multiplier * std::max(r, q) : multiplier;
    const double at_least = products || multiplier == 0 ? 1 : multiplier;
    trusted = std::isnormal(unit) && raw <= large<T> && at_most <= large<T> && at_least >= 1 / large<T> &&
              cost.p() < 1000 && energy > 1e-250 && energy < 1e250 && scale < 1e250 * std::min(energy, 1.0);
}

template <class T>
void PickBounds<T>::round_potentials() {
    const std::int64_t padded = ceil_div(summed->rows, points->panel_rows) * points->panel_rows;
    g = allocate<T>(padded);
    twice = allocate<T>(padded);
    std::fill_n(g.get(), padded, -std::numeric_limits<T>::infinity());
    std::fill_n(twice.get(), padded, T(0));
    const double d = static_cast<double>(points->dimension);
    const double lost =
        form == PairForm::root ? multiplier * std::sqrt(d * tiny<T>) : tiny<T> * (4 + d) * std::max(multiplier, 1.0);
#pragma omp parallel for schedule(static) if (summed->rows > few)
    for (std::size_t j = 0; j < exact.size(); ++j) {
        if (!has_mass(j)) continue;
        const double norm = summed_norms[j];
        const double bound = (kernel_error + reference_error) * cost_unit * size(norm, 1 / ratio) +
                             reference_error * unit * parts[j] + 8 * rounding_of<T> * unit * std::abs(exact[j]) +
                             lost * (1 + norm);
        const T rounded = just_above<T>(unit * exact[j] + bound);
        g[j] = std::isfinite(rounded) ? rounded : static_cast<T>(nan);
        twice[j] = just_above<T>(2 * bound);
    }
}

template <class T>
double PickBounds<T>::of_row(std::int64_t i) const {
    const double norm = staying_norms[static_cast<std::size_t>(i - range.first.value)];
    const double of_potential = std::abs(potential(i));
    const double bound = (kernel_error + reference_error) * cost_unit * size(norm, ratio) +
                         reference_error * unit * (of_potential + std::abs(own_term(i))) + draw_error;
    return trusted && of_potential < 1e250 * std::min(energy, 1.0) && std::isfinite(bound) ? bound : nan;
}

template <class T>
T PickBounds<T>::reached(std::int64_t i, double score) const {
    const double sizes = std::abs(energy * score) + std::abs(potential(i)) + std::abs(own_term(i));
    return just_below<T>(in_units(i, score) - of_row(i) - 8 * rounding * unit * sizes);
}

template struct PickBounds<float>;
template struct PickBounds<double>;

}  // namespace convoy::cpu
