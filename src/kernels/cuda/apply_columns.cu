// Averages as attention is computed in one pass (FlashAttention-2, Dao 2023): what a block of threads needs of the
// logits it makes, uses and forgets; n m logits never lie in memory.
//
//     a warp     32 rows and, of every tile of 128 summed points, 64: its own running maximum, sums and 64 columns of
//                values; the two warps of a row are joined when they go to memory
//     terms      w 2^(t - max), at most about 1, times 2^13, split into two fp16 numbers as points are: off by 2^-22
//                of themselves or 2^-38 of the largest. Tensor cores leave the logits where they want the terms: those
//                stay in registers
//     values     products with the split columns, small ones first, of 32 summed points in sums of their own. These
//                join the running ones in round-to-nearest fp32, in one multiply-add with the factor by which the
//                maximum has risen; after 2048 summed points those go on in fp64, in memory
//
// While tensor cores work on one half of a tile's terms, the exponentials of the other are formed. Limit, pairs a
// second on an H200, by mma.sync: 3 (d + 64) multiply-adds a pair and 64 columns, 1270 a clock and multiprocessor.
//
//     d = 64, 64 columns: 7.7e11        d = 128, 128 columns: 2.6e11        d = 1024, 64 columns: 9.0e10
//
// Rungs: (1) tiles of logits in the L2 cache, one pass over them for each of maximum, exponential and product: 20 bytes
// a pair, 2.8e11 pairs a second at best (terms.cu); (2) this; (3) 128 columns at a time, half of the values in shared
// memory; (4) Hopper's instructions.

#include "kernels/cuda/apply_columns.hpp"

#include <cstring>

#include "kernels/cuda/device.hpp"
#include "kernels/cuda/product_loop.hpp"

namespace convoy::cuda {

namespace {

using products::ColumnArray;
using products::Lane;
using products::Less;
using products::Place;
using products::Problem;
using products::side;
using products::YStep;
using XStep = products::XStep<Less::blocks>;

constexpr int columns_of_pass = 64;  // of values
constexpr int term_exponent = 13;
constexpr float term_unit = 1 << term_exponent;

// Of the power of two that brings numbers up to `largest` into [2^8, 2^9); 0 for 0 and what is no number.
__device__ inline int exponent_of(float largest) {
    const int biased = static_cast<int>(__float_as_uint(largest) >> 23 & 255);
    return biased == 0 || biased == 255 ? 0 : min(8 + 127 - biased, 126);
}
__device__ inline double power_of_two(int n) {
    return __longlong_as_double(static_cast<long long>(n + 1023) << 52);
}

// Two fp16 numbers and what they leave of a and b, in two more.
__device__ inline void split_pair(float a, float b, std::uint32_t& high, std::uint32_t& low) {
    const __half2 nearest = __floats2half2_rn(a, b);
    const __half2 rest = __floats2half2_rn(a - __low2float(nearest), b - __high2float(nearest));
    std::memcpy(&high, &nearest, 4);
    std::memcpy(&low, &rest, 4);
}

struct AverageParameters {
    const float* f;
    float slope;
    SplitPoints v;
    const float* largest;
    int width;
    ChunkAverages out;
};

class Average {
 public:
    using Form = Less;
    using Parameters = AverageParameters;
    static constexpr bool extra = true;
    static constexpr bool uses_columns = true;
    static constexpr int shared_bytes = columns_of_pass * 8 + Form::rows * (3 * 8 + 6 * 4);

