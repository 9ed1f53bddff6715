#pragma once
// The inner loops of the CPU backend, compiled for several instruction sets; the best one here is chosen at run time
// (Google Highway). They work on a tile: a panel of staying points against some summed points.
//
//     panel    P = panel_rows points of the staying side, one a SIMD lane, coordinate-major: x[k P + lane]
//     summed   points of the other side, row-major: y[j d + k], broadcast one number after the other
//     logit    t = f_lane + g_j + ...   in units of log 2, the logarithm of the summed weight included:
//              product forms   + <x, y>                  (x scaled beforehand, norms inside f and g)
//              kept products   + unit <x, y>             (products[j P + lane], computed by an earlier pass)
//              other forms     - scale cost(x - y)
//     weight   w_j: 2^(what rounding took off g_j), or 0 for a point without mass
//
// A lane is a point, so every sum runs over j in order, whatever the vector width (sums over lanes have an order of
// their own, row_parts): all instruction sets that have fused multiply-add give the same bits.

#include <algorithm>
#include <cstdint>

#include "kernels/pair_form.hpp"

namespace convoy::cpu {

using kernels::PairForm;

template <class T>
struct Tile {
    PairForm form = PairForm::product;
    T factor = 1;  // of the cost
    T scale = 0;   // log2(e) / eps: what the cost is multiplied with
    T p = 2;       // of PairForm::power
    std::int64_t dimension = 0;
    const T* x = nullptr;
    const T* f = nullptr;  // P numbers
    const T* y = nullptr;
    const T* g = nullptr;  // `columns` numbers
    const T* w = nullptr;
    std::int64_t columns = 0;
    const T* products = nullptr;  // of PairForm::kept; x and y are not looked at then
    T unit = 0;
};

// Kept products the other way round: the columns stay, and the lanes, rows of consecutive panels, are summed over.
template <class T>
struct KeptColumns {
    const T* products = nullptr;  // of the first panel and the first column
    std::int64_t panel_stride = 0;
    std::int64_t panels = 0, columns = 0;
    T unit = 0;
    const T* f = nullptr;  // panels x P numbers, of the summed rows, as is w
    const T* w = nullptr;
    const T* g = nullptr;  // `columns` numbers
};

// Summed points of a tile: those whose coordinates fill a part of the L2 cache. The upper limit also bounds the error
// of single-precision sums.
constexpr std::int64_t tile_bytes = 192 * 1024;
constexpr std::int64_t longest_tile = 512;
template <class T>
std::int64_t columns_of_tile(std::int64_t dimension) {
    return std::clamp<std::int64_t>(tile_bytes / (dimension * static_cast<std::int64_t>(sizeof(T))), 16, longest_tile);
}

// Sums over rows are formed in this many parts, row i in part i mod row_parts, whatever the vector width.
constexpr std::int64_t row_parts = 16;

// What a cost tile holds: cost(x, y) + row[lane] + column[j].
template <class T>
struct CostOffsets {
    const T* row = nullptr;
    const T* column = nullptr;
};

// All arrays of P or columns x P numbers are 64-byte aligned and padded.
template <class T>
struct TileKernels {
    const char* instruction_set;
    std::int64_t panel_rows;
    // sums[lane] += sum_j w_j 2^t
    void (*add_sums)(const Tile<T>&, double* sums);
    // products[j P + lane] = <x, y_j>
    void (*products)(const Tile<T>&, T* products);
    // sums[j row_parts + i mod row_parts] += sum of w_i 2^t over those rows i of the panels
    void (*add_column_sums)(const KeptColumns<T>&, T* sums);
    // logits[j P + lane] = t; costs[j P + lane] likewise unless null
    void (*logits)(const Tile<T>&, const CostOffsets<T>&, T* logits, T* costs);
    // maximum[lane] becomes the larger of itself and the logits'; rescale[lane] = 2^(old - new)
    void (*raise_maximum)(const T* logits, std::int64_t columns, T* maximum, T* rescale);
    // terms = w_j 2^(t - shift), in place of the logits; sums[lane] += their sum
    void (*exponentials)(T* logits, std::int64_t columns, const T* w, const T* shift, double* sums);
    // values[k P + lane] += sum_j terms[j P + lane] v[j width + k]
    void (*add_columns)(const T* terms, std::int64_t columns, const T* v, std::int64_t width, double* values);
    // How many terms are above their lane's limit.
    std::int64_t (*count_large)(const T* terms, std::int64_t columns, const T* limits);
    // large[lane width + k] += sum_j terms[j P + lane] v[j width + k] over the terms above their lane's limit;
    // dropped[lane] += the others
    void (*add_large_columns)(const T* terms, std::int64_t columns, const T* limits, const T* v, std::int64_t width,
                              double* large, double* dropped);
    // values[lane] += sum_j terms costs, values[P + lane] += sum_j terms costs^2
    void (*add_costs)(const T* terms, const T* costs, std::int64_t columns, double* values);
    // values[lane] += sum_j terms costs, values[P + lane] += sum_j terms densities
    void (*add_values)(const T* terms, const T* costs, const T* densities, std::int64_t columns, double* values);
    // densities[j P + lane] = logits[j P + lane] + row[lane] + column[j]
    void (*densities)(const T* logits, std::int64_t columns, const T* row, const T* column, T* densities);
    // values[k P + lane] += sum_j terms grad h(x - y_j)_k; costs needed for PairForm::root
    void (*add_gradients)(const Tile<T>&, const T* terms, const T* costs, double* values);
};

template <class T>
const TileKernels<T>& tile_kernels();

// 2^t for each of n numbers, as the kernels compute it. For tests.
void exp2_for_tests(const float* t, float* out, std::int64_t n);
void exp2_for_tests(const double* t, double* out, std::int64_t n);

}  // namespace convoy::cpu
