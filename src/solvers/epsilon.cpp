// Moments of the cost, and the rules for epsilon that rest on them.
//
// Where C comes from inner products, its moments follow from those of the clouds. With x_i = p + u_i, y_j = q + v_j,
//
//     C_ij = constant + A_i + B_j - kappa <u_i, v_j>
//
//                        constant       A_i                        B_j                        kappa
//     |x - y|^2          |p - q|^2      |u|^2 + 2 <p - q, u>       |v|^2 - 2 <p - q, v>       2
//     |x - y|^2 / 2      half of each                                                         1
//     -<x, y>            -<p, q>        -<q, u>                    -<p, v>                    1
//
// and with p, q the weighted means, so that u and v have mean 0 and <u,v> correlates with neither A nor B,
//
//     mean = constant + E A + E B,     variance = Var A + Var B + kappa^2 tr(S_u S_v),
//
// S_u, S_v the covariances. Nothing cancels, however far from the origin the clouds lie. `cosine` is half the squared
// distance between points divided by their norms.

#include "convoy/epsilon.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

#include "convoy/error.hpp"
#include "solvers/moments.hpp"

namespace convoy {

namespace {

using moments::as_span;
using moments::covariance_columns;
using moments::group_width;
using moments::Index;
using moments::Matrix;
using moments::Points;
using moments::row_block;
using moments::sum_over;
using moments::Vector;

// A_i (or B_j) = square |u_i|^2 + <linear, u_i>.
struct OneSided {
    double square = 0;
    Vector linear;
};

struct Expansion {
    double constant = 0;
    OneSided source, target;
    double kappa = 0;
};

Expansion expand(const Cost& cost, const Points& source, const Points& target) {
    if (cost.kind() == CostKind::dot) {
        const Vector p = source.mean(), q = target.mean();
        return {-p.dot(q), {0, -q}, {0, -p}, 1};
    }
    const double scale = cost.kind() == CostKind::sqeuclidean ? 1 : 0.5;
    const Vector apart = between_means(source, target);
    return {scale * apart.squaredNorm(), {scale, 2 * scale * apart}, {scale, -2 * scale * apart}, 2 * scale};
}

struct Moments {
    double mean = 0, variance = 0;
};

// E A and Var A. The mean comes first and the variance about it, less what the mean still misses.
Moments moments_of(const Communicator& world, const Points& cloud, const OneSided& term) {
    Vector a(cloud.end - cloud.begin);
    for (Index i = 0; i < a.size(); i += row_block) {
        const Index n = std::min(row_block, a.size() - i);
        const Matrix u = cloud.centred(cloud.begin + i, n);
        a.segment(i, n) = term.square * u.rowwise().squaredNorm() + u * term.linear;
    }
    const auto weights = cloud.weights.segment(cloud.begin, a.size());

    std::array<double, 2> first{0, 0};  // mass, sum of w A
    for (Index i = 0; i < a.size(); i += row_block) {
        const Index n = std::min(row_block, a.size() - i);
        first[0] += weights.segment(i, n).sum();
        first[1] += weights.segment(i, n).dot(a.segment(i, n));
    }
    sum_over(world, first);
    const double mean = first[1] / first[0];

    std::array<double, 2> about{0, 0};  // sums of w (A - mean) and of w (A - mean)^2
    for (Index i = 0; i < a.size(); i += row_block) {
        const Index n = std::min(row_block, a.size() - i);
        const Vector away = a.segment(i, n).array() - mean;
        about[0] += weights.segment(i, n).dot(away);
        about[1] += weights.segment(i, n).dot(away.cwiseAbs2());
    }
    sum_over(world, about);
    const double missed = about[0] / first[0];
    return {mean + missed, std::max(about[1] / first[0] - missed * missed, 0.0)};
}

// tr(S_u S_v) = sum_ij a_i b_j <u_i, v_j>^2, over the pairs of this rank's block.
double trace_over_pairs(const Communicator& world, const Points& source, const Points& target) {
    const Index blocks = (source.rows.rows() + row_block - 1) / row_block;
    std::vector<double> sums(static_cast<std::size_t>(blocks), 0.0);
#pragma omp parallel for schedule(dynamic)
    for (Index block = 0; block < blocks; ++block) {
        const Index i = block * row_block, n = std::min(row_block, source.rows.rows() - i);
        const Matrix u = source.centred(i, n);
        double sum = 0;
        for (Index j = 0; j < target.rows.rows(); j += row_block) {
            const Index m = std::min(row_block, target.rows.rows() - j);
            const Matrix v = target.centred(j, m);
            const Matrix products = u * v.transpose();
            sum += source.weights.segment(i, n).dot(products.cwiseAbs2() * target.weights.segment(j, m));
        }
        sums[static_cast<std::size_t>(block)] = sum;
    }
    double total = 0;
    for (const double sum : sums) total += sum;
    sum_over(world, std::span{&total, 1});
    return total;
}

// tr(S_u S_v) = sum_kl (S_u)_kl (S_v)_kl from the lower triangles, some columns at a time.
double trace_over_covariances(const Points& source, const Points& target) {
    const Index d = source.rows.cols();
    double trace = 0;
    for (Index first = 0; first < d; first += group_width) {
        const Index width = std::min(group_width, d - first);
        const Matrix u = covariance_columns(source, first, width);
        const Matrix v = covariance_columns(target, first, width);
        for (Index k = 0; k < width; ++k) {
            const Index below = u.rows() - k - 1;
            trace += u(k, k) * v(k, k) + 2 * u.col(k).tail(below).dot(v.col(k).tail(below));
        }
    }
    return trace;
}

CostMoments closed_form(const Coupling& coupling, const Cost& cost, const Points& source, const Points& target,
                        bool with_deviation) {
    const Communicator& world = coupling.grid().world();
    const Expansion terms = expand(cost, source, target);
    const Moments a = moments_of(world, source, terms.source);
    const Moments b = moments_of(world, target, terms.target);
    const double mean = terms.constant + a.mean + b.mean;
    if (!with_deviation) return {mean, 0};

    // Either n m d products, or (n + m) d^2 / 2 and sums of d x d numbers over ranks.
    const auto n = static_cast<double>(coupling.points(Side::row));
    const auto m = static_cast<double>(coupling.points(Side::column));
    const bool few_points = n * m <= (n + m) * static_cast<double>(coupling.dimension()) / 2;
    const double trace = few_points ? trace_over_pairs(world, source, target) : trace_over_covariances(source, target);
    return {mean, std::sqrt(a.variance + b.variance + terms.kappa * terms.kappa * trace)};
}

double cost_between_means(const Cost& cost, const Points& source, const Points& target) {
    const Vector p = source.mean(), q = target.mean();
    return cost(as_span(p), as_span(q));
}

// Over all pairs, with P = a b^T (epsilon = infinity).
CostMoments streamed(const Coupling& coupling, const Points& source, const Points& target, bool with_deviation) {
    Coupling pairs{coupling.grid(), coupling.cloud(Side::row), coupling.cloud(Side::column), coupling.cost(),
                   Precision::fp64};
    const std::vector<double> f(static_cast<std::size_t>(coupling.local(Side::row).rows), 0.0);
    const std::vector<double> g(static_cast<std::size_t>(coupling.local(Side::column).rows), 0.0);
    // E[C - shift] and E[(C - shift)^2].
    const auto moments_about = [&](double shift) {
        const auto average = pairs.apply(Side::row, {f, g}, std::numeric_limits<double>::infinity(), Safety::shifted,
                                         Weighting::of_cost(shift));
        std::vector<double> first(f.size()), second(f.size());
        for (std::size_t i = 0; i < f.size(); ++i) {
            first[i] = average.value[2 * i];
            second[i] = average.value[2 * i + 1];
        }
        return std::array{pairs.mean(Side::row, first), pairs.mean(Side::row, second)};
    };

    // About the cost between the means: close to the mean of C where the clouds are far apart.
    const double near = cost_between_means(coupling.cost(), source, target);
    const auto [away, square] = moments_about(near);
    const double mean = near + away;
    if (!with_deviation) return {mean, 0};
    if (square - away * away > 1e-4 * square) return {mean, std::sqrt(square - away * away)};  // lost 4 digits at most
    const auto [missed, variance] = moments_about(mean);
    return {mean, std::sqrt(std::max(variance - missed * missed, 0.0))};
}

}  // namespace

CostMoments cost_moments(const Coupling& coupling, bool with_deviation) {
    const Cost& cost = coupling.cost();
    const Points source{coupling, Side::row}, target{coupling, Side::column};

    CostMoments result;
    if (source.is_one_point() && target.is_one_point()) {
        result = {cost_between_means(cost, source, target), 0};  // exactly 0: nothing varies
    } else if (cost.uses_products()) {
        const Cost of_rows = cost.normalises_rows() ? Cost{CostKind::pnorm, 2} : cost;
        result = closed_form(coupling, of_rows, source, target, with_deviation);
    } else {
        result = streamed(coupling, source, target, with_deviation);
    }
    // Ranks may be of different makes: one answer for all.
    const Communicator& world = coupling.grid().world();
    world.broadcast(result.mean);
    world.broadcast(result.standard_deviation);
    return result;
}

EpsilonRule EpsilonRule::parse(const std::string& text) {
    EpsilonRule rule;
    const auto [unit, error] = std::from_chars(text.data(), text.data() + text.size(), rule.factor);
    const std::string_view suffix{unit, static_cast<std::size_t>(text.data() + text.size() - unit)};
    const bool known = suffix.empty() || suffix == "std" || suffix == "mean";
    CONVOY_VALIDATE(
        error == std::errc{} && known,
        fmt::format("epsilon '{}' is not understood (it is a number in units of the cost, or one followed by "
                    "std or mean, relative to the cost's): write for example 2.5, 0.05std or 0.05mean",
                    text));
    CONVOY_VALIDATE(std::isfinite(rule.factor) && rule.factor > 0,
                    fmt::format("epsilon '{}' is not usable (it must be positive and finite): write for example 2.5, "
                                "0.05std or 0.05mean",
                                text));
    rule.unit = suffix.empty() ? Unit::absolute : suffix == "std" ? Unit::standard_deviation : Unit::mean;
    return rule;
}

std::string EpsilonRule::name() const {
    const char* suffix = unit == Unit::absolute ? "" : unit == Unit::mean ? "mean" : "std";
    return fmt::format("{}{}", factor, suffix);
}

double EpsilonRule::resolve(const Coupling& coupling) const {
    CONVOY_VALIDATE(std::isfinite(factor) && factor > 0,
                    fmt::format("epsilon '{}' is not usable (it must be positive and finite): write for example 2.5, "
                                "0.05std or 0.05mean",
                                name()));
    if (unit == Unit::absolute) return factor;

    const CostMoments of_cost = cost_moments(coupling, unit == Unit::standard_deviation);
    const double scale = unit == Unit::mean ? of_cost.mean : of_cost.standard_deviation;
    const std::string cost = coupling.cost().name();
    CONVOY_VALIDATE(
        std::isfinite(of_cost.mean) && std::isfinite(scale),
        fmt::format("epsilon {} is not known (the {} of the cost '{}' overflows what fp64 holds): scale the points "
                    "down, or give epsilon as a number",
                    name(), unit == Unit::mean ? "mean" : "standard deviation", cost));
    if (unit == Unit::mean) {
        CONVOY_VALIDATE(scale > 0,
                        fmt::format("epsilon {} is not usable (the mean of the cost '{}' over all pairs is {}, "
                                    "and epsilon must be positive): use 0.05std, or give a number",
                                    name(), cost, scale));
    } else {
        // A spread of the order of the rounding of C itself is none.
        CONVOY_VALIDATE(
            !(scale <= 4 * std::numeric_limits<double>::epsilon() * std::abs(of_cost.mean)),
            fmt::format("epsilon {} is zero (the cost '{}' is {} for every pair, as it is when all points are "
                        "equal): give epsilon as a number, in units of the cost",
                        name(), cost, of_cost.mean));
    }
    const double epsilon = factor * scale;
    CONVOY_VALIDATE(
        std::isfinite(epsilon) && epsilon > 0,
        fmt::format("epsilon {} is {} here (the {} of the cost '{}' is {}): check the points' units, or give "
                    "epsilon as a number",
                    name(), epsilon, unit == Unit::mean ? "mean" : "standard deviation", cost, scale));
    return epsilon;
}

}  // namespace convoy