    __device__ Average(const Parameters& parameters, const Problem& problem, const Place& place, unsigned char* shared)
        : parameters_{parameters},
          first_{static_cast<std::int64_t>(place.chunk) * problem.rows + place.row},
          rows_{place.rows},
          units_{reinterpret_cast<double*>(shared)},
          totals_{units_ + columns_of_pass},
          sums_{totals_ + Form::rows},
          maximum_{reinterpret_cast<float*>(sums_ + 2 * Form::rows)},
          keep_{maximum_ + Form::rows},
          take_{keep_ + Form::rows},
          f_{take_ + Form::rows},
          largest_{f_ + Form::rows} {
        for (int i = threadIdx.x; i < Form::rows; i += Form::threads) {
            f_[i] = i < rows_ ? parameters.f[place.row + i] : 0;
            maximum_[i] = largest_[i] = largest_[Form::rows + i] = static_cast<float>(no_mass);
            totals_[i] = sums_[i] = sums_[Form::rows + i] = 0;
        }
        for (int k = threadIdx.x; k < columns_of_pass; k += Form::threads) {
            const int column = static_cast<int>(blockIdx.y) * columns_of_pass + k;
            const int exponent = column < parameters.width ? exponent_of(parameters.largest[column]) : 0;
            units_[k] = power_of_two(-term_exponent - exponent);
        }
        products::set_zero(values_);
    }

    // The slice of v that goes with a tile, 64 of its columns.
    __device__ void copy(std::int64_t column, std::int64_t end, unsigned char* to) const {
        products::copy_slice<side, Form::threads, columns_of_pass>(parameters_.v, column, end,
                                                                   static_cast<int>(blockIdx.y) * columns_of_pass, to);
    }

    // From products to logits, and to the rows' maxima.
    __device__ void tile(products::Sums<Form::blocks>& c, std::int64_t, std::int64_t, const float* numbers) {
        const float* const g_of_lane = numbers + Lane::column() + 2 * Lane::in_quad();
        w_ = g_of_lane + side;
        float f[Form::blocks][2];
        for_each_row([&](int m, int h) {
            maxima_[m][h] = largest_[of_half(m, h)];
            f[m][h] = f_[row(m, h)];
        });
#pragma unroll
        for (int n = 0; n < 8; ++n) {
            const float2 g = *reinterpret_cast<const float2*>(g_of_lane + 8 * n);
            for_each_row([&](int m, int h) {
                float &left = c[m][n][2 * h], &right = c[m][n][2 * h + 1];
                left = fmaf(parameters_.slope, left, f[m][h] + g.x);
                right = fmaf(parameters_.slope, right, f[m][h] + g.y);
                maxima_[m][h] = fmaxf(maxima_[m][h], fmaxf(left, right));
            });
        }
        for_each_row([&](int m, int h) { maxima_[m][h] = of_four(maxima_[m][h], Larger{}); });
    }

    // From logits to terms, 32 summed points of the warp's 64 at a time, and these times values: while tensor cores
    // work on the first half, the second one's exponentials may be formed.
    __device__ void add_extra(const products::Sums<Form::blocks>& logits, unsigned char* slice, const Lane& lane) {
        float rescale[Form::blocks][2], sum[Form::blocks][2];
        for_each_row([&](int m, int h) {
            rescale[m][h] = ex2(largest_[of_half(m, h)] - maxima_[m][h]);
            sum[m][h] = 0;
        });
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            XStep high[2], low[2];
#pragma unroll
            for (int s = 0; s < 2; ++s) terms(logits, 2 * half + s, high[s], low[s], sum);
            const unsigned char* const v =
                slice + lane.x + (Lane::column() - Lane::row<Form>() + 32 * half) * Form::row_bytes;
#pragma unroll
            for (int n = 0; n < 8; n += 2) {
                float part[Form::blocks][2][4];
                products::set_zero(part);
                YStep v_high[2];
#pragma unroll
                for (int s = 0; s < 2; ++s) {
                    const unsigned char* const from = v + 16 * s * Form::row_bytes + (lane.x_unit ^ (n / 2 << 5));
                    YStep v_low;
                    load_matrices_transposed(v_high[s], from);
                    load_matrices_transposed(v_low, from + Form::y_bytes / 2);
                    products::multiply_add<Form::blocks>(low[s], v_high[s], 0, part);
                    products::multiply_add<Form::blocks>(high[s], v_low, 0, part);
                }
#pragma unroll
                for (int s = 0; s < 2; ++s) products::multiply_add<Form::blocks>(high[s], v_high[s], 0, part);
#pragma unroll
                for (int b = 0; b < 2; ++b) {
                    for_each_row([&](int m, int h) {
#pragma unroll
                        for (int e = 2 * h; e < 2 * h + 2; ++e) {
                            values_[m][n + b][e] =
                                fmaf(values_[m][n + b][e], half == 0 ? rescale[m][h] : 1.0f, part[m][b][e]);
                        }
                    });
                }
            }
        }
        __syncwarp();  // largest_ has been read
        for_each_row([&](int m, int h) {
            sum[m][h] = of_four(sum[m][h], Sum{});
            if (Lane::in_quad() != 0) return;
            const int at = of_half(m, h);
            sums_[at] = static_cast<double>(rescale[m][h]) * sums_[at] + static_cast<double>(sum[m][h]);
            largest_[at] = maxima_[m][h];
        });
        if (++tiles_ == longest_run / terms_of_tile) empty(slice);
    }

