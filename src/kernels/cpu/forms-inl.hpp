// One functor a pair form: how a logit grows coordinate by coordinate. A new cost is one more functor here and one more
// case in WithForm. Included once per instruction set.

#if defined(CONVOY_CPU_FORMS_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVOY_CPU_FORMS_INL_HPP
#undef CONVOY_CPU_FORMS_INL_HPP
#else
#define CONVOY_CPU_FORMS_INL_HPP
#endif

#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"
#include "kernels/cpu/exp2-inl.hpp"
#include "kernels/cpu/tile.hpp"

HWY_BEFORE_NAMESPACE();
namespace convoy::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// logit = f + g + <x, y>. With few coordinates (Dim, 0 for many) the multiply-adds start at g, which saves an addition;
// long sums start at 0: f and g are large, nearly cancel what the sum grows to, and would round every step.
template <class T>
struct ProductForm {
    explicit ProductForm(const Tile<T>&) {}
    template <int Dim, class D>
    HWY_INLINE hn::Vec<D> Start(D d, T g) const {
        return hn::Set(d, Dim > 0 ? g : T(0));
    }
    template <class D, class V>
    HWY_INLINE V Step(D, V x, V y, V sum) const {
        return hn::MulAdd(x, y, sum);
    }
    template <int Dim, class D, class V>
    HWY_INLINE V Logit(D d, V sum, V f, T g) const {
        return hn::Add(sum, Dim > 0 ? f : hn::Add(f, hn::Set(d, g)));
    }
    template <class D, class V>
    HWY_INLINE V Cost(D, V sum) const {
        return sum;
    }
    template <class D, class V>
    HWY_INLINE V Gradient(D, V z, V) const {
        return z;
    }
};

// logit = f + g + unit product, of products that an earlier pass has left in memory.
template <class T>
struct KeptForm : ProductForm<T> {
    T unit, factor;
    explicit KeptForm(const Tile<T>& tile) : ProductForm<T>(tile), unit{tile.unit}, factor{tile.factor} {}
    template <int Dim, class D, class V>
    HWY_INLINE V Logit(D d, V product, V f, T g) const {
        return hn::MulAdd(hn::Set(d, unit), product, hn::Add(f, hn::Set(d, g)));
    }
    template <class D, class V>
    HWY_INLINE V Cost(D d, V product) const {
        return hn::Mul(hn::Set(d, factor), product);
    }
};

// logit = f + g - scale factor raw(x, y); Raw adds Step, Finish and Gradient.
template <class T, class Raw>
struct CostForm : Raw {
    T factor, scaled;
    explicit CostForm(const Tile<T>& tile) : Raw(tile), factor{tile.factor}, scaled{tile.scale * tile.factor} {}
    template <int Dim, class D>
    HWY_INLINE hn::Vec<D> Start(D d, T) const {
        return hn::Zero(d);
    }
    template <int Dim, class D, class V>
    HWY_INLINE V Logit(D d, V sum, V f, T g) const {
        return hn::NegMulAdd(hn::Set(d, scaled), Raw::Finish(d, sum), hn::Add(f, hn::Set(d, g)));
    }
    template <class D, class V>
    HWY_INLINE V Cost(D d, V sum) const {
        return hn::Mul(hn::Set(d, factor), Raw::Finish(d, sum));
    }
};

template <class T>
struct InnerRaw {
    explicit InnerRaw(const Tile<T>&) {}
    template <class D, class V>
    HWY_INLINE V Step(D, V x, V y, V sum) const {
        return hn::MulAdd(x, y, sum);
    }
    template <class D, class V>
    HWY_INLINE V Finish(D, V sum) const {
        return sum;
    }
    template <class D, class V>
    HWY_INLINE V Gradient(D, V z, V) const {
        return z;
    }
};

template <class T>
struct SquareRaw {
    T twice_factor;
    explicit SquareRaw(const Tile<T>& tile) : twice_factor{2 * tile.factor} {}
    template <class D, class V>
    HWY_INLINE V Step(D, V x, V y, V sum) const {
        const V z = hn::Sub(x, y);
        return hn::MulAdd(z, z, sum);
    }
    template <class D, class V>
    HWY_INLINE V Finish(D, V sum) const {
        return sum;
    }
    template <class D, class V>
    HWY_INLINE V Gradient(D d, V z, V) const {
        return hn::Mul(hn::Set(d, twice_factor), z);
    }
};

template <class T>
struct RootRaw : SquareRaw<T> {
    using SquareRaw<T>::SquareRaw;
    template <class D, class V>
    HWY_INLINE V Finish(D, V sum) const {
        return hn::Sqrt(sum);
    }
    template <class D, class V>
    HWY_INLINE V Gradient(D d, V z, V cost) const {
        return hn::IfThenElseZero(hn::Gt(cost, hn::Zero(d)), hn::Div(z, cost));
    }
};

// |z|^q for any q, and without a general power for the exponents that people use.
template <class D, class V, class T>
HWY_INLINE V Power(D d, V a, T q) {
    const V general = Exp2(d, hn::Mul(hn::Set(d, q), hn::Log2(d, a)));
    return hn::IfThenElseZero(hn::Gt(a, hn::Zero(d)), general);
}

enum class Exponent { three_halves, three, four, any };

template <class T, Exponent E>
struct PowerRaw {
    T p;
    explicit PowerRaw(const Tile<T>& tile) : p{tile.p} {}
    template <class D, class V>
    HWY_INLINE V Step(D d, V x, V y, V sum) const {
        const V a = hn::Abs(hn::Sub(x, y));
        if constexpr (E == Exponent::three_halves) return hn::MulAdd(a, hn::Sqrt(a), sum);
        const V square = hn::Mul(a, a);
        if constexpr (E == Exponent::three) return hn::MulAdd(square, a, sum);
        if constexpr (E == Exponent::four) return hn::MulAdd(square, square, sum);
        return hn::Add(sum, Power(d, a, p));
    }
    template <class D, class V>
    HWY_INLINE V Finish(D, V sum) const {
        return sum;
    }
    template <class D, class V>
    HWY_INLINE V Gradient(D d, V z, V) const {
        const V a = hn::Abs(z);
        if constexpr (E == Exponent::three_halves) return hn::CopySign(hn::Sqrt(a), z);
        if constexpr (E == Exponent::three) return hn::CopySign(hn::Mul(a, a), z);
        if constexpr (E == Exponent::four) return hn::Mul(z, hn::Mul(a, a));
        return hn::CopySign(Power(d, a, p - 1), z);
    }
};

// Calls use(form) with the functor of the tile's pair form.
template <class T, class Use>
HWY_INLINE void WithForm(const Tile<T>& tile, const Use& use) {
    switch (tile.form) {
        case PairForm::product:
            return use(ProductForm<T>(tile));
        case PairForm::kept:
            return use(KeptForm<T>(tile));
        case PairForm::inner:
            return use(CostForm<T, InnerRaw<T>>(tile));
        case PairForm::square:
            return use(CostForm<T, SquareRaw<T>>(tile));
        case PairForm::root:
            return use(CostForm<T, RootRaw<T>>(tile));
        case PairForm::power:
            break;
    }
    if (tile.p == T(1.5)) return use(CostForm<T, PowerRaw<T, Exponent::three_halves>>(tile));
    if (tile.p == T(3)) return use(CostForm<T, PowerRaw<T, Exponent::three>>(tile));
    if (tile.p == T(4)) return use(CostForm<T, PowerRaw<T, Exponent::four>>(tile));
    return use(CostForm<T, PowerRaw<T, Exponent::any>>(tile));
}

}  // namespace convoy::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
