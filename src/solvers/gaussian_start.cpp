// With S = E^T diag(s) E over the s_k > 0 (rows of E the eigenvectors: r of d) and B = E^T diag(s)^(1/2), so that
// S = B B^T, the middle matrix lives on r x r numbers:
//
//     M = B^T T B = V^T diag(m) V,    S^(1/2) T S^(1/2) = E^T M E,
//     A = E^T s^(-1/2) V^T diag(w) V s^(-1/2) E,
//     w_k = ((4 m_k + t^2)^(1/2) - t) / 2 = 2 m_k / ((4 m_k + t^2)^(1/2) + t),
//
// the last form without cancellation. Rows of G = V s^(-1/2) E, r x d, are found once; u^T A u = sum_k w_k (G u)_k^2
// then costs one product for any number of t.

#include "convoy/gaussian_start.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "convoy/error.hpp"
#include "geometry/dense.hpp"
#include "solvers/moments.hpp"

namespace convoy {

namespace {

using dense::Form;
using moments::Matrix;
using moments::Points;
using moments::Vector;

dense::Matrix view(Matrix& a) {
    return {a.data(), a.rows(), a.cols(), a.cols()};
}
dense::ConstMatrix view(const Matrix& a) {
    return {a.data(), a.rows(), a.cols(), a.cols()};
}

// Eigenvalues below this are the rounding of the largest.
double rounding_of(const std::vector<double>& eigenvalues) {
    const double largest = eigenvalues.empty() ? 0 : std::max(eigenvalues.back(), 0.0);
    return static_cast<double>(eigenvalues.size()) * std::numeric_limits<double>::epsilon() * largest;
}

// The lower triangle of a covariance, on rank 0; nothing elsewhere: others hold some columns at a time.
Matrix covariance_on_root(const Points& cloud) {
    const Eigen::Index d = cloud.rows.cols();
    Matrix whole;
    if (cloud.world.is_root()) whole.resize(d, d);
    for (Eigen::Index first = 0; first < d; first += moments::group_width) {
        const Eigen::Index width = std::min(moments::group_width, d - first);
        const Matrix columns = covariance_columns(cloud, first, width);
        if (cloud.world.is_root()) whole.block(first, first, d - first, width) = columns;
    }
    return whole;
}

// G and m.
struct Spectrum {
    Matrix directions;
    Vector values;
};

// E s^(1/2), a row for each s_k that is not rounding, and these s.
Spectrum factor(Matrix&& covariance) {
    const std::vector<double> all = dense::eigen_decomposition(view(covariance));
    const double rounding = rounding_of(all);
    const auto kept = std::find_if(all.begin(), all.end(), [&](double s) { return s > rounding; });
    Spectrum found{covariance.bottomRows(all.end() - kept), Vector{all.end() - kept}};
    std::copy(kept, all.end(), found.values.begin());
    found.directions.array().colwise() *= found.values.array().sqrt();
    return found;
}

Spectrum solve_between(Matrix&& source, Matrix&& target) {
    CONVOY_VALIDATE(source.triangularView<Eigen::Lower>().toDenseMatrix().allFinite() &&
                        target.triangularView<Eigen::Lower>().toDenseMatrix().allFinite(),
                    "the clouds' covariances are not known (they overflow what fp64 holds): scale the points down");
    Spectrum root = factor(std::move(source));
    source.resize(0, 0);
    const Eigen::Index r = root.directions.rows(), d = target.rows();
    if (r == 0) return root;

    target.triangularView<Eigen::StrictlyUpper>() = target.transpose();
    Matrix half(r, d), middle(r, r);
    dense::multiply(1, view(root.directions), Form::plain, view(target), Form::plain, 0, view(half));
    target.resize(0, 0);
    dense::multiply(1, view(half), Form::plain, view(root.directions), Form::transposed, 0, view(middle));
    std::vector<double> values = dense::eigen_decomposition(view(middle));
    const double rounding = rounding_of(values);
    for (double& m : values) m = m > rounding ? m : 0;

    // B^T = s^(1/2) E becomes s^(-1/2) E; `half` becomes G.
    root.directions.array().colwise() /= root.values.array();
    dense::multiply(1, view(middle), Form::plain, view(root.directions), Form::plain, 0, view(half));
    return {std::move(half), Eigen::Map<const Vector>{values.data(), r}};
}

// Rank 0 solves; all have its bits.
Spectrum solve_on_root(const Points& source, const Points& target) {
    const Communicator& world = source.world;
    Matrix of_source = covariance_on_root(source), of_target = covariance_on_root(target);
    Spectrum found;
    agree(world, [&] {
        if (world.is_root()) found = solve_between(std::move(of_source), std::move(of_target));
    });
    std::int64_t r = found.values.size();
    world.broadcast(r);
    found.values.resize(r);
    found.directions.resize(r, source.rows.cols());
    world.broadcast(moments::as_span(found.values));
    world.broadcast(std::span{found.directions.data(), static_cast<std::size_t>(found.directions.size())});
    return found;
}

const Coupling& accepted(const Coupling& coupling) {
    CONVOY_VALIDATE(
        gaussian_start_applies(coupling.cost()),
        fmt::format("there is no Gaussian start for the cost '{}' (its potentials between Gaussians have no "
                    "closed form): choose another start, or sqeuclidean, pnorm:2, dot or cosine",
                    coupling.cost().name()));
    CONVOY_VALIDATE(coupling.dimension() <= dense::largest_eigenproblem,
                    fmt::format("there is no Gaussian start in {} dimensions (its covariances have at most {} rows): "
                                "choose another start",
                                coupling.dimension(), dense::largest_eigenproblem));
    return coupling;
}

}  // namespace

struct GaussianStart::Fit {
    const Coupling& coupling;
    const Points source;
    Vector linear;  // of f as |x - y|^2 (or <x, y>) has it
    Spectrum spectrum;

