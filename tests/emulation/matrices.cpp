#include "emulation/matrices.hpp"

#include <cuda_fp16.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "watch.hpp"

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
    if (t < -126) return 0;
    const float exact = std::exp2(t);
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

// --- ldmatrix -------------------------------------------------------------------------------------------------------

struct MatrixLoad {
    std::uint32_t* matrices;
    const unsigned char* row;
};

// Lane l holds columns 2 (l mod 4) and one more of row l / 4, or, transposed, rows of that column.
template <bool Transposed>
void deal_matrices(void* const* lanes) {
    check_all_lanes(lanes, "ldmatrix");
    std::uint16_t elements[4][8][8];
    for (int l = 0; l < 32; ++l) std::memcpy(elements[l / 8][l % 8], static_cast<const MatrixLoad*>(lanes[l])->row, 16);
    for (int l = 0; l < 32; ++l) {
        const int row = l / 4, column = 2 * (l % 4);
        for (int q = 0; q < 4; ++q) {
            const auto& matrix = elements[q];
            const std::uint32_t low = Transposed ? matrix[column][row] : matrix[row][column];
            const std::uint32_t high = Transposed ? matrix[column + 1][row] : matrix[row][column + 1];
            static_cast<const MatrixLoad*>(lanes[l])->matrices[q] = low | high << 16;
        }
    }
}

// --- mma ------------------------------------------------------------------------------------------------------------

struct Product {
    float* c;
    const std::uint32_t* a;
    std::uint32_t b[2];
};

// Eight numbers at a time, in GCC's vectors.
using Floats = float __attribute__((vector_size(32)));
using Ints = std::int32_t __attribute__((vector_size(32)));

Floats floats_of(Ints bits) {
    return std::bit_cast<Floats>(bits);
}
Ints bits_of(Floats numbers) {
    return std::bit_cast<Ints>(numbers);
}

// What an A100's tensor core makes of c + a_0 b_0 + ... + a_7 b_7, as was measured (Fasi, Higham, Mikaitis, Pranesh
// 2021): products are exact; all nine addends are cut, towards zero, at one bit below the last of the largest; their
// sum is cut, towards zero, to fp32. Newer devices keep more. For the eight columns of b.
Floats add_eight_products(Floats c, const float* a, const Floats* b) {
    constexpr std::int32_t exponent_bits = 0x7f800000, size_bits = 0x7fffffff;
    Floats products[8];
    Ints largest = bits_of(c) & size_bits;
    for (int k = 0; k < 8; ++k) {
        products[k] = a[k] * b[k];
        const Ints size = bits_of(products[k]) & size_bits;
        largest = size > largest ? size : largest;
    }
    const Ints exponent = largest & exponent_bits;
    const Floats power = floats_of(exponent) > 0x1p-100f ? floats_of(exponent) : Floats{} + 0x1p-100f;
    // Addends as multiples of 2^(exponent of the largest - 24): whole numbers below 2^25.
    const Floats per_unit = 0x1p24f / power;
    Ints sum = __builtin_convertvector(c * per_unit, Ints);
    for (int k = 0; k < 8; ++k) sum += __builtin_convertvector(products[k] * per_unit, Ints);
    const Ints size = sum < 0 ? -sum : sum;
    const Floats nearest = __builtin_convertvector(size, Floats);
    const Ints above = __builtin_convertvector(nearest, Ints) > size;  // -1 where it is so
    const Floats cut = floats_of(bits_of(nearest) + above);
    Floats result = (sum < 0 ? -cut : cut) * (power * 0x1p-24f);
    // Infinite, or not a number.
    for (int j = 0; j < 8; ++j) {
        if (exponent[j] != exponent_bits) continue;
        result[j] = c[j];
        for (int k = 0; k < 8; ++k) result[j] += products[k][j];
    }
    return result;
}

template <int Rows, int Columns>
void convert(const std::uint16_t (&bits)[Rows][Columns], float (&numbers)[Rows][Columns]) {
    for (int i = 0; i < Rows; ++i) {
        for (int j = 0; j < Columns; ++j) numbers[i][j] = from_half_bits(bits[i][j]);
    }
}

// PTX manual, "Matrix Fragments for mma.m16n8k16 with floating point type". Lane l = 4 g + t holds
//     a: rows g, g + 8, g, g + 8 at columns 2 t, 2 t, 2 t + 8, 2 t + 8, each with the next column
//     b: rows 2 t, 2 t + 8, each with the next row, of column g
//     c: rows g, g, g + 8, g + 8 at columns 2 t, 2 t + 1, 2 t, 2 t + 1
void multiply(void* const* lanes) {
    check_all_lanes(lanes, "mma");
    std::uint16_t a_bits[16][16], b_bits[16][8];
    float c[16][8];
    for (int l = 0; l < 32; ++l) {
        const auto& mine = *static_cast<const Product*>(lanes[l]);
        const int g = l / 4, t = l % 4;
        for (int r = 0; r < 4; ++r) {
            std::memcpy(&a_bits[g + 8 * (r % 2)][2 * t + 8 * (r / 2)], &mine.a[r], 4);
            c[g + 8 * (r / 2)][2 * t + r % 2] = mine.c[r];
        }
        for (int r = 0; r < 2; ++r) {
            b_bits[2 * t + 8 * r][g] = static_cast<std::uint16_t>(mine.b[r] & 0xffff);
            b_bits[2 * t + 8 * r + 1][g] = static_cast<std::uint16_t>(mine.b[r] >> 16);
        }
    }
    float a[16][16], b[16][8];
    convert(a_bits, a);
    convert(b_bits, b);
    Floats b_rows[16];
    std::memcpy(b_rows, b, sizeof b);
    for (int row = 0; row < 16; ++row) {
        Floats sums;
        std::memcpy(&sums, c[row], sizeof sums);
        sums = add_eight_products(sums, a[row], b_rows);
        sums = add_eight_products(sums, a[row] + 8, b_rows + 8);
        std::memcpy(c[row], &sums, sizeof sums);
    }
    for (int l = 0; l < 32; ++l) {
        float* const mine = static_cast<const Product*>(lanes[l])->c;
        for (int r = 0; r < 4; ++r) mine[r] = c[l / 4 + 8 * (r / 2)][2 * (l % 4) + r % 2];
    }
}

}  // namespace

void load_matrices(std::uint32_t (&matrices)[4], const void* shared_row, bool transposed, Place place) {
    check_shared(shared_row, 16, 16, "ldmatrix");
    if (watch != nullptr) watch->reads(shared_row, 16, __builtin_return_address(0));
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
