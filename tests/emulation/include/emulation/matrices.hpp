#pragma once
// Instructions that have no function in CUDA C++: matrices of a warp, the special function unit.

#include <bit>
#include <cmath>
#include <cstdint>

#include "emulation/block.hpp"

namespace emulation {

// 2^t, off by up to 2 ulp; the same t gives the same number. Arguments and results below 2^-126 count as 0.
float exp2_to_2_ulp(float t);
// Likewise off by up to 1 ulp.
float square_root_to_1_ulp(float a);

inline const float canonical_nan = std::bit_cast<float>(0x7fffffffu);
inline bool either_is_nan(float a, float b) {
    return std::isnan(a) || std::isnan(b);
}

// ldmatrix.m8n8.x4.b16: lane 8 q + r names row r of matrix q.
void load_matrices(std::uint32_t (&matrices)[4], const void* shared_row, bool transposed, Place place);

// mma.m16n8k16, fp16 in, fp32 out: c += a b with the arithmetic of multiply_add's note in matrices.cpp.
void multiply_add_16_8_16(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1, Place place);

}  // namespace emulation
