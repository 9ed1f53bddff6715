// A warp a row; a lane takes eight coordinates and stores them as 16 bytes. Once for every cloud: reading 4 and writing
// 4 bytes a coordinate, 1,000,000 points of 128 dimensions take 1 GB, a quarter of a millisecond.

#include "kernels/cuda/split_points.hpp"

#include <cmath>

#include "kernels/cuda/device.hpp"

namespace convoy::cuda {

namespace {

constexpr int warps = 8;
constexpr std::int64_t whole_rows = 128;  // rows are filled up to a multiple of

// In two steps: either power of two is an fp32 number, for any coordinate that is one.
struct PowerOfTwo {
    float first, second;
};

__device__ std::uint32_t packed(__half a, __half b) {
    return static_cast<std::uint32_t>(__half_as_ushort(a)) | static_cast<std::uint32_t>(__half_as_ushort(b)) << 16;
}

__global__ void split(const float* points, std::int64_t rows, std::int64_t dimension, PowerOfTwo scale, __half* high,
                      __half* low, std::int64_t stride) {
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * warps + threadIdx.y;
    for (std::int64_t k = threadIdx.x * 8; k < stride; k += 32 * 8) {
        std::uint32_t pairs[2][4];
#pragma unroll
        for (int e = 0; e < 8; e += 2) {
            __half parts[2][2];
#pragma unroll
            for (int h = 0; h < 2; ++h) {
                const bool there = row < rows && k + e + h < dimension;
                const float x = there ? points[row * dimension + k + e + h] * scale.first * scale.second : 0.0f;
                parts[0][h] = __float2half_rn(x);
                parts[1][h] = __float2half_rn(x - __half2float(parts[0][h]));
            }
            pairs[0][e / 2] = packed(parts[0][0], parts[0][1]);
            pairs[1][e / 2] = packed(parts[1][0], parts[1][1]);
        }
        *reinterpret_cast<uint4*>(high + row * stride + k) =
            make_uint4(pairs[0][0], pairs[0][1], pairs[0][2], pairs[0][3]);
        *reinterpret_cast<uint4*>(low + row * stride + k) =
            make_uint4(pairs[1][0], pairs[1][1], pairs[1][2], pairs[1][3]);
    }
}

}  // namespace

int split_exponent(double largest_coordinate) {
    return std::isnormal(largest_coordinate) ? 8 - std::ilogb(largest_coordinate) : 0;
}

void launch_split(const float* points, std::int64_t rows, std::int64_t dimension, int exponent, __half* high,
                  __half* low, std::int64_t stride, cudaStream_t stream) {
    const PowerOfTwo scale{std::ldexp(1.0f, exponent / 2), std::ldexp(1.0f, exponent - exponent / 2)};
    const std::int64_t filled = (rows + whole_rows - 1) / whole_rows * whole_rows;
    const Shape shape{dim3(static_cast<unsigned>(filled / warps)), dim3(32, warps)};
    launch(split, shape, stream, points, rows, dimension, scale, high, low, stride);
}

}  // namespace convoy::cuda
