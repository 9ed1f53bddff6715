#pragma once
// The cost cache on a device: all inner products of a block in fp32, row beside row, computed once and read by every
// pass after that, by those that keep rows and by those that keep columns (launch_sums_kept, launch_logits_kept).
//
//     data[i stride + j] = r(i, j) = 2^(both exponents) <x_i, y_j>
//
// Products are kept as tensor cores give them: coordinates of split points are below 2^9, so that no product leaves the
// range of fp32 before there are 2^100 of them. Rows that begin at multiples of 16 bytes are read 16 bytes at a time.

#include "kernels/cuda/tile.hpp"

namespace convoy::cuda {

// out[i stride + j] = r(i, j), from split points (products.cu).
void launch_products(const Pairs<float>& pairs, float* out, std::int64_t stride, cudaStream_t stream);

}  // namespace convoy::cuda
