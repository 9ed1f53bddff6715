#pragma once
// One multiprocessor: runs the blocks of a kernel, one after the other.

#include <cstdint>
#include <functional>

#include <cuda_runtime_api.h>

namespace emulation {

struct Launch {
    const void* kernel = nullptr;
    dim3 blocks, threads;
    std::size_t shared = 0;
    std::function<void()> body;  // what one thread does
};

constexpr std::size_t most_shared_memory = 227 * 1024;
constexpr unsigned most_threads = 1024;

void run(const Launch& launch);
void set_order_of_threads(std::uint64_t seed);

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
