#include "solvers/coarse.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "geometry/dense.hpp"

namespace convoy {

namespace {

constexpr double wanted_perplexity = 40;
constexpr double widening_step = 1.25, largest_widening = 100;
// Keeps the coarse problem regular: no error is amplified more than 1 / (1 - rho) times.
constexpr double rho = 0.99;
constexpr std::int64_t smallest = 128, largest = 4096;
constexpr std::int64_t rows_looked_at = 256;  // for the perplexity

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

// C_ij, k_x x k_y, in fp64.
std::vector<double> costs(const Coupling& fine, const Cloud& x, const Cloud& y) {
    const Cost& cost = fine.cost();
    const std::int64_t d = x.dimension;
    std::vector<double> c(static_cast<std::size_t>(x.rows * y.rows));
    const bool products = cost.uses_products();
    const auto xs = products ? points_for_products(fine, x) : x.points;
    const auto ys = products ? points_for_products(fine, y) : y.points;
    const auto x_norms = squared_norms(xs, d), y_norms = squared_norms(ys, d);
    if (products) {
        dense::multiply(-cost.product_factor(), {xs.data(), x.rows, d, d}, dense::Form::plain,
                        {ys.data(), y.rows, d, d}, dense::Form::transposed, 0, {c.data(), x.rows, y.rows, y.rows});
    }
#pragma omp parallel for schedule(static)
    for (std::int64_t i = 0; i < x.rows; ++i) {
        for (std::int64_t j = 0; j < y.rows; ++j) {
            double& c_ij = c[static_cast<std::size_t>(i * y.rows + j)];
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
    for (std::int64_t i = 0; i < x.rows; ++i) {
        for (std::int64_t j = 0; j < y.rows; ++j) {
            double& s = slack[static_cast<std::size_t>(i * y.rows + j)];
            s = at.f[static_cast<std::size_t>(i)] + at.g[static_cast<std::size_t>(j)] - s;
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

// K to S = D_1^(-1/2) K D_2^(-1/2), and the square roots of its row and column sums.
void normalise(std::vector<double>& k, std::vector<double>& row_root, std::vector<double>& column_root,
               std::int64_t rows, std::int64_t columns) {
    row_root.assign(static_cast<std::size_t>(rows), 0.0);
    column_root.assign(static_cast<std::size_t>(columns), 0.0);
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
}

// S to q S, q_i = (rho (1 - (S S^T)_ii^2))^(1/2); returned is the lower triangle of I + v v^T.
std::vector<double> damp(std::vector<double>& s, const std::vector<double>& row_root, std::int64_t rows,
                         std::int64_t columns) {
    std::vector<double> system(static_cast<std::size_t>(rows * rows), 0.0);
    const double total = std::inner_product(row_root.begin(), row_root.end(), row_root.begin(), 0.0);
#pragma omp parallel for schedule(static)
    for (std::int64_t i = 0; i < rows; ++i) {
        const std::span row{s.data() + i * columns, static_cast<std::size_t>(columns)};
        const double returns = std::inner_product(row.begin(), row.end(), row.begin(), 0.0);
        const double q = std::sqrt(rho * std::max(1 - returns * returns, 0.0));
        for (double& s_ij : row) s_ij *= q;
        const double v_i = row_root[static_cast<std::size_t>(i)] / total;
        for (std::int64_t l = 0; l <= i; ++l)
            system[static_cast<std::size_t>(i * rows + l)] = v_i * row_root[static_cast<std::size_t>(l)];
        system[static_cast<std::size_t>(i * rows + i)] += 1;
    }
    return system;
}

}  // namespace

// The symmetric form of the coarse problem. With K the weighted kernel, D_1 and D_2 its row and column sums,
// S = D_1^(-1/2) K D_2^(-1/2) and q the damping, R_c Q_c is similar to S S^T, and the matrix that is factored is
// I - q S S^T q + v v^T, v = D_1^(1/2) 1 of length 1: the constants, which S S^T keeps, are taken care of by v.
struct CoarseCorrection::Dense {
    std::vector<double> s;                      // q S, k_x x k_y
    std::vector<double> row_root, column_root;  // D_1^(1/2), D_2^(1/2)
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
      extension_{fine.with(Side::column, distributed(fine.grid(), Side::column, target_))} {}

double CoarseCorrection::pairs() const {
    return static_cast<double>(fine_->points(Side::row)) * static_cast<double>(target_.cloud.rows);
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
    world.broadcast(widening_);
    return built != 0;
}

bool CoarseCorrection::build_on_root() {
    dense_.reset();
    const Cloud &x = source_.cloud, &y = target_.cloud;
    const std::int64_t rows = x.rows, columns = y.rows;
    auto dense = std::make_shared<Dense>();
    dense->s = slacks(*fine_, x, y, built_at_);
    const double wanted = std::min(wanted_perplexity, static_cast<double>(columns) / 4);
    for (widening_ = 1; perplexity(dense->s, rows, columns, widening_ * epsilon_) < wanted;) {
        widening_ *= widening_step;
        if (widening_ > largest_widening) return false;
    }

    if (!weigh(dense->s, x.weights, y.weights, widening_ * epsilon_)) return false;
    normalise(dense->s, dense->row_root, dense->column_root, rows, columns);
    std::vector<double> system = damp(dense->s, dense->row_root, rows, columns);
    dense::multiply_by_own_transpose(-1, {dense->s.data(), rows, columns, columns}, dense::Form::plain, 1,
                                     {system.data(), rows, rows, rows});
    dense->factor = dense::Cholesky::of(std::move(system), rows);
    if (!dense->factor) return false;
    dense_ = std::move(dense);
    return true;
}

// Q_c d of the coarse problem, on the sampled targets.
std::vector<double> CoarseCorrection::solve(const std::vector<double>& residual) const {
    const std::int64_t rows = source_.cloud.rows, columns = target_.cloud.rows;
    std::vector<double> averages(static_cast<std::size_t>(columns), 0.0);
    const Communicator& world = fine_->grid().world();
    if (world.is_root()) {
        std::vector<double> d = residual;
        for (std::size_t i = 0; i < d.size(); ++i) d[i] *= dense_->row_root[i];
        dense_->factor->solve({d.data(), 1, rows, rows});
        dense::multiply(widening_ * std::sqrt(rho), {d.data(), 1, rows, rows}, dense::Form::plain,
                        {dense_->s.data(), rows, columns, columns}, dense::Form::plain, 0,
                        {averages.data(), 1, columns, columns});
        for (std::size_t j = 0; j < averages.size(); ++j) averages[j] /= dense_->column_root[j];
    }
    world.broadcast(std::span{averages});
    return averages;
}

std::vector<double> CoarseCorrection::operator()(std::span<const double> g, std::span<const double> residual) {
    const double mean = fine_->mean(Side::row, residual);
    std::vector<double> centred = at_sample(*fine_, source_, residual);
    for (double& r : centred) r -= mean;
    const std::vector<double> averages = solve(centred);

    const Grid& grid = fine_->grid();
    const std::vector<double> own_g = own_part(grid, Side::column, at_sample(*fine_, target_, g));
    const std::vector<double> own_averages = own_part(grid, Side::column, averages);
    const std::vector<double> unknown(residual.size(), 0.0);
    return extension_
        .apply(Side::row, {unknown, own_g}, widening_ * epsilon_, Safety::safe, Weighting::of_columns(own_averages, 1))
        .value;
}

}  // namespace convoy
