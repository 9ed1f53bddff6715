#pragma once
// Which instruction sets the CPU backend is compiled for. Before any of Highway's headers.

// Vectors without a size known at compile time cannot sit in arrays, as the register blocks here do; the rest are
// steps between AVX2, AVX-512 and the baseline that bring nothing to these loops.
#define HWY_DISABLED_TARGETS \
    (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV | HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
