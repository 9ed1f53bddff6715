// See tile.hpp. Everything between HWY_BEFORE_NAMESPACE and HWY_AFTER_NAMESPACE is compiled once per instruction set.

#include "kernels/cpu/tile.hpp"

#include <algorithm>

#include "kernels/cpu/targets.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/tile.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "hwy/cache_control.h"
#include "hwy/highway.h"
#include "kernels/cpu/columns-inl.hpp"
#include "kernels/cpu/exp2-inl.hpp"
#include "kernels/cpu/forms-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace convoy::cpu::HWY_NAMESPACE {

template <int Dim, class T, class Form>
HWY_NOINLINE void AddSumsOf(const Form& form, const Tile<T>& tile, double* sums) {
    const Tag<T> d;
    using V = hn::Vec<Tag<T>>;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    V low = hn::Zero(d), high = hn::Zero(d);
    ForEachColumn<Dim>(form, tile, [&](std::int64_t j, V t_low, V t_high, V, V) HWY_ATTR {
        const V w = hn::Set(d, tile.w[j]);
        V terms[2] = {t_low, t_high};
        Exp2InPlace(d, terms);
        low = hn::MulAdd(w, terms[0], low);
        high = hn::MulAdd(w, terms[1], high);
    });
    HWY_ALIGN T buffer[HWY_MAX_BYTES / sizeof(T) * 2];
    hn::Store(low, d, buffer);
    hn::Store(high, d, buffer + lanes);
    for (std::int64_t lane = 0; lane < 2 * lanes; ++lane) sums[lane] += static_cast<double>(buffer[lane]);
}

template <class T>
void AddSumsOfForm(const KeptForm<T>& form, const Tile<T>& tile, double* sums) {
    AddSumsOf<0>(form, tile, sums);
}

template <class T, class Form>
void AddSumsOfForm(const Form& form, const Tile<T>& tile, double* sums) {
    switch (tile.dimension) {
        case 1:
            return AddSumsOf<1>(form, tile, sums);
        case 2:
            return AddSumsOf<2>(form, tile, sums);
        case 3:
            return AddSumsOf<3>(form, tile, sums);
        case 4:
            return AddSumsOf<4>(form, tile, sums);
        case 5:
            return AddSumsOf<5>(form, tile, sums);
        case 6:
            return AddSumsOf<6>(form, tile, sums);
        case 7:
            return AddSumsOf<7>(form, tile, sums);
        case 8:
            return AddSumsOf<8>(form, tile, sums);
        default:
            return AddSumsOf<0>(form, tile, sums);
    }
}

template <class T>
void AddSums(const Tile<T>& tile, double* sums) {
    WithForm(tile, [&](const auto& form) HWY_ATTR { AddSumsOfForm(form, tile, sums); });
}

template <class T>
void Products(const Tile<T>& tile, T* products) {
    const Tag<T> d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    ForEachColumn<0>(ProductForm<T>(tile), tile, [&](std::int64_t j, auto, auto, auto low, auto high) HWY_ATTR {
        hn::Store(low, d, products + j * 2 * lanes);
        hn::Store(high, d, products + j * 2 * lanes + lanes);
    });
}

// The terms of one column and one panel, added to the column's parts.
template <class T, class V>
HWY_INLINE void AddToParts(V low, V high, V w_low, V w_high, T* HWY_RESTRICT parts) {
    const Tag<T> d;
    constexpr std::int64_t lanes = hn::MaxLanes(Tag<T>());
    if constexpr (lanes == row_parts) {
        hn::Store(hn::MulAdd(w_high, high, hn::MulAdd(w_low, low, hn::Load(d, parts))), d, parts);
    } else {
        hn::Store(hn::MulAdd(w_low, low, hn::Load(d, parts)), d, parts);
        hn::Store(hn::MulAdd(w_high, high, hn::Load(d, parts + lanes)), d, parts + lanes);
    }
}