    __device__ void finish(unsigned char* slice) {
        empty(slice);
        for (int i = threadIdx.x; i < rows_ && blockIdx.y == 0; i += Form::threads) {
            parameters_.out.maximum[first_ + i] = maximum_[i];
            parameters_.out.sums[first_ + i] = totals_[i] * power_of_two(-term_exponent);
        }
    }

 private:
    static constexpr int terms_of_tile = products::warp_columns / 4;

    struct Larger {
        __device__ float operator()(float a, float b) const { return fmaxf(a, b); }
    };
    struct Sum {
        __device__ float operator()(float a, float b) const { return a + b; }
    };
    // Of a row's four lanes; each gets it.
    template <class Combine>
    __device__ static float of_four(float mine, const Combine& combine) {
        mine = combine(mine, __shfl_xor_sync(0xffffffffu, mine, 1));
        return combine(mine, __shfl_xor_sync(0xffffffffu, mine, 2));
    }

    // Terms of step s, split, as the first operand of products with v.
    __device__ void terms(const products::Sums<Form::blocks>& logits, int s, XStep& high, XStep& low,
                          float (&sum)[Form::blocks][2]) const {
#pragma unroll
        for (int b = 0; b < 2; ++b) {
            const float2 w = *reinterpret_cast<const float2*>(w_ + 16 * s + 8 * b);
            for_each_row([&](int m, int h) {
                const float left = term_unit * w.x * ex2(logits[m][2 * s + b][2 * h] - maxima_[m][h]);
                const float right = term_unit * w.y * ex2(logits[m][2 * s + b][2 * h + 1] - maxima_[m][h]);
                sum[m][h] += left;
                sum[m][h] += right;
                split_pair(left, right, high[m][2 * b + h], low[m][2 * b + h]);
            });
        }
    }

    template <class Use>
    __device__ static void for_each_row(const Use& use) {
#pragma unroll
        for (int m = 0; m < Form::blocks; ++m) {
#pragma unroll
            for (int h = 0; h < 2; ++h) use(m, h);
        }
    }
    __device__ static int row(int m, int h) {
        return Lane::row<Form>() + 16 * m + 8 * h + Lane::quad();
    }
    __device__ static int of_half(int m, int h) {
        return Lane::column() / products::warp_columns * Form::rows + row(m, h);
    }

    // To fp64, in memory: first what the warps of the left columns have, then the right ones', by way of the slice,
    // which has been read: a float for every row and column of values.
    __device__ void empty(unsigned char* slice) {
        float* const staged = reinterpret_cast<float*>(slice);
#pragma unroll 1
        for (int half = 0; half < 2; ++half) {
            __syncthreads();
            if (Lane::column() == half * products::warp_columns) {
                for_each_row([&](int m, int h) { stage(m, h, staged); });
            }
            if (threadIdx.x < Form::rows) join(threadIdx.x, half * Form::rows + threadIdx.x);
            __syncthreads();
#pragma unroll 1
            for (int at = threadIdx.x; at < Form::rows * columns_of_pass; at += Form::threads) {
                write(at / columns_of_pass, at % columns_of_pass, staged, written_ || half > 0);
            }
        }
        __syncthreads();
        products::set_zero(values_);
        tiles_ = 0;
        written_ = true;
    }

