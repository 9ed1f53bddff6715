#pragma once
// What both tests of the emulation start from.

#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

#include "emulation.hpp"
#include "kernels/cuda/device.hpp"

namespace convoy::cuda {

// In the backend's place.
inline void check(cudaError_t status, const char* what) {
    if (status != cudaSuccess) throw std::runtime_error{what};
}

}  // namespace convoy::cuda

namespace emulation {

// Device memory for a test.
template <class T>
class Memory {
 public:
    explicit Memory(std::size_t n) : n_{n} { EXPECT_EQ(cudaMalloc(&data_, n * sizeof(T)), cudaSuccess); }
    explicit Memory(const std::vector<T>& values) : Memory{values.size()} {
        EXPECT_EQ(cudaMemcpy(data_, values.data(), n_ * sizeof(T), cudaMemcpyHostToDevice), cudaSuccess);
    }
    ~Memory() { cudaFree(data_); }
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;
    T* get() const { return data_; }
    std::vector<T> values() const {
        std::vector<T> result(n_);
        EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
        EXPECT_EQ(cudaMemcpy(result.data(), data_, n_ * sizeof(T), cudaMemcpyDeviceToHost), cudaSuccess);
        return result;
    }

 private:
    T* data_ = nullptr;
    std::size_t n_;
};

}  // namespace emulation