template <class T>
void AddColumnSums(const KeptColumns<T>& tile, T* HWY_RESTRICT sums) {
    const Tag<T> d;
    using V = hn::Vec<Tag<T>>;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    const std::int64_t panel = 2 * lanes;
    const V unit = hn::Set(d, tile.unit);
    for (std::int64_t q = 0; q < tile.panels; ++q) {
        const T* HWY_RESTRICT products = tile.products + q * tile.panel_stride;
        const V f_low = hn::Load(d, tile.f + q * panel), f_high = hn::Load(d, tile.f + q * panel + lanes);
        const V w_low = hn::Load(d, tile.w + q * panel), w_high = hn::Load(d, tile.w + q * panel + lanes);
        T* const parts = sums + q * panel % row_parts;
        // The processor's own prefetching loses the thread at the end of every panel: a page ahead. Past the last one
        // this reads nothing, since prefetches cannot fail.
        const T* const soon = products + 4096 / sizeof(T);
        for (std::int64_t j = 0; j < tile.columns; ++j) {
            const V g = hn::Set(d, tile.g[j]);
            hwy::Prefetch(soon + j * panel);
            hwy::Prefetch(soon + j * panel + lanes);
            const V low = hn::Load(d, products + j * panel), high = hn::Load(d, products + j * panel + lanes);
            V terms[2] = {hn::MulAdd(unit, low, hn::Add(f_low, g)), hn::MulAdd(unit, high, hn::Add(f_high, g))};
            Exp2InPlace(d, terms);
            AddToParts<T>(terms[0], terms[1], w_low, w_high, parts + j * row_parts);
        }
    }
}

template <class T>
void Logits(const Tile<T>& tile, const CostOffsets<T>& offsets, T* logits, T* costs) {
    const Tag<T> d;
    using V = hn::Vec<Tag<T>>;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    WithForm(tile, [&](const auto& form) HWY_ATTR {
        if (costs == nullptr) {
            ForEachColumn<0>(form, tile, [&](std::int64_t j, V t_low, V t_high, V, V) HWY_ATTR {
                hn::Store(t_low, d, logits + j * 2 * lanes);
                hn::Store(t_high, d, logits + j * 2 * lanes + lanes);
            });
            return;
        }
        const V row_low = hn::Load(d, offsets.row), row_high = hn::Load(d, offsets.row + lanes);
        ForEachColumn<0>(form, tile, [&](std::int64_t j, V t_low, V t_high, V raw_low, V raw_high) HWY_ATTR {
            hn::Store(t_low, d, logits + j * 2 * lanes);
            hn::Store(t_high, d, logits + j * 2 * lanes + lanes);
            const V column = hn::Set(d, offsets.column[j]);
            hn::Store(hn::Add(form.Cost(d, raw_low), hn::Add(row_low, column)), d, costs + j * 2 * lanes);
            hn::Store(hn::Add(form.Cost(d, raw_high), hn::Add(row_high, column)), d, costs + j * 2 * lanes + lanes);
        });
    });
}

template <class T>
void RaiseMaximum(const T* logits, std::int64_t columns, T* maximum, T* rescale) {
    const Tag<T> d;
    using V = hn::Vec<Tag<T>>;
    const std::int64_t panel = PanelRows<T>();
    for (std::int64_t lane = 0; lane < panel; lane += static_cast<std::int64_t>(hn::Lanes(d))) {
        const V old = hn::Load(d, maximum + lane);
        V largest = old;
        for (std::int64_t j = 0; j < columns; ++j) largest = hn::Max(largest, hn::Load(d, logits + j * panel + lane));
        hn::Store(largest, d, maximum + lane);
        hn::Store(Exp2(d, hn::Sub(old, largest)), d, rescale + lane);
    }
}

template <class T>
void Exponentials(T* logits, std::int64_t columns, const T* w, const T* shift, double* sums) {
    const Tag<T> d;
    using V = hn::Vec<Tag<T>>;
    const std::int64_t panel = PanelRows<T>();
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    HWY_ALIGN T buffer[HWY_MAX_BYTES / sizeof(T)];
    for (std::int64_t lane = 0; lane < panel; lane += lanes) {
        const V m = hn::Load(d, shift + lane);
        V sum = hn::Zero(d);
        for (std::int64_t j = 0; j < columns; ++j) {
            T* at = logits + j * panel + lane;
            const V term = hn::Mul(hn::Set(d, w[j]), Exp2(d, hn::Sub(hn::Load(d, at), m)));
            hn::Store(term, d, at);
            sum = hn::Add(sum, term);
        }
        hn::Store(sum, d, buffer);
        for (std::int64_t i = 0; i < lanes; ++i) sums[lane + i] += static_cast<double>(buffer[i]);
    }
}

