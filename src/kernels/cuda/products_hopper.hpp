#pragma once
// What products.cu does, with instructions that only Hopper has (sm_90a; products_hopper.cu).

#include "kernels/cuda/tile.hpp"

namespace convoy::cuda {

constexpr std::int64_t most_dimensions_of_hopper = 64;

// As launch_sums_split(), for few dimensions. On a device of capability 9.0 only.
void launch_sums_hopper(const Pairs<float>& pairs, const Cut& cut, double* partial, cudaStream_t stream);

}  // namespace convoy::cuda
