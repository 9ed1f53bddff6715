#pragma once

#include <cstdint>

namespace emulation {

// A cheap source of chance.
class Chance {
 public:
    explicit Chance(std::uint64_t seed) : state_{seed * 0x9e3779b97f4a7c15u + 0x2545f4914f6cdd1du} {}
    std::uint32_t below(std::uint32_t n) {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 7;
        state_ ^= state_ << 17;
        return static_cast<std::uint32_t>(((state_ >> 32) * n) >> 32);
    }

 private:
    std::uint64_t state_;
};

}  // namespace emulation
