#pragma once
// Barriers, votes, shuffles and reductions.

#include <cstring>

#include "emulation/block.hpp"

namespace emulation {

// What a lane gives to a shuffle, and gets.
template <class T>
struct Shuffled {
    T value, result;
    int from;
};

// A lane that is not there has nothing to give: the result is garbage then.
template <class T>
T shuffle(const char* what, unsigned mask, T value, int from, Place place) {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8);
    Shuffled<T> mine{value, {}, from};
    warp_collective(
        what, mask, &mine,
        [](void* const* lanes) {
            for (int l = 0; l < 32; ++l) {
                if (lanes[l] == nullptr) continue;
                auto& to = *static_cast<Shuffled<T>*>(lanes[l]);
                const auto* const source = static_cast<const Shuffled<T>*>(lanes[to.from]);
                if (source != nullptr) {
                    to.result = source->value;
                } else {
                    fill_with_garbage(static_cast<void*>(&to.result), sizeof(T));
                }
            }
        },
        place);
    return mine.result;
}

inline void check_width(int width) {
    if (width <= 0 || width > 32 || (width & (width - 1)) != 0) fault("a shuffle of width %d", width);
}

// Every lane of the mask gets `combine` of all lanes' values.
template <class T, class Combine>
T reduce_over_lanes(const char* what, unsigned mask, T value, Combine, Place place) {
    warp_collective(
        what, mask, &value,
        [](void* const* lanes) {
            T total{};
            bool first = true;
            for (int l = 0; l < 32; ++l) {
                if (lanes[l] == nullptr) continue;
                const T mine = *static_cast<const T*>(lanes[l]);
                total = first ? mine : Combine{}(total, mine);
                first = false;
            }
            for (int l = 0; l < 32; ++l) {
                if (lanes[l] != nullptr) *static_cast<T*>(lanes[l]) = total;
            }
        },
        place);
    return value;
}

inline unsigned ballot(const char* what, unsigned mask, bool predicate, Place place) {
    const auto combine = [](unsigned a, unsigned b) { return a | b; };
    return reduce_over_lanes(what, mask, predicate ? 1u << lane_of_warp : 0u, combine, place);
}

}  // namespace emulation

// --- The block ------------------------------------------------------------------------------------------------------

inline void __syncthreads(emulation::Place place = emulation::Place::current()) {
    emulation::block_barrier(false, place);
}
inline int __syncthreads_count(int predicate, emulation::Place place = emulation::Place::current()) {
    return emulation::block_barrier(predicate != 0, place);
}
inline int __syncthreads_or(int predicate, emulation::Place place = emulation::Place::current()) {
    return emulation::block_barrier(predicate != 0, place) > 0;
}
inline int __syncthreads_and(int predicate, emulation::Place place = emulation::Place::current()) {
    return emulation::block_barrier(predicate == 0, place) == 0;
}

// Threads take turns at barriers only, so writes of one are seen by all.
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}

// --- The warp -------------------------------------------------------------------------------------------------------

inline void __syncwarp(unsigned mask = emulation::whole_warp, emulation::Place place = emulation::Place::current()) {
    emulation::warp_barrier(mask, place);
}
inline unsigned __activemask() {
    return emulation::lanes_alive();
}
inline unsigned __ballot_sync(unsigned mask, int predicate, emulation::Place place = emulation::Place::current()) {
    return emulation::ballot("__ballot_sync", mask, predicate != 0, place);
}
inline int __any_sync(unsigned mask, int predicate, emulation::Place place = emulation::Place::current()) {
    return emulation::ballot("__any_sync", mask, predicate != 0, place) != 0;
}
inline int __all_sync(unsigned mask, int predicate, emulation::Place place = emulation::Place::current()) {
    return emulation::ballot("__all_sync", mask, predicate == 0, place) == 0;
}

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32,
              emulation::Place place = emulation::Place::current()) {
    emulation::check_width(width);
    const int first = emulation::lane_of_warp & ~(width - 1);
    return emulation::shuffle("__shfl_sync", mask, value, first + (source & (width - 1)), place);
}
// Lanes whose source lies outside of their part of the warp keep their own value.
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 emulation::Place place = emulation::Place::current()) {
    emulation::check_width(width);
    const int lane = emulation::lane_of_warp, first = lane & ~(width - 1);
    const int source = lane - static_cast<int>(delta);
    return emulation::shuffle("__shfl_up_sync", mask, value, source >= first ? source : lane, place);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   emulation::Place place = emulation::Place::current()) {
    emulation::check_width(width);
    const int lane = emulation::lane_of_warp, first = lane & ~(width - 1);
    const int source = lane + static_cast<int>(delta);
    return emulation::shuffle("__shfl_down_sync", mask, value, source < first + width ? source : lane, place);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32,
                  emulation::Place place = emulation::Place::current()) {
    emulation::check_width(width);
    const int lane = emulation::lane_of_warp, first = lane & ~(width - 1);
    const int source = lane ^ lane_mask;
    return emulation::shuffle("__shfl_xor_sync", mask, value, source < first + width ? source & 31 : lane, place);
}

// 32-bit integers only, as on the device.
inline int __reduce_add_sync(unsigned mask, int value, emulation::Place place = emulation::Place::current()) {
    const auto add = [](int a, int b) { return a + b; };
    return emulation::reduce_over_lanes("__reduce_add_sync", mask, value, add, place);
}
inline unsigned __reduce_add_sync(unsigned mask, unsigned value, emulation::Place place = emulation::Place::current()) {
    const auto add = [](unsigned a, unsigned b) { return a + b; };
    return emulation::reduce_over_lanes("__reduce_add_sync", mask, value, add, place);
}
inline int __reduce_max_sync(unsigned mask, int value, emulation::Place place = emulation::Place::current()) {
    const auto larger = [](int a, int b) { return a < b ? b : a; };
    return emulation::reduce_over_lanes("__reduce_max_sync", mask, value, larger, place);
}
inline unsigned __reduce_max_sync(unsigned mask, unsigned value, emulation::Place place = emulation::Place::current()) {
    const auto larger = [](unsigned a, unsigned b) { return a < b ? b : a; };
    return emulation::reduce_over_lanes("__reduce_max_sync", mask, value, larger, place);
}
inline int __reduce_min_sync(unsigned mask, int value, emulation::Place place = emulation::Place::current()) {
    const auto smaller = [](int a, int b) { return b < a ? b : a; };
    return emulation::reduce_over_lanes("__reduce_min_sync", mask, value, smaller, place);
}
inline unsigned __reduce_min_sync(unsigned mask, unsigned value, emulation::Place place = emulation::Place::current()) {
    const auto smaller = [](unsigned a, unsigned b) { return b < a ? b : a; };
    return emulation::reduce_over_lanes("__reduce_min_sync", mask, value, smaller, place);
}
