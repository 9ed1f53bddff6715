// See pick_tile.hpp. Everything between HWY_BEFORE_NAMESPACE and HWY_AFTER_NAMESPACE is compiled once per instruction
// set.
//
// Draws: a pair's first arrival is in time only if logit + Gumbel number reaches what the row has so far. The Gumbel
// number takes two logarithms in fp64; whether it can be large enough is seen from the bits of its uniform number u
// alone. Since -ln u >= 1 - u,
//
//     gumbel = -ln(-ln u) <= -ln(1 - u),
//
// and 1 - u is, but for a last bit, the complement of the random bits as a binary fraction v. Its logarithm is bounded
// from below by its floating-point form: log2((1 + m) 2^e) >= m + e, an integer read as a fixed-point number. Near
// u = 1, where races are won, that is within 0.09 of the truth.

#include "kernels/cpu/pick_tile.hpp"

#include <algorithm>
#include <bit>

#include "kernels/cpu/targets.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/pick_tile.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "hwy/highway.h"
#include "kernels/cpu/columns-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace convoy::cpu::HWY_NAMESPACE {

template <class D, class M>
HWY_INLINE std::uint64_t BitsOfMask(D d, M mask) {
    std::uint8_t bytes[8] = {};
    hn::StoreMaskBits(d, mask, bytes);
    std::uint64_t bits = 0;
    for (int k = 0; k < 8; ++k) bits |= static_cast<std::uint64_t>(bytes[k]) << (8 * k);
    return bits;
}

// Writes down the lanes of a vector that the mask names, `lane` the first of them.
template <class T, class V, class M>
HWY_NOINLINE Found<T>* WriteDown(V values, M mask, std::int64_t column, std::int64_t lane, Found<T>* next) {
    const Tag<T> d;
    HWY_ALIGN T buffer[HWY_MAX_BYTES / sizeof(T)];
    hn::Store(values, d, buffer);
    for (std::uint64_t bits = BitsOfMask(d, mask); bits != 0; bits &= bits - 1) {
        const int at = std::countr_zero(bits);
        *next++ = {static_cast<std::int32_t>(column), static_cast<std::int32_t>(lane + at), buffer[at]};
    }
    return next;
}

template <class T>
std::int64_t Find(const Tile<T>& tile, const T* limits, Found<T>* found) {
    const Tag<T> d;
    using V = hn::Vec<Tag<T>>;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    const V limit_low = hn::Load(d, limits), limit_high = hn::Load(d, limits + lanes);
    Found<T>* next = found;
    WithForm(tile, [&](const auto& form) HWY_ATTR {
        ForEachColumn<0>(form, tile, [&](std::int64_t j, V low, V high, V, V) HWY_ATTR {
            const auto stays_low = hn::Le(low, limit_low), stays_high = hn::Le(high, limit_high);
            if (HWY_LIKELY(hn::AllTrue(d, hn::And(stays_low, stays_high)))) return;
            if (!hn::AllTrue(d, stays_low)) next = WriteDown(low, hn::Not(stays_low), j, 0, next);
            if (!hn::AllTrue(d, stays_high)) next = WriteDown(high, hn::Not(stays_high), j, lanes, next);
        });
    });
    return next - found;
}

template <class T>
void KeepLargest(const T* logits, std::int64_t columns, const T* twice, std::int64_t group, T* HWY_RESTRICT largest,
                 std::int64_t count) {
    const Tag<T> d;
    using V = hn::Vec<Tag<T>>;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    for (std::int64_t j = 0; j < columns; j += group) {
        V low = hn::Load(d, logits + 2 * j * lanes), high = hn::Load(d, logits + (2 * j + 1) * lanes);
        T bound = twice[j];
        for (std::int64_t k = j + 1; k < std::min(j + group, columns); ++k) {
            low = hn::Max(low, hn::Load(d, logits + 2 * k * lanes));
            high = hn::Max(high, hn::Load(d, logits + (2 * k + 1) * lanes));
            bound = std::max(bound, twice[k]);
        }
        low = hn::Sub(low, hn::Set(d, bound));
        high = hn::Sub(high, hn::Set(d, bound));
        for (std::int64_t s = 0; s < count; ++s) {
            T* const at = largest + 2 * s * lanes;
            const V old_low = hn::Load(d, at), old_high = hn::Load(d, at + lanes);
            hn::Store(hn::Max(old_low, low), d, at);
            hn::Store(hn::Max(old_high, high), d, at + lanes);
            low = hn::Min(old_low, low);
            high = hn::Min(old_high, high);
        }
    }
}

