#pragma once
// Of what an audit (convoy/values.hpp) is made: sizes and the backend, by arithmetic that the plan of a run shares.

#include <algorithm>
#include <cstdint>

#include "convoy/coupling.hpp"

namespace convoy::audit {

// Points of the summed side that are held in fp64 a second time. On a device, where each piece means memory asked for
// and given back, some 128 MiB of them.
inline std::int64_t piece_rows(Backend backend, std::int64_t dimension) {
    constexpr std::int64_t least = 1 << 15, most = 1 << 20, numbers = 1 << 24;
    if (backend != Backend::cuda) return least;
    return std::clamp(numbers / std::max<std::int64_t>(dimension, 1), least, most);
}

// What works on so many pairs of one rank. The device of a run on devices, unless a single core has done with them in
// about the time that opening blocks there takes; few pairs are then judged by other code than has solved the problem.
// Reference runs are audited by the CPU's kernels for the same reason, and at their speed.
inline Backend backend_for(Backend of_run, double pairs, std::int64_t dimension) {
    constexpr double worth_opening = 2e9, of_a_pair = 16;  // operations; an exponential in fp64
    const bool many = pairs * (of_a_pair + static_cast<double>(dimension)) > worth_opening;
    return of_run == Backend::cuda && many ? Backend::cuda : Backend::cpu;
}

}  // namespace convoy::audit
