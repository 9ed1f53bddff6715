#pragma once
// CUDA C++ for a compiler that knows none of it: its keywords, a kernel's launch, and what kernels may call.
//
// A static __shared__ variable is a static one: blocks run one after the other. `extern __shared__` cannot be had;
// kernels get dynamic shared memory from kernels/cuda/instructions.hpp.

#include <cuda_runtime_api.h>

#include <tuple>
#include <type_traits>
#include <utility>

#include "emulation/arithmetic.hpp"
#include "emulation/atomics.hpp"
#include "emulation/block.hpp"
#include "emulation/launch.hpp"
#include "emulation/warp.hpp"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __shared__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __align__(n) __attribute__((aligned(n)))
#define __launch_bounds__(...)

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
    const auto address = reinterpret_cast<const void*>(kernel);
    std::tuple<std::decay_t<Parameters>...> kept{std::forward<Arguments>(arguments)...};
    const auto check = [address](const auto& argument) {
        if constexpr (std::is_pointer_v<std::decay_t<decltype(argument)>>) emulation::check_argument(argument, address);
    };
    std::apply([&](const auto&... argument) { (check(argument), ...); }, kept);
    return emulation::launch(*config, address, [kernel, kept = std::move(kept)] { std::apply(kernel, kept); });
}

// With types, as the CUDA headers have them for C++.
template <class T>
cudaError_t cudaMalloc(T** memory, std::size_t bytes) {
    return cudaMalloc(reinterpret_cast<void**>(memory), bytes);
}
template <class T>
cudaError_t cudaMallocHost(T** memory, std::size_t bytes) {
    return cudaMallocHost(reinterpret_cast<void**>(memory), bytes);
}
template <class T>
cudaError_t cudaHostAlloc(T** memory, std::size_t bytes, unsigned flags) {
    return cudaHostAlloc(reinterpret_cast<void**>(memory), bytes, flags);
}
template <class... Parameters>
cudaError_t cudaFuncSetAttribute(void (*kernel)(Parameters...), cudaFuncAttribute attribute, int value) {
    return cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), attribute, value);
}
template <class... Parameters>
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, void (*kernel)(Parameters...)) {
    return cudaFuncGetAttributes(attributes, reinterpret_cast<const void*>(kernel));
}
template <class... Parameters>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, void (*kernel)(Parameters...), int threads,
                                                          std::size_t shared) {
    return cudaOccupancyMaxActiveBlocksPerMultiprocessor(blocks, reinterpret_cast<const void*>(kernel), threads,
                                                         shared);
}
template <class T>
cudaError_t cudaMemcpyToSymbol(T& symbol, const void* from, std::size_t bytes) {
    if (bytes > sizeof symbol) return cudaErrorInvalidValue;
    const cudaError_t error = cudaDeviceSynchronize();
    if (error == cudaSuccess) __builtin_memcpy(&symbol, from, bytes);
    return error;
}
