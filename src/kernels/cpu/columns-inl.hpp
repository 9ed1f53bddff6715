// Column by column through a tile: the logits of each summed point against the panel, computed in registers. Included
// once per instruction set.

#if defined(CONVOY_CPU_COLUMNS_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVOY_CPU_COLUMNS_INL_HPP
#undef CONVOY_CPU_COLUMNS_INL_HPP
#else
#define CONVOY_CPU_COLUMNS_INL_HPP
#endif

#include <algorithm>

#include "hwy/highway.h"
#include "kernels/cpu/forms-inl.hpp"
#include "kernels/cpu/tile.hpp"

HWY_BEFORE_NAMESPACE();
namespace convoy::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class T>
using Tag = hn::ScalableTag<T>;

// A panel is two vectors of points wide.
template <class T>
HWY_INLINE std::int64_t PanelRows() {
    return 2 * static_cast<std::int64_t>(hn::Lanes(Tag<T>()));
}

// The logits of `Columns` summed points (from column j on) against the panel: a register block of 2 x Columns
// accumulators, each coordinate of x loaded once for all of them. Dim: the dimension if known at compile time, else 0.
template <int Dim, int Columns, class T, class Form, class Use>
HWY_INLINE void RegisterBlock(const Form& form, const Tile<T>& tile, std::int64_t j, const Use& use) {
    const Tag<T> d;
    using V = hn::Vec<Tag<T>>;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    const std::int64_t dimension = Dim > 0 ? Dim : tile.dimension;
    const T* HWY_RESTRICT y = tile.y + j * dimension;
    V low[Columns], high[Columns];
    for (int c = 0; c < Columns; ++c) low[c] = high[c] = form.template Start<Dim>(d, tile.g[j + c]);
    const auto add_coordinates = [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
        for (std::int64_t k = begin; k < end; ++k) {
            const V x_low = hn::Load(d, tile.x + k * 2 * lanes);
            const V x_high = hn::Load(d, tile.x + k * 2 * lanes + lanes);
            for (int c = 0; c < Columns; ++c) {
                const V y_k = hn::Set(d, y[c * dimension + k]);
                low[c] = form.Step(d, x_low, y_k, low[c]);
                high[c] = form.Step(d, x_high, y_k, high[c]);
            }
        }
    };
    if constexpr (Dim > 0) {
        add_coordinates(0, Dim);
    } else {
        // Long sums in parts, so that rounding errors stay those of short ones.
        constexpr std::int64_t part = 256;
        add_coordinates(0, std::min(part, dimension));
        for (std::int64_t begin = part; begin < dimension; begin += part) {
            V low_before[Columns], high_before[Columns];
            for (int c = 0; c < Columns; ++c) {
                low_before[c] = low[c];
                high_before[c] = high[c];
                low[c] = high[c] = hn::Zero(d);
            }
            add_coordinates(begin, std::min(begin + part, dimension));
            for (int c = 0; c < Columns; ++c) {
                low[c] = hn::Add(low[c], low_before[c]);
                high[c] = hn::Add(high[c], high_before[c]);
            }
        }
    }
    const V f_low = hn::Load(d, tile.f), f_high = hn::Load(d, tile.f + lanes);
    for (int c = 0; c < Columns; ++c) {
        use(j + c, form.template Logit<Dim>(d, low[c], f_low, tile.g[j + c]),
            form.template Logit<Dim>(d, high[c], f_high, tile.g[j + c]), low[c], high[c]);
    }
}

// The same for products that are kept: a register block is loaded, not computed.
template <int Columns, class T, class Use>
HWY_INLINE void KeptBlock(const KeptForm<T>& form, const Tile<T>& tile, std::int64_t j, const Use& use) {
    const Tag<T> d;
    using V = hn::Vec<Tag<T>>;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    const T* HWY_RESTRICT products = tile.products + j * 2 * lanes;
    const V f_low = hn::Load(d, tile.f), f_high = hn::Load(d, tile.f + lanes);
    for (int c = 0; c < Columns; ++c) {
        const V low = hn::Load(d, products + c * 2 * lanes), high = hn::Load(d, products + c * 2 * lanes + lanes);
        use(j + c, form.template Logit<0>(d, low, f_low, tile.g[j + c]),
            form.template Logit<0>(d, high, f_high, tile.g[j + c]), low, high);
    }
}

template <int Dim, class T, class Use>
HWY_INLINE void ForEachColumn(const KeptForm<T>& form, const Tile<T>& tile, const Use& use) {
    std::int64_t j = 0;
    for (; j + 2 <= tile.columns; j += 2) KeptBlock<2>(form, tile, j, use);
    for (; j < tile.columns; ++j) KeptBlock<1>(form, tile, j, use);
}

// Calls use(j, logit, logit, raw, raw) for every summed point of the tile.
template <int Dim, class T, class Form, class Use>
HWY_INLINE void ForEachColumn(const Form& form, const Tile<T>& tile, const Use& use) {
    // Known dimensions keep all of x in registers; two columns at a time hide the latency of the exponential.
    constexpr int block = Dim > 0 ? 2 : 6;
    std::int64_t j = 0;
    for (; j + block <= tile.columns; j += block) RegisterBlock<Dim, block>(form, tile, j, use);
    for (; j < tile.columns; ++j) RegisterBlock<Dim, 1>(form, tile, j, use);
}

}  // namespace convoy::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