// A register block of 2 x Width sums over the tile's points: a small matrix product.
template <int Width, class T>
HWY_INLINE void ColumnsBlock(const T* HWY_RESTRICT terms, std::int64_t columns, const T* HWY_RESTRICT v,
                             std::int64_t width, double* HWY_RESTRICT values) {
    const Tag<T> d;
    using V = hn::Vec<Tag<T>>;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    V low[Width], high[Width];
    for (int k = 0; k < Width; ++k) low[k] = high[k] = hn::Zero(d);
    for (std::int64_t j = 0; j < columns; ++j) {
        const V p_low = hn::Load(d, terms + j * 2 * lanes), p_high = hn::Load(d, terms + j * 2 * lanes + lanes);
        for (int k = 0; k < Width; ++k) {
            const V v_k = hn::Set(d, v[j * width + k]);
            low[k] = hn::MulAdd(p_low, v_k, low[k]);
            high[k] = hn::MulAdd(p_high, v_k, high[k]);
        }
    }
    HWY_ALIGN T buffer[HWY_MAX_BYTES / sizeof(T) * 2];
    for (int k = 0; k < Width; ++k) {
        hn::Store(low[k], d, buffer);
        hn::Store(high[k], d, buffer + lanes);
        for (std::int64_t i = 0; i < 2 * lanes; ++i) values[k * 2 * lanes + i] += static_cast<double>(buffer[i]);
    }
}

template <class T>
void AddColumns(const T* terms, std::int64_t columns, const T* v, std::int64_t width, double* values) {
    const std::int64_t panel = PanelRows<T>();
    std::int64_t k = 0;
    for (; k + 6 <= width; k += 6) ColumnsBlock<6>(terms, columns, v + k, width, values + k * panel);
    for (; k < width; ++k) ColumnsBlock<1>(terms, columns, v + k, width, values + k * panel);
}

template <class T>
std::int64_t CountLarge(const T* terms, std::int64_t columns, const T* limits) {
    const Tag<T> d;
    using V = hn::Vec<Tag<T>>;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    const V low = hn::Load(d, limits), high = hn::Load(d, limits + lanes);
    std::size_t count = 0;
    for (std::int64_t j = 0; j < columns; ++j) {
        count += hn::CountTrue(d, hn::Gt(hn::Load(d, terms + j * 2 * lanes), low));
        count += hn::CountTrue(d, hn::Gt(hn::Load(d, terms + j * 2 * lanes + lanes), high));
    }
    return static_cast<std::int64_t>(count);
}

// The large terms are few: each takes its row of v by itself.
template <class T>
void AddLargeColumns(const T* HWY_RESTRICT terms, std::int64_t columns, const T* HWY_RESTRICT limits,
                     const T* HWY_RESTRICT v, std::int64_t width, double* HWY_RESTRICT large,
                     double* HWY_RESTRICT dropped) {
    const Tag<T> d;
    using V = hn::Vec<Tag<T>>;
    const std::int64_t panel = PanelRows<T>();
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    HWY_ALIGN T buffer[HWY_MAX_BYTES / sizeof(T)];
    for (std::int64_t lane = 0; lane < panel; lane += lanes) {
        const V limit = hn::Load(d, limits + lane);
        V left_out = hn::Zero(d);
        for (std::int64_t j = 0; j < columns; ++j) {
            const V term = hn::Load(d, terms + j * panel + lane);
            const auto is_large = hn::Gt(term, limit);
            left_out = hn::Add(left_out, hn::IfThenZeroElse(is_large, term));
            if (hn::AllFalse(d, is_large)) continue;
            for (std::int64_t i = lane; i < lane + lanes; ++i) {
                const T weight = terms[j * panel + i];
                if (!(weight > limits[i])) continue;
                double* const sums = large + i * width;
                for (std::int64_t k = 0; k < width; ++k)
                    sums[k] += static_cast<double>(weight) * static_cast<double>(v[j * width + k]);
            }
        }
        hn::Store(left_out, d, buffer);
        for (std::int64_t i = 0; i < lanes; ++i) dropped[lane + i] += static_cast<double>(buffer[i]);
    }
}

// values[lane] += sum_j terms first, values[P + lane] += sum_j terms second(first, at).
template <class T, class Second>
HWY_INLINE void AddPair(const T* terms, const T* first, std::int64_t columns, double* values, const Second& second) {
    const Tag<T> d;
    using V = hn::Vec<Tag<T>>;
    const std::int64_t panel = PanelRows<T>();
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    HWY_ALIGN T buffer[HWY_MAX_BYTES / sizeof(T) * 2];
    for (std::int64_t lane = 0; lane < panel; lane += lanes) {
        V sum = hn::Zero(d), second_sum = hn::Zero(d);
        for (std::int64_t j = 0; j < columns; ++j) {
            const std::int64_t at = j * panel + lane;
            const V p = hn::Load(d, terms + at);
            const V c = hn::Load(d, first + at);
            sum = hn::MulAdd(p, c, sum);
            second_sum = hn::MulAdd(p, second(c, at), second_sum);
        }
        hn::Store(sum, d, buffer);
        hn::Store(second_sum, d, buffer + lanes);
        for (std::int64_t i = 0; i < lanes; ++i) {
            values[lane + i] += static_cast<double>(buffer[i]);
            values[panel + lane + i] += static_cast<double>(buffer[lanes + i]);
        }
    }
}

