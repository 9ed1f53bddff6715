// 2^t on vectors. Included once per instruction set (Highway's foreach_target), hence the toggling guard.

#if defined(CONVOY_CPU_EXP2_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVOY_CPU_EXP2_INL_HPP
#undef CONVOY_CPU_EXP2_INL_HPP
#else
#define CONVOY_CPU_EXP2_INL_HPP
#endif

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Minimax polynomials of 2^r on [-1/2, 1/2], constant term 1: relative error 1.0e-7 (1.6e-7 with fp32 rounding) and
// 3e-18 (fp64 rounding remains). `magic` rounds t to an integer in its low bits, the exponent's bias already added, so
// that a shift makes 2^k of them.
template <class T>
struct Exp2Constants;

template <>
struct Exp2Constants<float> {
    static constexpr int mantissa = 23;
    static constexpr float magic = 12582912.0f + 127.0f;
    static constexpr float lowest = -127.0f, highest = 127.0f;
    static constexpr float c[] = {0x1p0f,         0x1.62e428p-1f, 0x1.ebf9bcp-3f,
                                  0x1.c6b7b6p-5f, 0x1.3ceb0ep-7f, 0x1.5bbaa4p-10f};
};

template <>
struct Exp2Constants<double> {
    static constexpr int mantissa = 52;
    static constexpr double magic = 6755399441055744.0 + 1023.0;
    static constexpr double lowest = -1023.0, highest = 1023.0;
    static constexpr double c[] = {0x1p0,
                                   0x1.62e42fefa39efp-1,
                                   0x1.ebfbdff82c5aep-3,
                                   0x1.c6b08d704a0c6p-5,
                                   0x1.3b2ab6fb9f1a5p-7,
                                   0x1.5d87fe78a3f9cp-10,
                                   0x1.430913112c61bp-13,
                                   0x1.ffcbfc6da6ed1p-17,
                                   0x1.62bfc2c86d7p-20,
                                   0x1.b524ebd13a55fp-24,
                                   0x1.e6228acd1c6e5p-28,
                                   0x1.e9ec1fcb69a7fp-32};
};

// Right to the polynomial's error for normal results. Half a step below the smallest normal number the result is
// exactly 0 (the exponent's field is), not denormal: denormals cost some processors a hundred cycles each. Above 2^127
// (2^1023) it stays there. Whether nan stays nan depends on the instruction set's maximum: callers carry it in their
// weights.
//
// Several vectors go step by step together: the processor meets independent instructions side by side and waits less.
template <int N, class D, class V = hn::Vec<D>>
HWY_INLINE void Exp2InPlace(D d, V (&t)[N]) {
    using T = hn::TFromD<D>;
    using K = Exp2Constants<T>;
    const hn::RebindToUnsigned<D> bits;
    constexpr int degree = static_cast<int>(sizeof(K::c) / sizeof(T)) - 1;
    V shifted[N], p[N];
    for (int n = 0; n < N; ++n) t[n] = hn::Min(hn::Set(d, K::highest), hn::Max(hn::Set(d, K::lowest), t[n]));
    for (int n = 0; n < N; ++n) shifted[n] = hn::Add(t[n], hn::Set(d, K::magic));
    for (int n = 0; n < N; ++n) t[n] = hn::Sub(t[n], hn::Sub(shifted[n], hn::Set(d, K::magic)));
    for (int n = 0; n < N; ++n) p[n] = hn::Set(d, K::c[degree]);
    for (int k = degree - 1; k >= 0; --k) {
        for (int n = 0; n < N; ++n) p[n] = hn::MulAdd(p[n], t[n], hn::Set(d, K::c[k]));
    }
    for (int n = 0; n < N; ++n) {
        t[n] = hn::Mul(p[n], hn::BitCast(d, hn::ShiftLeft<K::mantissa>(hn::BitCast(bits, shifted[n]))));
    }
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V Exp2(D d, V t) {
    V only[1] = {t};
    Exp2InPlace(d, only);
    return only[0];
}

}  // namespace convoy::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
