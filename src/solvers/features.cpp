#include "convoy/features.hpp"

#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <random>

#include "convoy/error.hpp"
#include "geometry/dense.hpp"
#include "solvers/moments.hpp"

namespace convoy {

namespace {

using moments::Index;
using moments::Matrix;
using moments::Points;
using moments::Vector;

constexpr std::int64_t exact_up_to = 2048;
constexpr std::int64_t oversampling = 10;
constexpr int most_iterations = 12, least_iterations = 3;
constexpr double enough = 1e-6;  // what another iteration has to add to the captured variance

dense::Matrix view(Matrix& a) {
    return {a.data(), a.rows(), a.cols(), a.cols()};
}
dense::ConstMatrix view(const Matrix& a) {
    return {a.data(), a.rows(), a.cols(), a.cols()};
}

// The mixture of both clouds, each with half of the mass: its covariance is that of the halves, and a quarter of the
// square of what lies between their means.
struct Joint {
    const Points &x, &y;
    Vector between;  // means
    Vector variances;

    Joint(const Points& source, const Points& target)
        : x{source}, y{target}, between{moments::between_means(source, target)} {
        variances = (of(x) + of(y)) / 2 + between.cwiseAbs2() / 4;
    }

    Vector mean() const { return y.mean() + between / 2; }

