#include <algorithm>
#include <utility>

#include "emulation/block.hpp"
#include "emulation/launch.hpp"
#include "machine.hpp"
#include "memory.hpp"
#include "runtime/state.hpp"
#include "symbols.hpp"

namespace emulation {

void check_argument(const void* pointer, const void* kernel) {
    const std::lock_guard lock{state().mutex};
    if (pointer == nullptr || allocation_with(pointer)) return;
    // One past the end is where empty ranges begin.
    if (allocation_with(static_cast<const unsigned char*>(pointer) - 1)) return;
    fault("an argument of kernel %s is %s", kernel_at(kernel).name.c_str(), place_of(pointer).c_str());
}

cudaError_t launch(const cudaLaunchConfig_t& config, const void* kernel, std::function<void()> body) {
    const Call call{"cudaLaunchKernelEx"};
    if (call.fails()) return call.failure();
    Queue* const queue = queue_of(config.stream);
    if (queue == nullptr) return result(cudaErrorInvalidResourceHandle);
    const dim3& blocks = config.gridDim;
    const dim3& threads = config.blockDim;
    const std::uint64_t count = std::uint64_t{threads.x} * threads.y * threads.z;
    if (count == 0 || count > most_threads || threads.z > 64) return result(cudaErrorInvalidConfiguration);
    if (blocks.x == 0 || blocks.y == 0 || blocks.z == 0 || blocks.x > 0x7fffffffu || blocks.y > 65535 ||
        blocks.z > 65535) {
        return result(cudaErrorInvalidConfiguration);
    }
    const auto allowed = state().shared_allowed.find(kernel);
    const std::size_t most = allowed != state().shared_allowed.end() ? allowed->second : shared_without_asking;
    if (config.dynamicSmemBytes + kernel_at(kernel).shared_bytes > std::max(most, shared_without_asking)) {
        return result(cudaErrorInvalidValue);
    }
    Launch work{kernel, blocks, threads, config.dynamicSmemBytes, std::move(body)};
    state().streams.give(*queue, [work = std::move(work)] {
        need_machine().run(work);
        State& all = state();
        ++all.counters.launches;
        ++all.launches[work.kernel];
        all.counters.blocks += std::int64_t{work.blocks.x} * work.blocks.y * work.blocks.z;
        all.counters.most_shared = std::max(all.counters.most_shared, work.shared);
    });
    return cudaSuccess;
}

}  // namespace emulation

using namespace emulation;

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
    const Call call{"cudaFuncSetAttribute"};
    if (call.fails()) return call.failure();
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
    if (value < 0 || static_cast<std::size_t>(value) + kernel_at(kernel).shared_bytes > shared_of_block()) {
        return result(cudaErrorInvalidValue);
    }
    state().shared_allowed[kernel] = static_cast<std::size_t>(value) + kernel_at(kernel).shared_bytes;
    return cudaSuccess;
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* kernel) {
    const Call call{"cudaFuncGetAttributes"};
    if (call.fails()) return call.failure();
    *attributes = cudaFuncAttributes{};
    attributes->sharedSizeBytes = kernel_at(kernel).shared_bytes;
    attributes->maxThreadsPerBlock = most_threads;
    attributes->numRegs = 64;
    attributes->ptxVersion = attributes->binaryVersion = state().devices.capability;
    const auto allowed = state().shared_allowed.find(kernel);
    attributes->maxDynamicSharedSizeBytes =
        static_cast<int>(allowed != state().shared_allowed.end() ? allowed->second : shared_without_asking);
    return cudaSuccess;
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* kernel, int threads,
                                                          std::size_t shared) {
    const Call call{"cudaOccupancyMaxActiveBlocksPerMultiprocessor"};
    if (call.fails()) return call.failure();
    if (threads <= 0 || threads > static_cast<int>(most_threads)) return result(cudaErrorInvalidValue);
    const std::size_t of_block = shared + kernel_at(kernel).shared_bytes + 1024;
    const int by_shared = static_cast<int>((shared_of_block() + 1024) / of_block);
    const int by_threads = 2048 / ((threads + 31) / 32 * 32);
    const int by_registers = 65536 / (64 * ((threads + 31) / 32 * 32));
    *blocks = std::min({by_shared, by_threads, by_registers, 32});
    return cudaSuccess;
}