    // Eight rows of a column would lie in one bank.
    __device__ static int place_of(int row, int column) {
        return row * columns_of_pass + (column ^ (row % 8 * 8));
    }

    __device__ void stage(int m, int h, float* staged) const {
#pragma unroll
        for (int n = 0; n < 8; ++n) {
            float* const to = staged + place_of(row(m, h), 8 * n + 2 * Lane::in_quad());
            *reinterpret_cast<float2*>(to) = make_float2(values_[m][n][2 * h], values_[m][n][2 * h + 1]);
        }
    }

    __device__ void join(int i, int of_half) {
        const float largest = fmaxf(maximum_[i], largest_[of_half]);
        keep_[i] = ex2(maximum_[i] - largest);
        take_[i] = ex2(largest_[of_half] - largest);
        totals_[i] = static_cast<double>(keep_[i]) * totals_[i] + static_cast<double>(take_[i]) * sums_[of_half];
        maximum_[i] = largest;
        sums_[of_half] = 0;
    }

    __device__ void write(int i, int k, const float* staged, bool add) const {
        const int column = static_cast<int>(blockIdx.y) * columns_of_pass + k;
        if (i >= rows_ || column >= parameters_.width) return;
        double* const to = parameters_.out.values + (first_ + i) * parameters_.width + column;
        const double value = static_cast<double>(take_[i]) * units_[k] * static_cast<double>(staged[place_of(i, k)]);
        *to = add ? static_cast<double>(keep_[i]) * *to + value : value;
    }

    Parameters parameters_;
    std::int64_t first_;  // the block's row of the partial results
    int rows_;
    // In shared memory. The columns' units; of what has gone to memory, row by row, the sum and the maximum that it and
    // the values go by, and the factors of both parts when the last went there; f; and of either half of the columns
    // since then sum and maximum.
    double *units_, *totals_, *sums_;
    float *maximum_, *keep_, *take_, *f_, *largest_;
    const float* w_ = nullptr;  // of the tile's columns
    // In registers: values since then, and the maximum with the tile at hand.
    products::Sums<Form::blocks> values_;
    float maxima_[Form::blocks][2];
    int tiles_ = 0;
    bool written_ = false;
};

// --- Columns ---------------------------------------------------------------------------------------------------------

constexpr int rows_of_block = 1024;

// largest[k] = max_j |v_jk|. Not negative, floats are ordered as their bits are; a maximum has no order.
__global__ void largest_of_columns(const float* v, std::int64_t rows, std::int64_t width, float* largest) {
    const std::int64_t begin = static_cast<std::int64_t>(blockIdx.x) * rows_of_block;
    const std::int64_t end = min(begin + rows_of_block, rows);
    for (std::int64_t k = threadIdx.x; k < width; k += blockDim.x) {
        int most = 0;
        for (std::int64_t j = begin + threadIdx.y; j < end; j += blockDim.y) {
            most = max(most, static_cast<int>(__float_as_uint(v[j * width + k]) & 0x7fffffffu));
        }
        atomicMax(reinterpret_cast<int*>(largest) + k, most);
    }
}

__global__ void split_columns(const float* v, std::int64_t rows, std::int64_t width, const float* largest, __half* high,
                              __half* low, std::int64_t stride) {
    const std::int64_t j = static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
    if (j >= rows) return;
    for (std::int64_t k = 2 * threadIdx.x; k < stride; k += 2 * blockDim.x) {
        float pair[2];
#pragma unroll
        for (int e = 0; e < 2; ++e) {
            const float unit =
                k + e < width ? __uint_as_float(static_cast<std::uint32_t>(exponent_of(largest[k + e]) + 127) << 23)
                              : 0;
            pair[e] = k + e < width ? v[j * width + k + e] * unit : 0;
        }
        split_pair(pair[0], pair[1], *reinterpret_cast<std::uint32_t*>(high + j * stride + k),
                   *reinterpret_cast<std::uint32_t*>(low + j * stride + k));
    }
}

// --- After the kernel ------------------------------------------------------------------------------------------------

// A row of averages, of chunk after chunk. Terms of a side without mass may be anything: they are taken times 0.
__global__ void join_averages(const ChunkAverages partial, int chunks, std::int64_t rows, std::int64_t width,
                              const ChunkAverages all) {
    const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
    if (i >= rows) return;
    const double before = all.maximum[i];
    double largest = before;
    for (int c = 0; c < chunks; ++c) {
        largest = fmax(largest, static_cast<double>(partial.maximum[static_cast<std::int64_t>(c) * rows + i]));
    }
    const auto join = [&](const double* of_chunks, std::int64_t stride, double mine) {
        double sum = mine * exp2(before - largest);
        for (int c = 0; c < chunks; ++c) {
            const std::int64_t row = static_cast<std::int64_t>(c) * rows + i;
            sum += of_chunks[row * stride] * exp2(static_cast<double>(partial.maximum[row]) - largest);
        }
        return sum;
    };
    for (std::int64_t k = threadIdx.x; k < width; k += blockDim.x) {
        all.values[i * width + k] = join(partial.values + k, width, all.values[i * width + k]);
    }
    __syncwarp();  // the others have read the maximum
    if (threadIdx.x == 0) {
        all.sums[i] = join(partial.sums, 1, all.sums[i]);
        all.maximum[i] = static_cast<float>(largest);
    }
}

__global__ void unshift(const ChunkAverages all, std::int64_t rows, std::int64_t width) {
    const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
    if (i >= rows) return;
    const double factor = exp2(static_cast<double>(all.maximum[i]));
    for (std::int64_t k = threadIdx.x; k < width; k += blockDim.x) all.values[i * width + k] *= factor;
    if (threadIdx.x == 0) all.sums[i] *= factor;
}

// A warp a row.
Shape rows_by_warps(std::int64_t rows) {
    constexpr std::int64_t warps = 8;
    Shape shape;
    shape.blocks = dim3(static_cast<unsigned>((rows + warps - 1) / warps));
    shape.threads = dim3(32, warps);
    return shape;
}

}  // namespace