 private:
    static Vector of(const Points& cloud) {
        Vector sums = Vector::Zero(cloud.rows.cols());
        for (Index i = cloud.begin; i < cloud.end; i += moments::row_block) {
            const Index n = std::min(moments::row_block, cloud.end - i);
            sums += cloud.centred(i, n).cwiseAbs2().transpose() * cloud.weights.segment(i, n);
        }
        moments::sum_over(cloud.world, moments::as_span(sums));
        return sums;
    }
};

// Unit vectors in rows, the largest number of each positive, so that everybody finds the same ones.
void fix_signs(std::vector<double>& components, std::int64_t d) {
    for (auto row = components.begin(); row != components.end(); row += d) {
        const auto largest =
            std::max_element(row, row + d, [](double a, double b) { return std::abs(a) < std::abs(b); });
        if (*largest < 0) std::transform(row, row + d, row, [](double v) { return -v; });
    }
}

// Eigenvectors of the covariance itself, on rank 0, which alone holds all of it.
void find_exactly(const Communicator& world, const Joint& joint, std::int64_t count, Features& found) {
    const Index d = found.inputs;
    const Vector inverse = Eigen::Map<const Vector>{found.scale.data(), d}.cwiseInverse();
    const Vector between = joint.between.cwiseProduct(inverse);
    Matrix covariance;
    agree(world, [&] {
        if (world.is_root()) covariance.resize(d, d);
    });
    for (Index first = 0; first < d; first += moments::group_width) {
        const Index width = std::min(moments::group_width, d - first), below = d - first;
        const Matrix of_x = moments::covariance_columns(joint.x, first, width);
        const Matrix of_y = moments::covariance_columns(joint.y, first, width);
        if (!world.is_root()) continue;
        covariance.block(first, first, below, width) =
            inverse.tail(below).asDiagonal() * ((of_x + of_y) / 2) * inverse.segment(first, width).asDiagonal();
        covariance.block(first, first, below, width) +=
            between.tail(below) * between.segment(first, width).transpose() / 4;
    }
    agree(world, [&] {
        if (!world.is_root()) return;
        const std::vector<double> values = dense::eigen_decomposition(view(covariance));  // ascending
        for (Index k = 0; k < count; ++k) {
            found.variances.push_back(std::max(values[static_cast<std::size_t>(d - 1 - k)], 0.0));
            const auto row = covariance.row(d - 1 - k);
            found.components.insert(found.components.end(), row.begin(), row.end());
        }
    });
}

// Standard normal numbers by Box and Muller's method: the library's own differ from one to the next.
Matrix random_directions(Index d, Index count, std::uint64_t seed) {
    std::mt19937_64 random{seed};
    const auto uniform = [&] { return (static_cast<double>(random() >> 11) + 0.5) * 0x1p-53; };
    Matrix directions(d, count);
    for (double& number : directions.reshaped<Eigen::RowMajor>())
        number = std::sqrt(-2 * std::log(uniform())) * std::cos(2 * std::numbers::pi * uniform());
    return directions;
}

Matrix orthonormal(const Matrix& columns) {
    const Eigen::HouseholderQR<Eigen::MatrixXd> qr{columns};
    return qr.householderQ() * Eigen::MatrixXd::Identity(columns.rows(), columns.cols());
}

// One cloud's covariance, of the scaled numbers, times a few columns: sum_i w_i z_i (z_i^T q). Collective.
Matrix covariance_times(const Points& cloud, const Vector& inverse, const Matrix& q) {
    const Index d = q.rows(), width = q.cols();
    const Index block = std::clamp<Index>((Index{1} << 22) / d, 16, 4096);
    Matrix product = Matrix::Zero(d, width), along(block, width);
    for (Index i = cloud.begin; i < cloud.end; i += block) {
        const Index n = std::min(block, cloud.end - i);
        Matrix rows = cloud.centred(i, n);
        rows.array().rowwise() *= inverse.transpose().array();
        const dense::Matrix projected{along.data(), n, width, width};
        dense::multiply(1, view(rows), dense::Form::plain, view(q), dense::Form::plain, 0, projected);
        for (Index k = 0; k < n; ++k) along.row(k) *= cloud.weights(i + k);
        dense::multiply(1, view(rows), dense::Form::transposed, projected, dense::Form::plain, 1, view(product));
    }
    moments::sum_over(cloud.world, {product.data(), static_cast<std::size_t>(product.size())});
    return product;
}

// Subspace iteration; the Rayleigh quotient of each subspace tells how much variance it holds.
void find_by_iteration(const Communicator& world, const Joint& joint, std::int64_t count, std::uint64_t seed,
                       Features& found) {
    const Index d = found.inputs, width = std::min(count + oversampling, found.inputs);
    const Vector inverse = Eigen::Map<const Vector>{found.scale.data(), d}.cwiseInverse();
    const Vector between = joint.between.cwiseProduct(inverse);
    const auto numbers = [](Matrix& a) { return std::span{a.data(), static_cast<std::size_t>(a.size())}; };
    Matrix q(d, width);
    agree(world, [&] {
        if (world.is_root()) q = orthonormal(random_directions(d, width, seed));
    });
    double held = 0;
    int done = 0;
    for (int iteration = 1; done == 0; ++iteration) {
        world.broadcast(numbers(q));
        Matrix image = (covariance_times(joint.x, inverse, q) + covariance_times(joint.y, inverse, q)) / 2;
        image += between * (between.transpose() * q) / 4;
        agree(world, [&] {
            if (!world.is_root()) return;
            Matrix quotient = q.transpose() * image;
            const std::vector<double> values = dense::eigen_decomposition(view(quotient));  // ascending
            const double now = std::accumulate(values.end() - count, values.end(), 0.0);
            const bool settled = iteration >= least_iterations && std::abs(now - held) <= enough * now;
            held = now;
            if (!settled && iteration < most_iterations) {
                q = orthonormal(image);
                return;
            }
            done = 1;
            const Matrix best = quotient.bottomRows(count) * q.transpose();
            for (Index k = count - 1; k >= 0; --k) {
                found.variances.push_back(std::max(values[static_cast<std::size_t>(width - count + k)], 0.0));
                found.components.insert(found.components.end(), best.row(k).begin(), best.row(k).end());
            }
        });
        world.broadcast(done);
    }
}

void find_components(const Communicator& world, const Joint& joint, const FeatureOptions& options, Features& found) {
    using Method = FeatureOptions::Method;
    const std::int64_t d = found.inputs, k = options.components;
    CONVOY_VALIDATE(k <= d, fmt::format("there are no {} principal components (points have {} {}); ask for fewer", k, d,
                                        d == 1 ? "dimension" : "dimensions"));
    const bool exact = options.method == Method::exact ||
                       (options.method == Method::automatic &&
                        (d <= exact_up_to || (8 * (k + oversampling) >= d && d <= 8 * exact_up_to)));
    CONVOY_VALIDATE(
        !exact || d <= dense::largest_eigenproblem,
        fmt::format("no exact principal components of {} dimensions (LAPACK goes to {}); use the randomized "
                    "method",
                    d, dense::largest_eigenproblem));
    if (exact)
        find_exactly(world, joint, k, found);
    else
        find_by_iteration(world, joint, k, options.seed, found);
    found.method = exact ? "exact" : "randomized";
    if (world.is_root()) fix_signs(found.components, d);
    found.components.resize(static_cast<std::size_t>(k * d));
    found.variances.resize(static_cast<std::size_t>(k));
    world.broadcast(std::span{found.components});
    world.broadcast(std::span{found.variances});
}

double furthest(const std::vector<double>& one, const std::vector<double>& other) {
    double most = 0;
    for (std::size_t i = 0; i < one.size(); ++i) most = std::max(most, std::abs(one[i] - other[i]));
    return most;
}

double largest(const std::vector<double>& numbers) {
    double most = 0;
    for (const double number : numbers) most = std::max(most, std::abs(number));
    return most;
}

// Rows in blocks, a block a thread at a time: use(first row, rows, a thread's scratch of `width` numbers a row).
template <class Use>
void in_blocks(std::int64_t rows, std::int64_t width, const Use& use) {
    const std::int64_t block = std::clamp<std::int64_t>((std::int64_t{1} << 19) / width, 1, 256);
    std::vector<double> scratch(static_cast<std::size_t>(omp_get_max_threads() * block * width));
    const dense::OneThreadEach one_thread_each;
#pragma omp parallel for schedule(static)
    for (std::int64_t first = 0; first < rows; first += block)
        use(first, std::min(block, rows - first), scratch.data() + omp_get_thread_num() * block * width);
}

}  // namespace

double Features::captured() const {
    return total_variance > 0 ? std::accumulate(variances.begin(), variances.end(), 0.0) / total_variance : 1;
}

std::vector<double> Features::apply(const std::vector<double>& rows) const {
    const std::int64_t d = inputs, k = outputs(), n = std::ssize(rows) / d;
    CONVOY_EXPECT(n * d == std::ssize(rows));
    std::vector<double> result(static_cast<std::size_t>(n * k));
    in_blocks(n, d, [&](std::int64_t first, std::int64_t count, double* scratch) {
        double* const z = components.empty() ? result.data() + first * d : scratch;
        for (std::int64_t i = 0; i < count; ++i)
            for (std::int64_t j = 0; j < d; ++j)
                z[i * d + j] =
                    (rows[static_cast<std::size_t>((first + i) * d + j)] - mean[static_cast<std::size_t>(j)]) /
                    scale[static_cast<std::size_t>(j)];
        if (components.empty()) return;
        dense::multiply(1, {z, count, d, d}, dense::Form::plain, {components.data(), k, d, d}, dense::Form::transposed,
                        0, {result.data() + first * k, count, k, k});
    });
    return result;
}

std::vector<double> Features::undo(const std::vector<double>& rows) const {
    const std::int64_t d = inputs, k = outputs(), n = std::ssize(rows) / k;
    CONVOY_EXPECT(n * k == std::ssize(rows));
    std::vector<double> result(static_cast<std::size_t>(n * d));
    in_blocks(n, d, [&](std::int64_t first, std::int64_t count, double*) {
        double* const x = result.data() + first * d;
        const double* const z = rows.data() + first * k;
        if (components.empty())
            std::copy_n(z, count * d, x);
        else
            dense::multiply(1, {z, count, k, k}, dense::Form::plain, {components.data(), k, d, d}, dense::Form::plain,
                            0, {x, count, d, d});
        for (std::int64_t i = 0; i < count; ++i)
            for (std::int64_t j = 0; j < d; ++j)
                x[i * d + j] = x[i * d + j] * scale[static_cast<std::size_t>(j)] + mean[static_cast<std::size_t>(j)];
    });
    return result;
}

void transform(const Features& features, DistributedCloud& cloud) {
    CONVOY_EXPECT(cloud.local.dimension == features.inputs);
    cloud.local.points = features.apply(cloud.local.points);
    cloud.local.dimension = features.outputs();
}

bool alike(const Features& one, const Features& other) {
    constexpr double rounding = 1e-9, rotation = 1e-6;
    if (one.inputs != other.inputs || one.outputs() != other.outputs() ||
        one.components.size() != other.components.size())
        return false;
    return furthest(one.mean, other.mean) <= rounding * (largest(one.mean) + largest(one.scale)) &&
           furthest(one.scale, other.scale) <= rounding * largest(one.scale) &&
           furthest(one.components, other.components) <= rotation;
}

Features find_features(const Grid& grid, const DistributedCloud& source, const DistributedCloud& target,
                       const FeatureOptions& options) {
    CONVOY_EXPECT(source.local.dimension == target.local.dimension);
    const Points x{grid, Side::row, source, false}, y{grid, Side::column, target, false};
    const Joint joint{x, y};
    CONVOY_VALIDATE(joint.variances.allFinite(),
                    "points are too large to be standardized or projected (their variance overflows what fp64 holds); "
                    "give a smaller --scale");
    Features found;
    found.inputs = source.local.dimension;
    const Vector mean = joint.mean();
    found.mean.assign(mean.begin(), mean.end());
    found.scale.assign(found.mean.size(), 1.0);
    found.standardized = options.standardize;
    for (std::size_t j = 0; j < found.scale.size() && options.standardize; ++j)
        if (const double variance = joint.variances(static_cast<moments::Index>(j)); variance > 0)
            found.scale[j] = std::sqrt(variance);
    if (options.components == 0) return found;
    for (std::size_t j = 0; j < found.scale.size(); ++j)
        found.total_variance += joint.variances(static_cast<moments::Index>(j)) / (found.scale[j] * found.scale[j]);
    find_components(grid.world(), joint, options, found);
    return found;
}

}  // namespace convoy
