#include "solvers/coarse.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "geometry/dense.hpp"

namespace convoy {

namespace {

constexpr double wanted_perplexity = 50;
constexpr double widening_step = 1.25, largest_widening = 100;
// Keeps the coarse problem regular: no error is amplified more than 1 / (1 - rho) times.
constexpr double rho = 0.99;
constexpr std::int64_t smallest = 128, largest = 4096;
constexpr std::int64_t small_system = 600;
constexpr std::int64_t rows_looked_at = 64;  // for the perplexity

// The sample's points as products see them: centred where that changes no cost, of norm 1 for `cosine`.
std::vector<double> points_for_products(const Coupling& fine, const Cloud& cloud) {
    std::vector<double> points = cloud.points;
    const bool centred = fine.cost().kind() == CostKind::sqeuclidean || fine.cost().kind() == CostKind::pnorm;
    for (std::int64_t i = 0; i < cloud.rows; ++i) {
        const std::span point{points.data() + i * cloud.dimension, static_cast<std::size_t>(cloud.dimension)};
        double square = 0;
        for (std::size_t k = 0; k < point.size(); ++k) {
            if (centred) point[k] -= fine.centre()[k];
            square += point[k] * point[k];
        }
        if (!fine.cost().normalises_rows()) continue;
        for (double& x : point) x /= std::sqrt(square);
    }
    return points;
}

std::vector<double> squared_norms(const std::vector<double>& points, std::int64_t dimension) {
    std::vector<double> norms;
    for (auto at = points.begin(); at != points.end(); at += dimension)
        norms.push_back(std::inner_product(at, at + dimension, at, 0.0));
    return norms;
}

// C_ij of all pairs, a row for each target y_j, in fp64.
std::vector<double> costs(const Coupling& fine, const Cloud& x, const Cloud& y) {
    const Cost& cost = fine.cost();
    const std::int64_t d = x.dimension;
    std::vector<double> c(static_cast<std::size_t>(x.rows * y.rows));
    const bool products = cost.uses_products();
    const auto xs = products ? points_for_products(fine, x) : x.points;
    const auto ys = products ? points_for_products(fine, y) : y.points;
    const auto x_norms = squared_norms(xs, d), y_norms = squared_norms(ys, d);
    if (products) {
        dense::multiply(-cost.product_factor(), {ys.data(), y.rows, d, d}, dense::Form::plain,
                        {xs.data(), x.rows, d, d}, dense::Form::transposed, 0, {c.data(), y.rows, x.rows, x.rows});
    }
#pragma omp parallel for schedule(static)
    for (std::int64_t j = 0; j < y.rows; ++j) {
        for (std::int64_t i = 0; i < x.rows; ++i) {
            double& c_ij = c[static_cast<std::size_t>(j * x.rows + i)];
            if (products) {
                c_ij += cost.row_term(x_norms[static_cast<std::size_t>(i)]) +
                        cost.row_term(y_norms[static_cast<std::size_t>(j)]);
            } else {
                c_ij = cost(x.point(i), y.point(j));
            }
        }
    }
    return c;
}

// f_i + g_j - C_ij.
std::vector<double> slacks(const Coupling& fine, const Cloud& x, const Cloud& y,
                           const CoarseCorrection::Potentials& at) {
    std::vector<double> slack = costs(fine, x, y);
    for (std::size_t j = 0; j < at.g.size(); ++j) {
        for (std::size_t i = 0; i < at.f.size(); ++i) {
            double& s = slack[j * at.f.size() + i];
            s = at.f[i] + at.g[j] - s;
        }
    }
    return slack;
}

// Points that rows of the kernel spread over: exp of their mean entropy, from some of them.
double perplexity(const std::vector<double>& slack, std::int64_t rows, std::int64_t columns, double epsilon) {
    const std::int64_t step = std::max<std::int64_t>(rows / rows_looked_at, 1);
    double entropy = 0, count = 0;
    for (std::int64_t i = 0; i < rows; i += step, ++count) {
        const std::span row{slack.data() + i * columns, static_cast<std::size_t>(columns)};
        const double top = *std::ranges::max_element(row);
        double sum = 0, weighted = 0;  // of exp(t), and of exp(t) t
        for (const double s : row) {
            const double t = (s - top) / epsilon;
            if (t < -40) continue;
            const double p = std::exp(t);
            sum += p;
            weighted += p * t;
        }
        entropy += std::log(sum) - weighted / sum;
    }
    return std::exp(entropy / count);
}

// Slacks to K = a b exp(slack/epsilon), up to a factor. False if there is nothing finite to see.
bool weigh(std::vector<double>& k, const std::vector<double>& a, const std::vector<double>& b, double epsilon) {
    constexpr double lowest = -600;  // rows and columns far below the rest keep a sum that fp64 holds
    const double top = *std::ranges::max_element(k);
    if (!std::isfinite(top)) return false;
#pragma omp parallel for schedule(static)
    for (std::size_t i = 0; i < a.size(); ++i) {
        for (std::size_t j = 0; j < b.size(); ++j) {
            double& k_ij = k[i * b.size() + j];
            k_ij = a[i] * b[j] * std::exp(std::max((k_ij - top) / epsilon, lowest));
        }
    }
    return true;
}

// K to S = D^(-1/2) K D'^(-1/2), D and D' its row and column sums; D^(1/2) is returned.
std::vector<double> normalise(std::vector<double>& k, std::int64_t rows, std::int64_t columns) {
    std::vector<double> row_root(static_cast<std::size_t>(rows), 0.0);
    std::vector<double> column_root(static_cast<std::size_t>(columns), 0.0);
    for (std::size_t i = 0; i < row_root.size(); ++i) {
        for (std::size_t j = 0; j < column_root.size(); ++j) {
            row_root[i] += k[i * column_root.size() + j];
            column_root[j] += k[i * column_root.size() + j];
        }
    }
    for (double& sum : row_root) sum = std::sqrt(sum);
    for (double& sum : column_root) sum = std::sqrt(sum);
#pragma omp parallel for schedule(static)
    for (std::size_t i = 0; i < row_root.size(); ++i) {
        for (std::size_t j = 0; j < column_root.size(); ++j)
            k[i * column_root.size() + j] /= row_root[i] * column_root[j];
    }
    return row_root;
}

// S to q S, q_i = (rho (1 - (S S^T)_ii^2))^(1/2); returned is the lower triangle of I + v v^T.
std::vector<double> damp(std::vector<double>& s, const std::vector<double>& root, std::int64_t rows,
                         std::int64_t columns) {
    std::vector<double> system(static_cast<std::size_t>(rows * rows), 0.0);
    const double total = std::inner_product(root.begin(), root.end(), root.begin(), 0.0);
#pragma omp parallel for schedule(static)
    for (std::int64_t i = 0; i < rows; ++i) {
        const std::span row{s.data() + i * columns, static_cast<std::size_t>(columns)};
        const double returns = std::inner_product(row.begin(), row.end(), row.begin(), 0.0);
        const double q = std::sqrt(rho * std::max(1 - returns * returns, 0.0));
        for (double& s_ij : row) s_ij *= q;
        const double v_i = root[static_cast<std::size_t>(i)] / total;
        for (std::int64_t l = 0; l <= i; ++l)
            system[static_cast<std::size_t>(i * rows + l)] = v_i * root[static_cast<std::size_t>(l)];
        system[static_cast<std::size_t>(i * rows + i)] += 1;
    }
    return system;
}

}  // namespace

// The symmetric form of the coarse problem. With K the weighted kernel, D and D' its row and column sums,
// S = D^(-1/2) K D'^(-1/2) and q the damping, Q_c R_c is similar to S S^T, and the matrix that is factored is
// I - q S S^T q + v v^T, v = D^(1/2) 1 of length 1: the constants, which S S^T keeps, are taken care of by v.
struct CoarseCorrection::Dense {
    std::vector<double> root;  // D^(1/2)
    std::optional<dense::Cholesky> factor;
};

std::int64_t CoarseCorrection::good_size(double pairs) {
    return std::clamp(std::llround(1.4 * std::cbrt(pairs)), static_cast<long long>(smallest),
                      static_cast<long long>(largest));
}

CoarseCorrection::CoarseCorrection(const Coupling& fine, double epsilon, std::int64_t size, std::uint64_t seed)
    : fine_{&fine},
      epsilon_{epsilon},
      source_{draw_sample(fine, Side::row, size, seed)},
      target_{draw_sample(fine, Side::column, size, seed)},
      extension_{fine.with(Side::column, distributed(fine.grid(), Side::column, target_), fine.keeps_products())} {}

double CoarseCorrection::pairs() const {
    return 2 * static_cast<double>(fine_->points(Side::row)) * static_cast<double>(target_.cloud.rows);
}

CoarseCorrection::Potentials CoarseCorrection::at_samples(std::span<const double> f, std::span<const double> g) const {
    return {at_sample(*fine_, source_, f), at_sample(*fine_, target_, g)};
}

bool CoarseCorrection::build(const Potentials& potentials) {
    built_at_ = potentials;
    const Communicator& world = fine_->grid().world();
    int built = 0;
    agree(world, [&] {
        if (world.is_root()) built = build_on_root() ? 1 : 0;
    });
    world.broadcast(built);
    if (built == 0) built_at_ = {};
    world.broadcast(widening_);
    return built != 0;
}

bool CoarseCorrection::build_on_root() {
    dense_.reset();
    // Waking threads for a small system, and having them wait in the way of the next pass, costs more than it brings.
    std::optional<dense::OneThreadEach> alone;
    if (target_.cloud.rows <= small_system) alone.emplace();
    const Cloud &x = source_.cloud, &y = target_.cloud;
    std::vector<double> s = slacks(*fine_, x, y, built_at_);
    const double wanted = std::min(wanted_perplexity, static_cast<double>(x.rows) / 4);
    for (widening_ = 1; perplexity(s, y.rows, x.rows, widening_ * epsilon_) < wanted;) {
        widening_ *= widening_step;
        if (widening_ > largest_widening) return false;
    }
    if (!weigh(s, y.weights, x.weights, widening_ * epsilon_)) return false;
    auto dense = std::make_shared<Dense>();
    dense->root = normalise(s, y.rows, x.rows);
    std::vector<double> system = damp(s, dense->root, y.rows, x.rows);
    dense::multiply_by_own_transpose(-1, {s.data(), y.rows, x.rows, x.rows}, dense::Form::plain, 1,
                                     {system.data(), y.rows, y.rows, y.rows});
    dense->factor = dense::Cholesky::of(std::move(system), y.rows);
    if (!dense->factor) return false;
    dense_ = std::move(dense);
    return true;
}

// (I - Q_c R_c)^-1, regular as the head of this file says, of averages at the sampled targets.
void CoarseCorrection::solve(std::vector<double>& averages) const {
    const Communicator& world = fine_->grid().world();
    if (world.is_root()) {
        const dense::OneThreadEach alone;
        const std::int64_t rows = std::ssize(averages);
        for (std::size_t j = 0; j < averages.size(); ++j) averages[j] *= dense_->root[j];
        dense_->factor->solve({averages.data(), 1, rows, rows});
        for (std::size_t j = 0; j < averages.size(); ++j) averages[j] *= widening_ / dense_->root[j];
    }
    world.broadcast(std::span{averages});
}

std::vector<double> CoarseCorrection::operator()(std::span<const double> f, std::span<const double> g,
                                                 std::span<const double> residual) {
    const double mean = fine_->mean(Side::row, residual);
    std::vector<double> centred(residual.begin(), residual.end());
    const std::vector<double>& weights = fine_->local(Side::row).weights;
    for (std::size_t i = 0; i < centred.size(); ++i) centred[i] = weights[i] > 0 ? centred[i] - mean : 0;

    const Grid& grid = fine_->grid();
    const double epsilon = widening_ * epsilon_;
    std::vector<double> own_g = own_part(grid, Side::column, at_sample(*fine_, target_, g));
    const std::vector<double> unknown_g(own_g.size(), 0.0), unknown_f(residual.size(), 0.0);
    std::vector<double> averages = whole_of_parts(
        grid, Side::column,
        extension_.apply(Side::column, {f, unknown_g}, epsilon, Safety::safe, Weighting::of_columns(centred, 1)).value);
    solve(averages);
    const std::vector<double> own_averages = own_part(grid, Side::column, averages);
    return extension_
        .apply(Side::row, {unknown_f, own_g}, epsilon, Safety::safe, Weighting::of_columns(own_averages, 1))
        .value;
}

}  // namespace convoy
