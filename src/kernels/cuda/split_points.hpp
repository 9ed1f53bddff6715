#pragma once
// Points as tensor cores take them (SplitPoints): each coordinate the sum of two fp16 numbers.
//
//     x' = 2^exponent x,   high = fp16(x'),   low = fp16(x' - high),   x' = high + low + e
//
// Rounding to fp16 is to nearest, 11 bits: |x' - high| <= 2^-11 |x'|, and the difference is an fp32 number. low rounds
// it once more, or, where it is a denormal fp16 number, to a multiple of 2^-24. So
//
//     |e| <= max(2^-22 |x'|, 2^-25)
//
// and with the largest |x'| in [2^8, 2^9) what denormals cost is below 2^-33 of it. The power of two keeps clouds of
// any scale inside fp16's range of 2^-14 .. 65504 and costs no bit. A product of two points then is
//
//     <x', y'> = <high, high> + <high, low> + <low, high> + <low, low> + ...
//
// whose last term nobody computes: with the two roundings at most 3 2^-22 sum |x'_k y'_k|, in the worst case; the
// errors have either sign and go with the square root of the number of coordinates.

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

namespace convoy::cuda {

// Of a cloud whose largest absolute coordinate, rounded to fp32, this is: 2^8 <= 2^exponent largest < 2^9.
int split_exponent(double largest_coordinate);

// points: rows x dimension, row-major. high, low: a multiple of 128 rows x stride, 16-byte aligned, zeros where there
// is no coordinate; stride a multiple of 64.
void launch_split(const float* points, std::int64_t rows, std::int64_t dimension, int exponent, __half* high,
                  __half* low, std::int64_t stride, cudaStream_t stream);

}  // namespace convoy::cuda
