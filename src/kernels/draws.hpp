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

// In (0, 1), both ends excluded. `columns_stay`: the draw is from a column of the plan.
constexpr double uniform(std::uint64_t seed, bool columns_stay, std::int64_t stays, std::int64_t summed,
                         std::int64_t draw) {
    std::uint64_t z = mixed(seed * 2 + (columns_stay ? 1 : 0));
    z = mixed(z ^ static_cast<std::uint64_t>(stays));
    z = mixed(z ^ static_cast<std::uint64_t>(summed));
    z = mixed(z ^ static_cast<std::uint64_t>(draw));
    return (static_cast<double>(z >> 11) + 0.5) * 0x1p-53;
}

}  // namespace convoy::kernels
