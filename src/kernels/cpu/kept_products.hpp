#pragma once
// The cost cache: all inner products <x_i, y_j> of a block, computed once and read by every pass after that. It belongs
// to the points alone: one set serves every epsilon and both directions.
//
//     layout    panels of P = panel_rows rows; in a panel column after column; in a column its P rows:
//               product(i, j) = unit <x_i, y_j> = data[((i / P) columns + j) P + i mod P]
//
// A pass that keeps rows and one that keeps columns both read it front to back, vector by vector. `unit`, a power of
// two, costs no bit: it only keeps products of far-off or tiny points inside the floating-point range.

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/cpu/tile.hpp"
#include "kernels/rounded_cloud.hpp"

namespace convoy::cpu {

using kernels::Aligned;
using kernels::allocate;
using kernels::RoundedCloud;

template <class T>
class KeptProducts {
 public:
    // \throws std::bad_alloc
    KeptProducts(const RoundedCloud<T>& rows, const RoundedCloud<T>& columns, std::int64_t dimension);

    std::int64_t bytes() const { return panels_ * columns_ * panel_ * static_cast<std::int64_t>(sizeof(T)); }
    double seconds() const { return seconds_; }  // that computing them took
    double unit() const { return unit_; }
    std::int64_t panel() const { return panel_; }
    std::int64_t columns() const { return columns_; }
    const T* at(std::int64_t panel, std::int64_t column) const {
        return data_.get() + (panel * columns_ + column) * panel_;
    }

    // to[i P + lane] = product(row + i, column + lane) for i < rows, lane < columns; the lanes after repeat the last
    // one. `row` begins a panel.
    void transpose(std::int64_t row, std::int64_t rows, std::int64_t column, std::int64_t columns, T* to) const;

 private:
    void compute(const RoundedCloud<T>& rows, const RoundedCloud<T>& columns, std::int64_t dimension);

    std::int64_t panel_, panels_, columns_;
    double unit_ = 1, seconds_ = 0;
    Aligned<T> data_;
};

// s_j = sum_i w_i 2^(f_i + g_j + unit product(i, j)) for the columns [first, first + g.size()), everything in units of
// log 2. f and w hold whole panels: rows beyond the last have w = 0.
template <class T>
struct ColumnSums {
    const KeptProducts<T>& products;
    T unit;
    std::int64_t rows;
    const T* f;
    const T* w;
    std::int64_t first;
    std::span<const T> g;
};

template <class T>
std::vector<double> column_sums(const ColumnSums<T>& call);

}  // namespace convoy::cpu
