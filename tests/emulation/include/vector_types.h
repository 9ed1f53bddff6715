#pragma once
// CUDA's short vectors: sizes and alignments are the device's.

namespace emulation {

template <class T, unsigned Alignment>
struct alignas(Alignment) Vector1 {
    T x;
};
template <class T, unsigned Alignment>
struct alignas(Alignment) Vector2 {
    T x, y;
};
template <class T, unsigned Alignment>
struct alignas(Alignment) Vector3 {
    T x, y, z;
};
template <class T, unsigned Alignment>
struct alignas(Alignment) Vector4 {
    T x, y, z, w;
};

}  // namespace emulation

using char2 = emulation::Vector2<signed char, 2>;
using char4 = emulation::Vector4<signed char, 4>;
using uchar2 = emulation::Vector2<unsigned char, 2>;
using uchar4 = emulation::Vector4<unsigned char, 4>;
using short2 = emulation::Vector2<short, 4>;
using short4 = emulation::Vector4<short, 8>;
using ushort2 = emulation::Vector2<unsigned short, 4>;
using ushort4 = emulation::Vector4<unsigned short, 8>;
using int2 = emulation::Vector2<int, 8>;
using int3 = emulation::Vector3<int, 4>;
using int4 = emulation::Vector4<int, 16>;
using uint2 = emulation::Vector2<unsigned, 8>;
using uint3 = emulation::Vector3<unsigned, 4>;
using uint4 = emulation::Vector4<unsigned, 16>;
using longlong2 = emulation::Vector2<long long, 16>;
using ulonglong2 = emulation::Vector2<unsigned long long, 16>;
using float2 = emulation::Vector2<float, 8>;
using float3 = emulation::Vector3<float, 4>;
using float4 = emulation::Vector4<float, 16>;
using double2 = emulation::Vector2<double, 16>;
using double3 = emulation::Vector3<double, 8>;
using double4 = emulation::Vector4<double, 16>;

inline int2 make_int2(int x, int y) {
    return {x, y};
}
inline int3 make_int3(int x, int y, int z) {
    return {x, y, z};
}
inline int4 make_int4(int x, int y, int z, int w) {
    return {x, y, z, w};
}
inline uint2 make_uint2(unsigned x, unsigned y) {
    return {x, y};
}
inline uint3 make_uint3(unsigned x, unsigned y, unsigned z) {
    return {x, y, z};
}
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) {
    return {x, y, z, w};
}
inline longlong2 make_longlong2(long long x, long long y) {
    return {x, y};
}
inline ulonglong2 make_ulonglong2(unsigned long long x, unsigned long long y) {
    return {x, y};
}
inline float2 make_float2(float x, float y) {
    return {x, y};
}
inline float3 make_float3(float x, float y, float z) {
    return {x, y, z};
}
inline float4 make_float4(float x, float y, float z, float w) {
    return {x, y, z, w};
}
inline double2 make_double2(double x, double y) {
    return {x, y};
}
inline double3 make_double3(double x, double y, double z) {
    return {x, y, z};
}
inline double4 make_double4(double x, double y, double z, double w) {
    return {x, y, z, w};
}

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x{x_}, y{y_}, z{z_} {}
    constexpr dim3(uint3 v) : x{v.x}, y{v.y}, z{v.z} {}
    operator uint3() const { return {x, y, z}; }
};
