#include "kernels/cpu/call.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "kernels/column_means.hpp"

namespace convoy::cpu {

namespace {

constexpr std::int64_t few = 10000;  // numbers that are not worth waking threads
constexpr std::int64_t wanted_tasks = 128;
constexpr std::int64_t partial_numbers = std::int64_t{1} << 24;
constexpr std::int64_t longest_buffer = 128;  // of tiles whose logits are stored: panel x buffer stays in L1

}  // namespace

template <class T>
BlockPoints<T>::BlockPoints(const BlockProblem& problem)
    : cost{problem.cost},
      dimension{problem.source->dimension},
      panel_rows{tile_kernels<T>().panel_rows},
      own_term{problem.cost, problem.centre},
      sides{RoundedCloud<T>{*problem.source, problem.cost, problem.centre, own_term},
            RoundedCloud<T>{*problem.target, problem.cost, problem.centre, own_term}} {
    if (problem.keep_products && cost.uses_products()) kept.emplace(sides[0], sides[1], dimension);
}

template <class T>
Call<T>::Call(const BlockPoints<T>& of, Side side, LocalRun rows, const Potentials& potentials, double epsilon,
              Safety safety, const Weighting* weights)
    : points{&of},
      stays{side},
      range{rows},
      safe{safety == Safety::safe},
      weighting{weights},
      potential{side == Side::row ? potentials.f : potentials.g},
      scale{std::isinf(epsilon) ? 0 : std::numbers::log2e / epsilon} {
    const bool costs = weighting != nullptr && weighting->kind != Weighting::Kind::columns;
    const auto [pair_form, pair_factor] = kernels::form_of_call(of.cost, weighting, of.kept.has_value());
    form = pair_form;
    factor = pair_factor;

    round_potentials(side == Side::row ? potentials.g : potentials.f);
    if (costs) round_offsets();
    if (weighting != nullptr && !costs) round_columns();
    cut();
}

// g and w of the summed side: what rounding takes off a logit goes into its weight.
template <class T>
void Call<T>::round_potentials(std::span<const double> of_summed) {
    const RoundedCloud<T>& cloud = summed();
    // Whole panels: what lies beyond the last point has no mass.
    const std::int64_t padded = ceil_div(cloud.rows, points->panel_rows) * points->panel_rows;
    g = allocate<T>(padded);
    w = allocate<T>(padded);
    std::fill(g.get() + cloud.rows, g.get() + padded, static_cast<T>(no_mass));
    std::fill(w.get() + cloud.rows, w.get() + padded, T(0));
    const bool own = own_terms_count();
#pragma omp parallel for schedule(static) if (cloud.rows > few)
    for (std::int64_t j = 0; j < cloud.rows; ++j) {
        const auto at = static_cast<std::size_t>(j);
        const double exact = own_logit(of_summed[at], own ? cloud.own[at] : 0) + cloud.log_weights[at];
        const bool mass = cloud.log_weights[at] > -std::numeric_limits<double>::infinity();
        const T rounded_g = static_cast<T>(mass ? exact : no_mass);
        g[at] = rounded_g;
        w[at] = mass ? static_cast<T>(std::exp2(exact - static_cast<double>(rounded_g))) : T(0);
    }
}

// What turns inner products into costs, and logits into log densities.
template <class T>
void Call<T>::round_offsets() {
    const RoundedCloud<T>& cloud = summed();
    cost_columns = allocate<T>(cloud.rows);
    for (std::size_t j = 0; j < cloud.own.size(); ++j) {
        cost_columns[j] = own_terms_count() ? static_cast<T>(cloud.own[j]) : T(0);
    }
    if (weighting->kind != Weighting::Kind::values) return;
    density_columns = allocate<T>(cloud.rows);
    for (std::size_t j = 0; j < cloud.log_weights.size(); ++j) {
        const double residue = std::log2(static_cast<double>(w[j]));
        density_columns[j] = w[j] > 0 ? static_cast<T>(residue - cloud.log_weights[j]) : T(0);
    }
}

template <class T>
void Call<T>::round_columns() {
    const std::int64_t rows = summed().rows;
    const std::int64_t size = weighting->width;
    column_means = kernels::column_means(weighting->columns, size);
    const double* v = weighting->columns.data();
    columns = allocate<T>(rows * size);
#pragma omp parallel for schedule(static) if (rows * size > few)
    for (std::int64_t j = 0; j < rows; ++j) {
        for (std::int64_t k = 0; k < size; ++k) {
            columns[static_cast<std::size_t>(j * size + k)] =
                static_cast<T>(v[j * size + k] - column_means[static_cast<std::size_t>(k)]);
        }
    }
}

// Tiles and chunks of the summed side.
template <class T>
void Call<T>::cut() {
    const std::int64_t rows = summed().rows;
    tile = form == PairForm::kept ? longest_tile : columns_of_tile<T>(points->dimension);
    if (buffered()) tile = std::min(tile, longest_buffer);
    const std::int64_t tasks = ceil_div(std::max<std::int64_t>(range.count, 1), task_rows);
    const std::int64_t numbers = std::max<std::int64_t>(width(), 1);
    // Enough of them, not too short, and their partial results in bounded memory.
    const std::int64_t most = std::min(std::max<std::int64_t>(ceil_div(rows, 4 * tile), 1),
                                       std::max<std::int64_t>(partial_numbers / (tasks * task_rows * numbers), 1));
    const std::int64_t wanted = std::clamp<std::int64_t>(ceil_div(wanted_tasks, tasks), 1, most);
    chunk = ceil_div(ceil_div(std::max<std::int64_t>(rows, 1), wanted), tile) * tile;
    chunks = std::max<std::int64_t>(ceil_div(rows, chunk), 1);
}

template struct BlockPoints<float>;
template struct BlockPoints<double>;
template struct Call<float>;
template struct Call<double>;

}  // namespace convoy::cpu