// kernels::mixed, of which Leading leaves out the last step: it does not touch the leading 31 bits.
template <bool Leading = false, class V>
HWY_INLINE V Mixed(V z) {
    const hn::DFromV<V> d;
    z = hn::Add(z, hn::Set(d, 0x9e3779b97f4a7c15u));
    z = hn::Mul(hn::Xor(z, hn::ShiftRight<30>(z)), hn::Set(d, 0xbf58476d1ce4e5b9u));
    z = hn::Mul(hn::Xor(z, hn::ShiftRight<27>(z)), hn::Set(d, 0x94d049bb133111ebu));
    return Leading ? z : hn::Xor(z, hn::ShiftRight<31>(z));
}

// Vectors of 64 random bits that belong to one vector of T.
template <class T>
constexpr int bit_vectors = static_cast<int>(hn::MaxLanes(Tag<T>()) / hn::MaxLanes(hn::ScalableTag<std::uint64_t>()));

// The complement of the 31 leading bits, as a number.
template <class V>
HWY_INLINE auto Complement(Tag<double> d, const V (&random)[1]) {
    // Integers below 2^52 become numbers by way of the mantissa of 2^52.
    const hn::ScalableTag<std::uint64_t> d64;
    const auto bits = hn::Or(hn::ShiftRight<33>(hn::Not(random[0])), hn::Set(d64, 0x4330000000000000u));
    return hn::Sub(hn::BitCast(d, bits), hn::Set(d, 0x1p52));
}
#if HWY_TARGET == HWY_SCALAR
template <class V>
HWY_INLINE auto Complement(Tag<float> d, const V (&random)[1]) {
    return hn::DemoteTo(d, Complement(Tag<double>(), random));
}
#else
template <class V>
HWY_INLINE auto Complement(Tag<float> d, const V (&random)[2]) {
    const hn::RebindToUnsigned<Tag<float>> d32;
    const hn::RebindToSigned<Tag<float>> integer;
    const auto top = hn::ConcatOdd(d32, hn::BitCast(d32, random[1]), hn::BitCast(d32, random[0]));
    return hn::ConvertTo(d, hn::BitCast(integer, hn::ShiftRight<1>(hn::Not(top))));
}
#endif

// c less the logarithm to base 2 in fixed point, which is at most the true one and at least that less 0.0861. v = 0
// gives c + 127 or more.
template <class V>
HWY_INLINE V LessLog2(Tag<float> d, V v, double c) {
    const hn::RebindToSigned<Tag<float>> integer;
    const V fixed = hn::ConvertTo(d, hn::BitCast(integer, v));
    return hn::NegMulAdd(fixed, hn::Set(d, 0x1p-23f), hn::Set(d, static_cast<float>(127 + c)));
}
template <class V>
HWY_INLINE V LessLog2(Tag<double> d, V v, double c) {
    const hn::ScalableTag<std::uint64_t> d64;
    const auto bits = hn::Or(hn::ShiftRight<20>(hn::BitCast(d64, v)), hn::Set(d64, 0x4330000000000000u));
    const V fixed = hn::Sub(hn::BitCast(d, bits), hn::Set(d, 0x1p52));
    return hn::NegMulAdd(fixed, hn::Set(d, 0x1p-32), hn::Set(d, 1023 + c));
}

constexpr double of_rounding = 1e-4;  // of bounds in single precision, by far

// At least the Gumbel numbers, in units of log 2.
template <class D, class V>
HWY_INLINE auto MostNoise(D d, const V& random) {
    return LessLog2(d, Complement(d, random), 31 + of_rounding);
}

// At most these. With w the complement, a last bit added: -ln u <= w / (1 - w), and log2(1 - w) >= -2 w up to w = 1/2;
// beyond that it is the Gumbel number of the smallest u.
template <class D, class V>
HWY_INLINE auto LeastNoise(D d, const V& random) {
    using T = hn::TFromD<D>;
    const auto v = hn::Add(Complement(d, random), hn::Set(d, T(1)));
    const auto near = hn::NegMulAdd(v, hn::Set(d, T(0x1p-30)), LessLog2(d, v, 31 - 0.0861 - 2 * of_rounding));
    return hn::IfThenElse(hn::Le(v, hn::Set(d, T(0x1p30))), near, hn::Set(d, T(-5.3)));
}

