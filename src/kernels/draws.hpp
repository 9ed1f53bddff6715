#pragma once
// The random numbers of draws, counter-based: a function of the seed and of whom they are for, nothing else. constexpr,
// so that kernels on devices call the same.

#include <cstdint>

namespace convoy::kernels {

// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection of 64 bits that mixes well.
constexpr std::uint64_t mixed(std::uint64_t z) {
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

// What all pairs of one staying point share, and all draws of one pair. `columns_stay`: the draw is from a column of
// the plan.
constexpr std::uint64_t state_of_point(std::uint64_t seed, bool columns_stay, std::int64_t stays) {
    return mixed(mixed(seed * 2 + (columns_stay ? 1 : 0)) ^ static_cast<std::uint64_t>(stays));
}
constexpr std::uint64_t state_of_pair(std::uint64_t of_point, std::int64_t summed) {
    return mixed(of_point ^ static_cast<std::uint64_t>(summed));
}
constexpr std::uint64_t bits_of_draw(std::uint64_t of_pair, std::int64_t draw) {
    return mixed(of_pair ^ static_cast<std::uint64_t>(draw));
}

// In (0, 1), both ends excluded: halves of the last bit are rounded, the very last of them not to 1.
constexpr double uniform_of_bits(std::uint64_t bits) {
    const double u = (static_cast<double>(bits >> 11) + 0.5) * 0x1p-53;
    return u < 1 ? u : 0x1.fffffffffffffp-1;
}

constexpr double uniform(std::uint64_t seed, bool columns_stay, std::int64_t stays, std::int64_t summed,
                         std::int64_t draw) {
    return uniform_of_bits(bits_of_draw(state_of_pair(state_of_point(seed, columns_stay, stays), summed), draw));
}

}  // namespace convoy::kernels
