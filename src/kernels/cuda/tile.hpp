#pragma once
// The kernels of the CUDA backend as its host side sees them: plain structs of device pointers, and one launcher a
// kernel. Every launcher returns at once; what it did is complete when the stream is. Nothing here allocates, copies or
// synchronises, and no result depends on how many multiprocessors a device has.
//
//     staying side    the rows whose sums are wanted
//     summed side     the points that are summed over
//     raw number      r = <x, y>, |x - y|^2, |x - y| or sum |x_k - y_k|^p: what a kernel forms for a pair (PairForm)
//     logit           t = f_i + g_j + slope r, in units of log 2; g includes the logarithm of the summed weight
//     cost            C = factor r + row offset + column offset
//     term            w_j 2^t; w_j = 2^(what rounding took off g_j), or 0 for a point without mass
//
// Points without mass have g = no_mass and w = 0. Sums over j end after at most `longest_run` terms in the kernels'
// precision and go on in fp64.

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/pair_form.hpp"

namespace convoy::cuda {

using kernels::PairForm;

// The logit of a point without mass. A maximum this low means that there was no other.
constexpr double no_mass = -1e30;
constexpr int longest_run = 256;

// Points as tensor cores take them: x = 2^-exponent (high + low) to 22 bits, both fp16; rows x stride, row-major,
// stride a multiple of 64, zeros from the dimension on and in rows up to the next multiple of 128. Null where there are
// none.
struct SplitPoints {
    const __half* high = nullptr;
    const __half* low = nullptr;
    std::int64_t stride = 0;
};

// What of one side a launch works on.
template <class T>
struct Operand {
    std::int64_t rows = 0;
    const T* points = nullptr;   // rows x dimension, row-major: centred and rounded
    const T* logits = nullptr;   // f, or g with the log weight
    const T* weights = nullptr;  // of the summed side: w
    SplitPoints split;
};

// Kept inner products of the operands' points, times a power of two: r(i, j) = data[i stride + j], or, where the summed
// side is the one that lies row by row, data[j stride + i].
struct KeptView {
    const float* data = nullptr;
    std::int64_t stride = 0;
    bool transposed = false;
};

template <class T>
struct Pairs {
    PairForm form = PairForm::product;  // product and inner: r = <x, y>
    T slope = 0;
    T factor = 1;
    T p = 2;
    std::int64_t dimension = 0;
    Operand<T> staying, summed;
    KeptView kept;
};

// The summed side in consecutive chunks, each with partial results of its own: partial[chunk rows + row].
struct Cut {
    std::int64_t chunk = 0;  // a multiple of 128
    int chunks = 1;
};

// --- Shifted sums: partial[c rows + i] = sum over chunk c of the terms
// -------------------------------------------------

// Any form but `kept`, any dimension (tile.cu).
template <class T>
void launch_sums(const Pairs<T>& pairs, const Cut& cut, double* partial, cudaStream_t stream);
// <x, y> of at most 16 dimensions; slope must be 1, that is in the staying points already (points.cu).
constexpr std::int64_t most_dimensions_in_registers = 16;
constexpr std::int64_t rows_in_registers = 1024;  // of a block of threads: what a cut reckons with
void launch_sums_in_registers(const Pairs<float>& pairs, const Cut& cut, double* partial, cudaStream_t stream);
// <x, y> from split points on tensor cores (products.cu); slope holds 2^-(both exponents) too.
void launch_sums_split(const Pairs<float>& pairs, const Cut& cut, double* partial, cudaStream_t stream);
// Kept products, either way round (kept_products.cu).
void launch_sums_kept(const Pairs<float>& pairs, const Cut& cut, double* partial, cudaStream_t stream);

// --- Tiles of logits: what safe sums, averages and picks are made of
// --------------------------------------------------

// All pairs of the operands, which are portions of few thousand points: logits[i stride + j] and, unless null, costs.
template <class T>
struct LogitTile {
    T* logits = nullptr;
    T* costs = nullptr;
    std::int64_t stride = 0;            // at least summed.rows
    const T* row_offsets = nullptr;     // of the costs: staying.rows numbers; null: zeros
    const T* column_offsets = nullptr;  // summed.rows numbers; null: zeros
};

template <class T>
void launch_logits(const Pairs<T>& pairs, const LogitTile<T>& tile, cudaStream_t stream);  // tile.cu; any form but kept
void launch_logits_split(const Pairs<float>& pairs, const LogitTile<float>& tile, cudaStream_t stream);  // products.cu
void launch_logits_kept(const Pairs<float>& pairs, const LogitTile<float>& tile, cudaStream_t stream);

// A tile of logits becomes, in place, one of terms.
template <class T>
struct TermTile {
    T* terms = nullptr;
    std::int64_t stride = 0, rows = 0, columns = 0;
    const T* weights = nullptr;  // w, columns numbers
};

// maximum[i] becomes the larger of itself and row i's logits; rescale[i] = 2^(old - new), 1 where nothing rose.
template <class T>
void launch_raise_maximum(const TermTile<T>& tile, T* maximum, T* rescale, cudaStream_t stream);
// sums[i] *= rescale[i], values[i width + k] likewise.
template <class T>
void launch_rescale(const T* rescale, std::int64_t rows, std::int64_t width, double* sums, double* values,
                    cudaStream_t stream);
// terms[i, j] = w_j 2^(terms[i, j] - shift[i]) (shift null: 0); sums[i] += their sum.
template <class T>
void launch_exponentials(const TermTile<T>& tile, const T* shift, double* sums, cudaStream_t stream);
// values[i width + k] += sum_j terms[i, j] v[j width + k]
template <class T>
void launch_add_columns(const TermTile<T>& tile, const T* v, std::int64_t width, double* values, cudaStream_t stream);
// values[2 i] += sum_j terms C, values[2 i + 1] += sum_j terms C^2; costs lie like the terms.
template <class T>
void launch_add_costs(const TermTile<T>& tile, const T* costs, double* values, cudaStream_t stream);
// values[2 i] += sum_j terms C, values[2 i + 1] += sum_j terms L, L = logits[i, j] + row[i] + column[j], for which
// `logits` still holds what `terms` held.
template <class T>
void launch_add_values(const TermTile<T>& tile, const T* logits, const T* costs, const T* row, const T* column,
                       double* values, cudaStream_t stream);
// values[i d + k] += sum_j terms grad h(x_i - y_j)_k; costs (of PairForm::root only) lie like the terms.
template <class T>
void launch_add_gradients(const TermTile<T>& tile, const Pairs<T>& pairs, const T* costs, double* values,
                          cudaStream_t stream);

}  // namespace convoy::cuda
