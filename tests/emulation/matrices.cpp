#include "emulation/matrices.hpp"

#include <cuda_fp16.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace emulation {

namespace {

constexpr float least_normal = 0x1p-126f;

// `exact` off by up to `ulp` units, as the argument's bits have it: spread as evenly as a multiplication spreads bits.
float off(float exact, float argument, std::uint32_t ulp) {
    const std::uint32_t spread = (std::bit_cast<std::uint32_t>(argument) * 0x9e3779b1u) >> 16;
    const auto result = std::bit_cast<float>(std::bit_cast<std::uint32_t>(exact) + spread % (2 * ulp + 1) - ulp);
    return result < least_normal || !std::isfinite(result) ? exact : result;
}

}  // namespace

float exp2_to_2_ulp(float t) {
    if (std::fabs(t) < least_normal) return 1;
    const float exact = std::exp2(t);
    if (exact < least_normal) return 0;
    return std::isfinite(exact) ? off(exact, t, 2) : exact;
}

float square_root_to_1_ulp(float a) {
    if (std::fabs(a) < least_normal) return std::copysign(0.0f, a);
    const float exact = std::sqrt(a);
    return std::isfinite(exact) ? off(exact, a, 1) : exact;
}

namespace {

// Aligned instructions need the whole warp.
void check_all_lanes(void* const* lanes, const char* what) {
    if (std::find(lanes, lanes + 32, nullptr) != lanes + 32) fault("%s: lanes of the warp have returned", what);
}

// --- ldmatrix
// ---------------------------------------------------------------------------------------------------------

struct MatrixLoad {
    std::uint32_t* matrices;
    const unsigned char* row;
};

// Lane l holds columns 2 (l mod 4) and one more of row l / 4, or, transposed, rows of that column.
template <bool Transposed>
void deal_matrices(void* const* lanes) {
    check_all_lanes(lanes, "ldmatrix");
    const auto element = [&](int matrix, int row, int column) {
        std::uint16_t bits = 0;
        std::memcpy(&bits, static_cast<const MatrixLoad*>(lanes[8 * matrix + row])->row + 2 * column, 2);
        return std::uint32_t{bits};
    };
    for (int l = 0; l < 32; ++l) {
        const int row = l / 4, column = 2 * (l % 4);
        for (int q = 0; q < 4; ++q) {
            const std::uint32_t low = Transposed ? element(q, column, row) : element(q, row, column);
            const std::uint32_t high = Transposed ? element(q, column + 1, row) : element(q, row, column + 1);
            static_cast<const MatrixLoad*>(lanes[l])->matrices[q] = low | high << 16;
        }
    }
}

// --- mma
// --------------------------------------------------------------------------------------------------------------

struct Product {
    float* c;
    const std::uint32_t* a;
    std::uint32_t b[2];
};

// What an A100's tensor core makes of c + a_0 b_0 + ... + a_7 b_7, as was measured (Fasi, Higham, Mikaitis, Pranesh
// 2021): products are exact; all nine addends are cut, towards zero, at one bit below the last of the largest; their
// sum is cut, towards zero, to fp32. Newer devices keep more.
float sum_of_nine(float c, const float* products) {
    float largest = std::fabs(c);
    bool finite = std::isfinite(c);
    for (int k = 0; k < 8; ++k) {
        largest = std::max(largest, std::fabs(products[k]));
        finite = finite && std::isfinite(products[k]);
    }
    if (!finite) {
        for (int k = 0; k < 8; ++k) c += products[k];
        return c;
    }
    if (largest == 0) return 0;
    // Multiples of 2^(exponent - 24), the largest below 2^25.
    const int exponent = static_cast<int>(std::bit_cast<std::uint64_t>(static_cast<double>(largest)) >> 52) - 1023;
    const auto power_of_two = [](int n) { return std::bit_cast<double>(static_cast<std::uint64_t>(n + 1023) << 52); };
    const double scale = power_of_two(24 - exponent);
    auto sum = static_cast<std::int32_t>(c * scale);
    for (int k = 0; k < 8; ++k) sum += static_cast<std::int32_t>(products[k] * scale);
    const auto size = static_cast<std::uint32_t>(sum < 0 ? -sum : sum);
    const int extra = std::max(0, 8 - std::countl_zero(size));
    const auto cut = static_cast<double>(size >> extra << extra) * power_of_two(exponent - 24);
    return static_cast<float>(sum < 0 ? -cut : cut);
}

// PTX manual, "Matrix Fragments for mma.m16n8k16 with floating point type". Lane l = 4 g + t holds
//     a: rows g, g + 8, g, g + 8 at columns 2 t, 2 t, 2 t + 8, 2 t + 8, each with the next column
//     b: rows 2 t, 2 t + 8, each with the next row, of column g
//     c: rows g, g, g + 8, g + 8 at columns 2 t, 2 t + 1, 2 t, 2 t + 1
void multiply(void* const* lanes) {
    check_all_lanes(lanes, "mma");
    float a[16][16], b[8][16];
    for (int l = 0; l < 32; ++l) {
        const auto& mine = *static_cast<const Product*>(lanes[l]);
        const int g = l / 4, t = l % 4;
        for (int r = 0; r < 4; ++r) {
            const int row = g + 8 * (r % 2), column = 2 * t + 8 * (r / 2);
            a[row][column] = from_half_bits(static_cast<std::uint16_t>(mine.a[r] & 0xffff));
            a[row][column + 1] = from_half_bits(static_cast<std::uint16_t>(mine.a[r] >> 16));
        }
        for (int r = 0; r < 2; ++r) {
            b[g][2 * t + 8 * r] = from_half_bits(static_cast<std::uint16_t>(mine.b[r] & 0xffff));
            b[g][2 * t + 8 * r + 1] = from_half_bits(static_cast<std::uint16_t>(mine.b[r] >> 16));
        }
    }
    for (int l = 0; l < 32; ++l) {
        const int g = l / 4, t = l % 4;
        float* const c = static_cast<const Product*>(lanes[l])->c;
        for (int r = 0; r < 4; ++r) {
            const float *const row = a[g + 8 * (r / 2)], *const column = b[2 * t + r % 2];
            for (int half = 0; half < 16; half += 8) {
                float products[8];
                for (int k = 0; k < 8; ++k) products[k] = row[half + k] * column[half + k];
                c[r] = sum_of_nine(c[r], products);
            }
        }
    }
}

}  // namespace

void load_matrices(std::uint32_t (&matrices)[4], const void* shared_row, bool transposed, Place place) {
    check_shared(shared_row, 16, 16, "ldmatrix");
    MatrixLoad mine{matrices, static_cast<const unsigned char*>(shared_row)};
    if (transposed) {
        warp_collective("ldmatrix.trans", whole_warp, &mine, &deal_matrices<true>, place);
    } else {
        warp_collective("ldmatrix", whole_warp, &mine, &deal_matrices<false>, place);
    }
}

void multiply_add_16_8_16(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1, Place place) {
    Product mine{c, a, {b0, b1}};
    warp_collective("mma", whole_warp, &mine, &multiply, place);
}

}  // namespace emulation