void launch_split_columns(const float* v, std::int64_t rows, std::int64_t width, float* largest, __half* high,
                          __half* low, std::int64_t stride, cudaStream_t stream) {
    check(cudaMemsetAsync(largest, 0, static_cast<std::size_t>(width) * sizeof(float), stream), "clearing memory");
    Shape shape;
    shape.blocks = dim3(static_cast<unsigned>((rows + rows_of_block - 1) / rows_of_block));
    shape.threads = dim3(32, 8);
    launch(largest_of_columns, shape, stream, v, rows, width, largest);
    launch(split_columns, rows_by_warps(rows), stream, v, rows, width, largest, high, low, stride);
}

bool averages_fit() {
    return products::shared_bytes<Less, Average>(2, 0) <= products::shared_memory_of_device().of_block;
}

void launch_average_split(const Pairs<float>& pairs, const SplitColumns& v, const Cut& cut,
                          const ChunkAverages& partial, cudaStream_t stream) {
    Problem problem = products::problem_of(pairs, cut);
    problem.first = {pairs.summed.logits, static_cast<float>(no_mass)};
    problem.second = {pairs.summed.weights, 0};
    const std::int64_t passes = (v.width + columns_of_pass - 1) / columns_of_pass;
    products::launch_many<Less, Average>(
        problem,
        AverageParameters{pairs.staying.logits, pairs.slope, v.split, v.largest, static_cast<int>(v.width), partial},
        products::shared_memory_of_device(), static_cast<unsigned>(passes), stream);
}

void launch_join_averages(const ChunkAverages& partial, int chunks, std::int64_t rows, std::int64_t width,
                          const ChunkAverages& all, cudaStream_t stream) {
    launch(join_averages, rows_by_warps(rows), stream, partial, chunks, rows, width, all);
}

void launch_unshift(const ChunkAverages& all, std::int64_t rows, std::int64_t width, cudaStream_t stream) {
    launch(unshift, rows_by_warps(rows), stream, all, rows, width);
}

}  // namespace convoy::cuda
