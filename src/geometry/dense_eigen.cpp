#include <fmt/format.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

#include "convoy/error.hpp"
#include "geometry/dense.hpp"

namespace convoy::dense {

namespace {

using Eigen::Index;
using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Mapped = Eigen::Map<RowMajor, 0, Eigen::OuterStride<>>;
using ConstMapped = Eigen::Map<const RowMajor, 0, Eigen::OuterStride<>>;

constexpr Index block_size = 128;  // rows of a triangle that are computed at once

Mapped map(Matrix a) {
    return {a.data, a.rows, a.columns, Eigen::OuterStride<>{a.stride}};
}
ConstMapped map(ConstMatrix a) {
    return {a.data, a.rows, a.columns, Eigen::OuterStride<>{a.stride}};
}
ConstMapped map(const std::vector<double>& a, std::int64_t n) {
    return {a.data(), n, n, Eigen::OuterStride<>{n}};
}

template <class A, class B>
void add_product(double alpha, const A& a, const B& b, Mapped c) {
    c.noalias() += alpha * a * b;
}

// Before a product is added: beta c, and no nan survives beta = 0.
void scale(double beta, Mapped c) {
    if (beta == 0)
        c.setZero();
    else if (beta != 1)
        c *= beta;
}

}  // namespace

void multiply(double alpha, ConstMatrix a, Form of_a, ConstMatrix b, Form of_b, double beta, Matrix c) {
    const bool a_plain = of_a == Form::plain, b_plain = of_b == Form::plain;
    CONVOY_EXPECT((a_plain ? a.rows : a.columns) == c.rows && (b_plain ? b.columns : b.rows) == c.columns);
    CONVOY_EXPECT((a_plain ? a.columns : a.rows) == (b_plain ? b.rows : b.columns));
    const ConstMapped left = map(a), right = map(b);
    scale(beta, map(c));
    if (a_plain && b_plain) {
        add_product(alpha, left, right, map(c));
    } else if (a_plain) {
        add_product(alpha, left, right.transpose(), map(c));
    } else if (b_plain) {
        add_product(alpha, left.transpose(), right, map(c));
    } else {
        add_product(alpha, left.transpose(), right.transpose(), map(c));
    }
}

// By blocks of rows: Eigen's own rankUpdate() keeps to one thread.
void multiply_by_own_transpose(double alpha, ConstMatrix a, Form of_a, double beta, Matrix c) {
    const bool plain = of_a == Form::plain;
    CONVOY_EXPECT(c.rows == c.columns && c.rows == (plain ? a.rows : a.columns));
    const auto part = [&](Index first, Index count) {
        return plain ? ConstMatrix{a.data + first * a.stride, count, a.columns, a.stride}
                     : ConstMatrix{a.data + first, a.rows, count, a.stride};
    };
    const Form other = plain ? Form::transposed : Form::plain;
    for (Index first = 0; first < c.rows; first += block_size) {
        const Index count = std::min(block_size, c.rows - first);
        RowMajor square(count, count);
        multiply(alpha, part(first, count), of_a, part(first, count), other, 0, {square.data(), count, count, count});
        Mapped below = map(Matrix{c.data + first * (c.stride + 1), count, count, c.stride});
        for (Index i = 0; i < count; ++i) {
            const auto sum = square.row(i).head(i + 1);
            below.row(i).head(i + 1) = beta == 0 ? RowMajor{sum} : RowMajor{sum + beta * below.row(i).head(i + 1)};
        }
        multiply(alpha, part(first, count), of_a, part(0, first), other, beta,
                 {c.data + first * c.stride, count, first, c.stride});
    }
}

std::vector<double> eigen_decomposition(Matrix a) {
    CONVOY_EXPECT(a.rows == a.columns && a.rows <= largest_eigenproblem);
    if (a.rows == 0) return {};
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> found{map(a)};
    if (found.info() != Eigen::Success)
        throw Failure{
            fmt::format("the eigenvalues of a matrix of {} rows were not found (Eigen's iteration did not "
                        "converge)",
                        a.rows)};
    map(a) = found.eigenvectors().transpose();
    return {found.eigenvalues().begin(), found.eigenvalues().end()};
}

std::optional<Cholesky> Cholesky::of(std::vector<double> a, std::int64_t n) {
    CONVOY_EXPECT(std::ssize(a) == n * n);
    Mapped in_place = map(Matrix{a.data(), n, n, n});
    const Eigen::LLT<Eigen::Ref<RowMajor, 0, Eigen::OuterStride<>>> factor{in_place};
    if (factor.info() != Eigen::Success || in_place.diagonal().hasNaN()) return std::nullopt;
    return Cholesky{std::move(a), n};
}

void Cholesky::solve(Matrix b) const {
    CONVOY_EXPECT(b.columns == n_);
    const auto lower = map(factor_, n_).triangularView<Eigen::Lower>();
    Mapped sides = map(b);
    lower.solveInPlace(sides.transpose());
    lower.transpose().solveInPlace(sides.transpose());
}

// Eigen within a parallel region keeps to its thread.
OneThreadEach::OneThreadEach() = default;
OneThreadEach::~OneThreadEach() {}

std::string implementation() {
    return fmt::format("Eigen {}.{}.{}", EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION, EIGEN_MINOR_VERSION);
}

}  // namespace convoy::dense