// The random bits of the first arrivals of one column's pairs. Both vectors of the panel go step by step together.
template <class T, class V, int parts>
HWY_INLINE void RandomBits(const RaceTile<T>& tile, std::int64_t j, V (&random)[2][parts]) {
    const hn::ScalableTag<std::uint64_t> d64;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d64));
    const V number = hn::Set(d64, static_cast<std::uint64_t>(tile.first + j));
    for (int k = 0; k < 2 * parts; ++k) {
        const V of_pair = Mixed(hn::Xor(hn::Load(d64, tile.states + k * lanes), number));
        random[k / parts][k % parts] = Mixed<true>(of_pair);  // of draw 0
    }
}

template <class T>
void AddLeastNoise(const RaceTile<T>& tile, T* logits) {
    const Tag<T> d;
    using V64 = hn::Vec<hn::ScalableTag<std::uint64_t>>;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    const auto unit = hn::Set(d, tile.unit);
    for (std::int64_t j = 0; j < tile.columns; ++j) {
        V64 random[2][bit_vectors<T>];
        RandomBits(tile, j, random);
        for (int half = 0; half < 2; ++half) {
            T* const at = logits + (2 * j + half) * lanes;
            hn::Store(hn::MulAdd(unit, LeastNoise(d, random[half]), hn::Load(d, at)), d, at);
        }
    }
}

template <class T>
std::int64_t FindArrivals(const RaceTile<T>& tile, Found<T>* found) {
    const Tag<T> d;
    using V = hn::Vec<Tag<T>>;
    using V64 = hn::Vec<hn::ScalableTag<std::uint64_t>>;
    using M = hn::Mask<Tag<T>>;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    const V limits[2] = {hn::Load(d, tile.limits), hn::Load(d, tile.limits + lanes)};
    // Logits of at most this are late whatever their random numbers.
    const V unit = hn::Set(d, tile.unit), most = hn::Mul(hn::Set(d, static_cast<T>(largest_gumbel)), unit);
    const V hopeless[2] = {hn::Sub(limits[0], most), hn::Sub(limits[1], most)};
    Found<T>* next = found;
    for (std::int64_t j = 0; j < tile.columns; ++j) {
        const T* const at = tile.logits + 2 * j * lanes;
        const V logits[2] = {hn::Load(d, at), hn::Load(d, at + lanes)};
        M late[2] = {hn::Le(logits[0], hopeless[0]), hn::Le(logits[1], hopeless[1])};
        if (hn::AllTrue(d, hn::And(late[0], late[1]))) continue;
        V64 random[2][bit_vectors<T>];
        RandomBits(tile, j, random);
        for (int half = 0; half < 2; ++half)
            late[half] = hn::Le(hn::MulAdd(unit, MostNoise(d, random[half]), logits[half]), limits[half]);
        if (HWY_LIKELY(hn::AllTrue(d, hn::And(late[0], late[1])))) continue;
        for (int half = 0; half < 2; ++half) next = WriteDown(logits[half], hn::Not(late[half]), j, half * lanes, next);
    }
    return next - found;
}

template <class T>
const PickKernels<T>* Kernels() {
    static const PickKernels<T> kernels{Find<T>, KeepLargest<T>, FindArrivals<T>, AddLeastNoise<T>};
    return &kernels;
}

const PickKernels<float>* PickKernelsSingle() {
    return Kernels<float>();
}
const PickKernels<double>* PickKernelsDouble() {
    return Kernels<double>();
}

}  // namespace convoy::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::cpu {

HWY_EXPORT(PickKernelsSingle);
HWY_EXPORT(PickKernelsDouble);

template <>
const PickKernels<float>& pick_kernels() {
    return *HWY_DYNAMIC_DISPATCH(PickKernelsSingle)();
}
template <>
const PickKernels<double>& pick_kernels() {
    return *HWY_DYNAMIC_DISPATCH(PickKernelsDouble)();
}

}  // namespace convoy::cpu
#endif