    explicit Fit(const Coupling& c) : coupling{accepted(c)}, source{c, Side::row} {
        const Points target{c, Side::column};
        linear = is_dot() ? Vector{-target.mean()} : Vector{2 * between_means(source, target)};
        spectrum = solve_on_root(source, target);
    }

    bool is_dot() const { return coupling.cost().kind() == CostKind::dot; }
    // C = scale |x - y|^2, up to terms of x and of y alone.
    double scale() const { return coupling.cost().kind() == CostKind::sqeuclidean ? 1 : 0.5; }

    // The w_k for a cost that is `scale` times the squared distance.
    Vector weights(double epsilon, GaussianKind kind) const {
        const double t = kind == GaussianKind::entropic ? epsilon / scale() / 2 : 0;
        return spectrum.values.unaryExpr([t](double m) { return m > 0 ? 2 * m / (std::sqrt(4 * m + t * t) + t) : 0; });
    }

    // f of `count` rows from `first`: a column for each column of `weights`.
    Matrix evaluate(Eigen::Index first, Eigen::Index count, const Matrix& weights) const {
        const Matrix u = source.centred(first, count);
        Matrix along(count, spectrum.values.size());
        dense::multiply(1, view(u), Form::plain, view(spectrum.directions), Form::transposed, 0, view(along));
        Matrix f(count, weights.cols());
        f.noalias() = -scale() * (along.cwiseAbs2() * weights);
        const Vector others =
            is_dot() ? Vector{u * linear} : Vector{scale() * (u.rowwise().squaredNorm() + u * linear)};
        f.colwise() += others;
        return f;
    }
};

bool gaussian_start_applies(const Cost& cost) {
    switch (cost.kind()) {
        case CostKind::sqeuclidean:
        case CostKind::dot:
        case CostKind::cosine:
            return true;
        case CostKind::pnorm:
            return cost.p() == 2;
        case CostKind::euclidean:
            return false;
    }
    return false;
}

GaussianStart::GaussianStart(const Coupling& coupling) : fit_{std::make_unique<const Fit>(coupling)} {}
GaussianStart::~GaussianStart() = default;
GaussianStart::GaussianStart(GaussianStart&&) noexcept = default;
GaussianStart& GaussianStart::operator=(GaussianStart&&) noexcept = default;

std::vector<std::vector<double>> GaussianStart::potentials(double epsilon,
                                                           const std::vector<GaussianKind>& kinds) const {
    const Points& source = fit_->source;
    const auto width = static_cast<Eigen::Index>(kinds.size());
    Matrix weights(fit_->spectrum.values.size(), width);
    for (Eigen::Index k = 0; k < width; ++k)
        weights.col(k) = fit_->weights(epsilon, kinds[static_cast<std::size_t>(k)]);

    // Ranks that share a part evaluate a stripe each and exchange: less work, and the same bits also where they are of
    // different makes.
    const Eigen::Index rows = source.end - source.begin;
    Eigen::MatrixXd stripe(rows, width);
    {
        const dense::OneThreadEach one_thread_each;
#pragma omp parallel for schedule(dynamic)
        for (Eigen::Index i = 0; i < rows; i += moments::row_block) {
            const Eigen::Index n = std::min(moments::row_block, rows - i);
            stripe.middleRows(i, n) = fit_->evaluate(source.begin + i, n, weights);
        }
    }
    const Coupling& coupling = fit_->coupling;
    std::vector<std::vector<double>> result;
    for (Eigen::Index k = 0; k < width; ++k) {
        const std::span mine{stripe.col(k).data(), static_cast<std::size_t>(rows)};
        std::vector<double> f = join_stripes(coupling.grid(), Side::row, coupling.cloud(Side::row).partition, 1, mine);
        const double mean = coupling.mean(Side::row, f);
        for (double& value : f) value -= mean;
        result.push_back(std::move(f));
    }
    return result;
}

std::vector<double> gaussian_potential(const Coupling& coupling, double epsilon, GaussianKind kind) {
    return std::move(GaussianStart{coupling}.potentials(epsilon, {kind}).front());
}

}  // namespace convoy
