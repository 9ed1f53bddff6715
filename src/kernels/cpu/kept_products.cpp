#include "kernels/cpu/kept_products.hpp"

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

namespace convoy::cpu {

namespace {

// Widths of a vector must not show in how sums over rows are cut: a multiple of every panel.
constexpr std::int64_t whole_panels = 64;
constexpr std::int64_t task_columns = 512;   // their parts of sums stay in L1
constexpr std::int64_t longest_run = 8192;   // rows that single-precision sums run over: 512 terms in each part
constexpr std::int64_t shortest_run = 1024;  // of a task
constexpr std::int64_t wanted_tasks = 128;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
    return (a + b - 1) / b;
}

// The power of two that brings the largest product to about 1.
template <class T>
double unit_of(const RoundedCloud<T>& rows, const RoundedCloud<T>& columns) {
    const double largest = rows.largest_norm * columns.largest_norm;
    return std::isnormal(largest) ? std::exp2(-std::ilogb(largest)) : 1;
}

}  // namespace

template <class T>
KeptProducts<T>::KeptProducts(const RoundedCloud<T>& rows, const RoundedCloud<T>& columns, std::int64_t dimension)
    : panel_{tile_kernels<T>().panel_rows},
      panels_{ceil_div(rows.rows, panel_)},
      columns_{columns.rows},
      unit_{unit_of(rows, columns)},
      data_{allocate<T>(panels_ * panel_ * columns_)} {
    const auto begin = std::chrono::steady_clock::now();
    compute(rows, columns, dimension);
    seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

template <class T>
void KeptProducts<T>::compute(const RoundedCloud<T>& rows, const RoundedCloud<T>& columns, std::int64_t dimension) {
    const TileKernels<T>& kernels = tile_kernels<T>();
    const std::int64_t tile_columns = columns_of_tile<T>(dimension);
    // A tile of columns serves several panels while it is in the cache.
    constexpr std::int64_t panels_of_task = 4;
    // Memory is asked for before the threads start: an exception must not leave a parallel region.
    std::vector<Aligned<T>> points;
    for (int t = 0; t < omp_get_max_threads(); ++t) {
        points.push_back(allocate<T>(panels_of_task * panel_ * dimension));
    }
    const std::vector<T> zeros(static_cast<std::size_t>(std::max(tile_columns, panel_)) + whole_panels, T(0));
    const Aligned<T> none = allocate<T>(panel_);
    std::fill_n(none.get(), panel_, T(0));

    // Threads first touch what they will read, as far as equal shares of the panels go.
#pragma omp parallel for schedule(static)
    for (std::int64_t task = 0; task < ceil_div(panels_, panels_of_task); ++task) {
        T* const x = points[static_cast<std::size_t>(omp_get_thread_num())].get();
        const std::int64_t first = task * panels_of_task;
        const std::int64_t count = std::min(panels_of_task, panels_ - first);
        for (std::int64_t lane = 0; lane < count * panel_; ++lane) {
            const T* from = rows.points.get() + std::min(first * panel_ + lane, rows.rows - 1) * dimension;
            T* const to = x + lane / panel_ * panel_ * dimension + lane % panel_;
            for (std::int64_t k = 0; k < dimension; ++k) {
                to[k * panel_] = static_cast<T>(static_cast<double>(from[k]) * unit_);
            }
        }
        for (std::int64_t j = 0; j < columns_; j += tile_columns) {
            Tile<T> tile{};
            tile.dimension = dimension;
            tile.columns = std::min(tile_columns, columns_ - j);
            tile.y = columns.points.get() + j * dimension;
            tile.f = none.get();
            tile.g = zeros.data();
            for (std::int64_t q = 0; q < count; ++q) {
                tile.x = x + q * panel_ * dimension;
                kernels.products(tile, data_.get() + ((first + q) * columns_ + j) * panel_);
            }
        }
    }
}

template <class T>
void KeptProducts<T>::transpose(std::int64_t row, std::int64_t rows, std::int64_t column, std::int64_t columns,
                                T* to) const {
    for (std::int64_t i = 0; i < rows; i += panel_) {
        const T* const from = at((row + i) / panel_, column);
        const std::int64_t count = std::min(panel_, rows - i);
        for (std::int64_t lane = 0; lane < panel_; ++lane) {
            const T* const own = from + std::min(lane, columns - 1) * panel_;
            for (std::int64_t k = 0; k < count; ++k) to[(i + k) * panel_ + lane] = own[k];
        }
    }
}

// Cut by sizes only: blocks of columns times stretches of rows, whose partial results are added up in order.
template <class T>
std::vector<double> column_sums(const ColumnSums<T>& call) {
    const TileKernels<T>& kernels = tile_kernels<T>();
    const KeptProducts<T>& products = call.products;
    const std::int64_t panel = products.panel(), columns = std::ssize(call.g);
    const std::int64_t blocks = ceil_div(columns, task_columns);
    const std::int64_t wanted = std::clamp<std::int64_t>(ceil_div(wanted_tasks, std::max<std::int64_t>(blocks, 1)), 1,
                                                         std::max<std::int64_t>(call.rows / shortest_run, 1));
    const std::int64_t stretch =
        std::max<std::int64_t>(ceil_div(ceil_div(call.rows, wanted), whole_panels) * whole_panels, whole_panels);
    const std::int64_t stretches = ceil_div(call.rows, stretch);
    std::vector<double> partial(static_cast<std::size_t>(stretches * columns), 0.0);
    std::vector<Aligned<T>> parts;
    for (int t = 0; t < omp_get_max_threads(); ++t) parts.push_back(allocate<T>(task_columns * row_parts));

        // Stretches outermost: threads meet the memory that they touched first.
#pragma omp parallel for schedule(static)
    for (std::int64_t task = 0; task < stretches * blocks; ++task) {
        const std::int64_t s = task / blocks, j = task % blocks * task_columns;
        const std::int64_t end = std::min((s + 1) * stretch, call.rows);
        T* const mine = parts[static_cast<std::size_t>(omp_get_thread_num())].get();
        KeptColumns<T> tile{};
        tile.panel_stride = products.columns() * panel;
        tile.columns = std::min(task_columns, columns - j);
        tile.unit = call.unit;
        tile.g = call.g.data() + j;
        for (std::int64_t row = s * stretch; row < end; row += longest_run) {
            tile.products = products.at(row / panel, call.first + j);
            tile.panels = ceil_div(std::min(longest_run, end - row), panel);
            tile.f = call.f + row;
            tile.w = call.w + row;
            std::fill_n(mine, tile.columns * row_parts, T(0));
            kernels.add_column_sums(tile, mine);
            for (std::int64_t k = 0; k < tile.columns * row_parts; ++k) {
                partial[static_cast<std::size_t>(s * columns + j + k / row_parts)] += static_cast<double>(mine[k]);
            }
        }
    }
    std::vector<double> sums(static_cast<std::size_t>(columns), 0.0);
    for (std::size_t k = 0; k < partial.size(); ++k) sums[k % sums.size()] += partial[k];
    return sums;
}

template class KeptProducts<float>;
template class KeptProducts<double>;
template std::vector<double> column_sums(const ColumnSums<float>&);
template std::vector<double> column_sums(const ColumnSums<double>&);

}  // namespace convoy::cpu
