#pragma once
// What cudaLaunchKernelEx, a template of the header, hands over.

#include <functional>

#include <cuda_runtime_api.h>

namespace emulation {

cudaError_t launch(const cudaLaunchConfig_t& config, const void* kernel, std::function<void()> body);
// A pointer among a kernel's arguments; ends the program if the device cannot see where it points.
void check_argument(const void* pointer, const void* kernel);

}  // namespace emulation