template <class T>
void AddCosts(const T* terms, const T* costs, std::int64_t columns, double* values) {
    AddPair(terms, costs, columns, values, [](auto c, std::int64_t) HWY_ATTR { return hn::Mul(c, c); });
}

template <class T>
void AddValues(const T* terms, const T* costs, const T* densities, std::int64_t columns, double* values) {
    const Tag<T> d;
    AddPair(terms, costs, columns, values, [&](auto, std::int64_t at) HWY_ATTR { return hn::Load(d, densities + at); });
}

template <class T>
void Densities(const T* logits, std::int64_t columns, const T* row, const T* column, T* densities) {
    const Tag<T> d;
    const std::int64_t panel = PanelRows<T>();
    for (std::int64_t j = 0; j < columns; ++j) {
        for (std::int64_t lane = 0; lane < panel; lane += static_cast<std::int64_t>(hn::Lanes(d))) {
            const auto own = hn::Add(hn::Load(d, row + lane), hn::Set(d, column[j]));
            hn::Store(hn::Add(hn::Load(d, logits + j * panel + lane), own), d, densities + j * panel + lane);
        }
    }
}

template <class T>
void AddGradients(const Tile<T>& tile, const T* terms, const T* costs, double* values) {
    const Tag<T> d;
    using V = hn::Vec<Tag<T>>;
    const std::int64_t panel = PanelRows<T>();
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    HWY_ALIGN T buffer[HWY_MAX_BYTES / sizeof(T)];
    WithForm(tile, [&](const auto& form) HWY_ATTR {
        for (std::int64_t k = 0; k < tile.dimension; ++k) {
            for (std::int64_t lane = 0; lane < panel; lane += lanes) {
                const V x = hn::Load(d, tile.x + k * panel + lane);
                V sum = hn::Zero(d);
                for (std::int64_t j = 0; j < tile.columns; ++j) {
                    const V z = hn::Sub(x, hn::Set(d, tile.y[j * tile.dimension + k]));
                    const std::int64_t at = j * panel + lane;
                    sum = hn::MulAdd(hn::Load(d, terms + at), form.Gradient(d, z, hn::Load(d, costs + at)), sum);
                }
                hn::Store(sum, d, buffer);
                for (std::int64_t i = 0; i < lanes; ++i) values[k * panel + lane + i] += static_cast<double>(buffer[i]);
            }
        }
    });
}

template <class T>
const TileKernels<T>* Kernels() {
    static const TileKernels<T> kernels{hwy::TargetName(HWY_TARGET),
                                        PanelRows<T>(),
                                        AddSums<T>,
                                        Products<T>,
                                        AddColumnSums<T>,
                                        Logits<T>,
                                        RaiseMaximum<T>,
                                        Exponentials<T>,
                                        AddColumns<T>,
                                        CountLarge<T>,
                                        AddLargeColumns<T>,
                                        AddCosts<T>,
                                        AddValues<T>,
                                        Densities<T>,
                                        AddGradients<T>};
    return &kernels;
}

const TileKernels<float>* KernelsSingle() {
    return Kernels<float>();
}
const TileKernels<double>* KernelsDouble() {
    return Kernels<double>();
}

template <class T>
void Exp2Array(const T* t, T* out, std::int64_t n) {
    const hn::CappedTag<T, 1> d;
    for (std::int64_t i = 0; i < n; ++i) hn::Store(Exp2(d, hn::Load(d, t + i)), d, out + i);
}
void Exp2ArraySingle(const float* t, float* out, std::int64_t n) {
    Exp2Array(t, out, n);
}
void Exp2ArrayDouble(const double* t, double* out, std::int64_t n) {
    Exp2Array(t, out, n);
}

}  // namespace convoy::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::cpu {

HWY_EXPORT(KernelsSingle);
HWY_EXPORT(KernelsDouble);
HWY_EXPORT(Exp2ArraySingle);
HWY_EXPORT(Exp2ArrayDouble);

template <>
const TileKernels<float>& tile_kernels() {
    return *HWY_DYNAMIC_DISPATCH(KernelsSingle)();
}
template <>
const TileKernels<double>& tile_kernels() {
    return *HWY_DYNAMIC_DISPATCH(KernelsDouble)();
}

void exp2_for_tests(const float* t, float* out, std::int64_t n) {
    HWY_DYNAMIC_DISPATCH(Exp2ArraySingle)(t, out, n);
}
void exp2_for_tests(const double* t, double* out, std::int64_t n) {
    HWY_DYNAMIC_DISPATCH(Exp2ArrayDouble)(t, out, n);
}

}  // namespace convoy::cpu
#endif
