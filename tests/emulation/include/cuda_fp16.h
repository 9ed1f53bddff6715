#pragma once
// fp16 numbers. Conversions round to nearest, ties to even, with denormals; sums and products are those of fp32,
// rounded once more, which for one operation is the same as rounding once.

#include <cuda_runtime.h>

#include <bit>
#include <cmath>
#include <cstdint>

namespace emulation {

// No branches: many at a time are converted with vectors.
inline float from_half_bits(std::uint16_t bits) {
    const std::uint32_t sign = (std::uint32_t{bits} & 0x8000u) << 16;
    const std::uint32_t magnitude = (std::uint32_t{bits} & 0x7fffu) << 13;
    // The exponents' biases differ by 112; the product is exact, of denormals too.
    const std::uint32_t finite = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) * 0x1p112f);
    return std::bit_cast<float>(sign | (magnitude >= 0x7c00u << 13 ? magnitude | 0x7f800000u : finite));
}

inline std::uint16_t to_half_bits(double value) {
    const auto sign = static_cast<std::uint16_t>(std::signbit(value) ? 0x8000 : 0);
    const double size = std::fabs(value);
    if (std::isnan(value)) return 0x7fff;
    if (size >= 65520) return static_cast<std::uint16_t>(sign | 0x7c00);
    if (size < 0x1p-14) {  // denormals are multiples of 2^-24
        return static_cast<std::uint16_t>(sign | static_cast<std::uint16_t>(std::nearbyint(size * 0x1p24)));
    }
    // A carry out of the ten bits of the mantissa rightly goes to the exponent.
    const auto bits = std::bit_cast<std::uint64_t>(size);
    const std::uint64_t cut = std::uint64_t{1} << 42;
    const std::uint64_t rest = bits & (cut - 1);
    std::uint64_t kept = bits >> 42;
    if (rest > cut / 2 || (rest == cut / 2 && (kept & 1) != 0)) ++kept;
    return static_cast<std::uint16_t>(sign | (kept - (std::uint64_t{1023 - 15} << 10)));
}

}  // namespace emulation

struct __half_raw {
    unsigned short x;
};

class __half {
 public:
    __half() = default;
    __half(float value) : bits_{emulation::to_half_bits(value)} {}
    __half(double value) : bits_{emulation::to_half_bits(value)} {}
    __half(int value) : bits_{emulation::to_half_bits(value)} {}
    __half(unsigned value) : bits_{emulation::to_half_bits(value)} {}
    __half(__half_raw raw) : bits_{raw.x} {}
    operator float() const { return emulation::from_half_bits(bits_); }
    std::uint16_t bits() const { return bits_; }

 private:
    std::uint16_t bits_;
};
using half = __half;

struct alignas(4) __half2 {
    __half x, y;
};
using half2 = __half2;

// --- Conversions ----------------------------------------------------------------------------------------------------

inline __half __float2half(float x) {
    return __half{x};
}
inline __half __float2half_rn(float x) {
    return __half{x};
}
inline __half __float2half_rz(float x) {
    const __half nearest{x};
    const bool beyond = std::fabs(static_cast<float>(nearest)) > std::fabs(x);
    return beyond ? __half{__half_raw{static_cast<unsigned short>(nearest.bits() - 1)}} : nearest;
}
inline __half __double2half(double x) {
    return __half{x};
}
inline float __half2float(__half x) {
    return static_cast<float>(x);
}
inline __half __int2half_rn(int x) {
    return __half{x};
}
inline unsigned short __half_as_ushort(__half x) {
    return x.bits();
}
inline short __half_as_short(__half x) {
    return static_cast<short>(x.bits());
}
inline __half __ushort_as_half(unsigned short bits) {
    return __half{__half_raw{bits}};
}
inline __half __short_as_half(short bits) {
    return __half{__half_raw{static_cast<unsigned short>(bits)}};
}

inline __half2 __halves2half2(__half x, __half y) {
    return {x, y};
}
inline __half2 make_half2(__half x, __half y) {
    return {x, y};
}
inline __half2 __half2half2(__half x) {
    return {x, x};
}
inline __half2 __float2half2_rn(float x) {
    return {__half{x}, __half{x}};
}
inline __half2 __floats2half2_rn(float x, float y) {
    return {__half{x}, __half{y}};
}
inline __half2 __float22half2_rn(float2 v) {
    return {__half{v.x}, __half{v.y}};
}
inline float2 __half22float2(__half2 v) {
    return {__half2float(v.x), __half2float(v.y)};
}
inline __half __low2half(__half2 v) {
    return v.x;
}
inline __half __high2half(__half2 v) {
    return v.y;
}
inline float __low2float(__half2 v) {
    return __half2float(v.x);
}
inline float __high2float(__half2 v) {
    return __half2float(v.y);
}

// --- Arithmetic -----------------------------------------------------------------------------------------------------

inline __half __hadd(__half a, __half b) {
    return __half{__half2float(a) + __half2float(b)};
}
inline __half __hsub(__half a, __half b) {
    return __half{__half2float(a) - __half2float(b)};
}
inline __half __hmul(__half a, __half b) {
    return __half{__half2float(a) * __half2float(b)};
}
// Exact in fp64 but for sums of very unlike numbers, where the second rounding cannot matter to 11 bits.
inline __half __hfma(__half a, __half b, __half c) {
    return __half{static_cast<double>(__half2float(a)) * __half2float(b) + __half2float(c)};
}
inline __half __hneg(__half a) {
    return __half{__half_raw{static_cast<unsigned short>(a.bits() ^ 0x8000)}};
}
inline __half __habs(__half a) {
    return __half{__half_raw{static_cast<unsigned short>(a.bits() & 0x7fff)}};
}
inline bool __hisnan(__half a) {
    return (a.bits() & 0x7fff) > 0x7c00;
}
inline int __hisinf(__half a) {
    return (a.bits() & 0x7fff) == 0x7c00 ? ((a.bits() & 0x8000) != 0 ? -1 : 1) : 0;
}
inline __half2 __hadd2(__half2 a, __half2 b) {
    return {__hadd(a.x, b.x), __hadd(a.y, b.y)};
}
inline __half2 __hsub2(__half2 a, __half2 b) {
    return {__hsub(a.x, b.x), __hsub(a.y, b.y)};
}
inline __half2 __hmul2(__half2 a, __half2 b) {
    return {__hmul(a.x, b.x), __hmul(a.y, b.y)};
}
inline __half2 __hfma2(__half2 a, __half2 b, __half2 c) {
    return {__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y)};
}
