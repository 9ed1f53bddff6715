#pragma once
// 2^t on the device.
//
// In fp32 there are two ways, to the same 2 ulp, which kernels may mix: the special function unit's instruction (ex2:
// one issue slot, but only 16 results a clock and multiprocessor, an eighth of what the FMA pipe does), and the
// polynomial of the CPU backend on the FMA pipe (12 issue slots: 2 clamps, 3 additions and 5 multiply-adds, a shift, a
// product). Where exponentials are what a kernel waits for, a share of them goes the second way (points.cu; the idea is
// that of FlashAttention-4, Zadouri et al. 2026). fp64 has the polynomial only.
//
// Both ways: exactly 0 below the normal numbers, nan stays nan, too large arguments give something huge (inf, or 2^127
// and 2^1023), never something small. Products and sums in one expression are contracted by the compiler, in every
// build the same way.

#include <cuda_runtime.h>

#include "kernels/cuda/instructions.hpp"

namespace convoy::cuda {

// Cody and Waite: t = k + r, k whole and |r| <= 1/2. Adding `magic` leaves k, the exponent's bias included, in the
// sum's low bits, from where a shift makes 2^k; k = -127 makes 0. The constants are the CPU backend's (Exp2Constants).
__device__ inline float exp2_by_polynomial(float t) {
    constexpr float magic = 12582912.0f + 127.0f;
    t = smaller_or_nan(larger_or_nan(t, -127.0f), 127.0f);
    const float shifted = t + magic;
    const float r = t - (shifted - magic);
    float p = 0x1.5bbaa4p-10f;
    p = p * r + 0x1.3ceb0ep-7f;
    p = p * r + 0x1.c6b7b6p-5f;
    p = p * r + 0x1.ebf9bcp-3f;
    p = p * r + 0x1.62e428p-1f;
    p = p * r + 1.0f;
    return p * __uint_as_float(__float_as_uint(shifted) << 23);
}

__device__ inline float exp2_of(float t) {
    return ex2(t);
}

// |t| is held below 1023 by integer operations: comparisons would take the time of two more steps of the polynomial.
__device__ inline double exp2_of(double t) {
    constexpr double magic = 6755399441055744.0 + 1023.0;
    constexpr int of_1023 = 0x408ff800, of_infinity = 0x7ff00000, all_but_sign = 0x7fffffff;
    const int high = __double2hiint(t), size = high & all_but_sign;
    if (size >= of_1023 && size <= of_infinity) t = __hiloint2double((high & ~all_but_sign) | of_1023, 0);
    const double shifted = t + magic;
    const double r = t - (shifted - magic);
    double p = 0x1.e9ec1fcb69a7fp-32;
    p = p * r + 0x1.e6228acd1c6e5p-28;
    p = p * r + 0x1.b524ebd13a55fp-24;
    p = p * r + 0x1.62bfc2c86d7p-20;
    p = p * r + 0x1.ffcbfc6da6ed1p-17;
    p = p * r + 0x1.430913112c61bp-13;
    p = p * r + 0x1.5d87fe78a3f9cp-10;
    p = p * r + 0x1.3b2ab6fb9f1a5p-7;
    p = p * r + 0x1.c6b08d704a0c6p-5;
    p = p * r + 0x1.ebfbdff82c5aep-3;
    p = p * r + 0x1.62e42fefa39efp-1;
    p = p * r + 1.0;
    return p * __longlong_as_double(__double_as_longlong(shifted) << 52);
}

}  // namespace convoy::cuda
