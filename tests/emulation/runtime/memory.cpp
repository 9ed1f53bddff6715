#include "memory.hpp"

#include <cstring>
#include <utility>

#include "emulation/block.hpp"
#include "runtime/state.hpp"
#include "watch.hpp"

namespace emulation {

namespace {

// Rows of bytes with a pitch.
struct Rectangle {
    std::size_t width = 0, height = 1;
    std::size_t extent(std::size_t pitch) const { return height == 0 || width == 0 ? 0 : (height - 1) * pitch + width; }
};

void check_range(const void* memory, std::size_t bytes, bool on_device, const char* role) {
    const Allocation allocation = allocation_with(memory);
    const auto* const begin = static_cast<const unsigned char*>(memory);
    const bool device_memory = allocation && allocation.device != pinned_host;
    if (on_device && !device_memory) {
        fault("a copy %s %s, which is not in a device's memory", role, place_of(memory).c_str());
    }
    if (!on_device && (device_memory || (is_in_arena(memory) && !allocation))) {
        fault("a copy %s %s, which is not the host's memory", role, place_of(memory).c_str());
    }
    if (allocation && begin + bytes > allocation.begin + allocation.bytes) {
        fault("a copy of %zu bytes %s %s", bytes, role, place_of(memory).c_str());
    }
}

bool is_on_device(const void* memory) {
    const Allocation allocation = allocation_with(memory);
    return allocation && allocation.device != pinned_host;
}

cudaError_t copy(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch, Rectangle size,
                 cudaMemcpyKind kind, cudaStream_t stream, bool host_waits) {
    Queue* const queue = queue_of(stream);
    if (queue == nullptr) return cudaErrorInvalidResourceHandle;
    if (kind < cudaMemcpyHostToHost || kind > cudaMemcpyDefault) return cudaErrorInvalidMemcpyDirection;
    if (size.height > 1 && (to_pitch < size.width || from_pitch < size.width)) return cudaErrorInvalidPitchValue;
    if (size.width == 0 || size.height == 0) return cudaSuccess;
    bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if (kind == cudaMemcpyDefault) {
        to_device = is_on_device(to);
        from_device = is_on_device(from);
    }
    check_range(to, size.extent(to_pitch), to_device, "to");
    check_range(from, size.extent(from_pitch), from_device, "from");

    const Bytes target{static_cast<const unsigned char*>(to), size.extent(to_pitch)};
    const Bytes origin{static_cast<const unsigned char*>(from), size.extent(from_pitch)};
    std::vector<Bytes> host;
    if (!from_device) host.push_back(origin);
    if (!to_device) host.push_back(target);
    // Who reads the result too early finds garbage. What earlier work still needs stays.
    if (!to_device && !state().streams.touches(target)) {
        for (std::size_t row = 0; row < size.height; ++row) {
            fill_with_garbage(static_cast<unsigned char*>(to) + row * to_pitch, size.width);
        }
    }
    const auto run = [=] {
        for (std::size_t row = 0; row < size.height; ++row) {
            std::memmove(static_cast<unsigned char*>(to) + row * to_pitch,
                         static_cast<const unsigned char*>(from) + row * from_pitch, size.width);
            if (watch != nullptr && to_device) {
                watch->written_by_stream(static_cast<unsigned char*>(to) + row * to_pitch, size.width);
            }
        }
        Counters& counters = state().counters;
        const auto bytes = static_cast<std::int64_t>(size.width * size.height);
        if (to_device && from_device) counters.bytes_on_device += bytes;
        if (to_device && !from_device) counters.bytes_to_device += bytes;
        if (!to_device && from_device) counters.bytes_to_host += bytes;
    };
    const MarkPointer end = state().streams.give(*queue, run, {}, std::move(host));
    if (host_waits && !(to_device && from_device)) state().streams.reach(end);
    return cudaSuccess;
}

cudaError_t set(void* memory, std::size_t pitch, int value, Rectangle size, cudaStream_t stream) {
    Queue* const queue = queue_of(stream);
    if (queue == nullptr) return cudaErrorInvalidResourceHandle;
    if (size.width == 0 || size.height == 0) return cudaSuccess;
    check_range(memory, size.extent(pitch), true, "to");
    state().streams.give(*queue, [=] {
        for (std::size_t row = 0; row < size.height; ++row) {
            std::memset(static_cast<unsigned char*>(memory) + row * pitch, value, size.width);
            if (watch != nullptr) {
                watch->written_by_stream(static_cast<unsigned char*>(memory) + row * pitch, size.width);
            }
        }
    });
    return cudaSuccess;
}

}  // namespace

}  // namespace emulation

using namespace emulation;

cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
    const Call call{"cudaMalloc"};
    if (call.fails()) return call.failure();
    *memory = nullptr;
    if (bytes == 0) return cudaSuccess;
    const std::size_t left = state().devices.memory - memory_use(current_device).now;
    if (memory_use(current_device).now > state().devices.memory || bytes > left) {
        return result(cudaErrorMemoryAllocation);
    }
    ++state().counters.allocations;
    *memory = allocate(current_device, bytes, "cudaMalloc");
    return cudaSuccess;
}

// Waits for the device, as the real one does.
cudaError_t cudaFree(void* memory) {
    const Call call{"cudaFree"};
    if (call.fails()) return call.failure();
    if (memory == nullptr) return cudaSuccess;
    const Allocation allocation = allocation_with(memory);
    if (!allocation || allocation.begin != memory || allocation.device == pinned_host) {
        fault("cudaFree of %s", place_of(memory).c_str());
    }
    state().streams.drain_device(allocation.device);
    release(memory, allocation.device);
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void** memory, std::size_t bytes) {
    return cudaHostAlloc(memory, bytes, cudaHostAllocDefault);
}

cudaError_t cudaHostAlloc(void** memory, std::size_t bytes, unsigned) {
    const Call call{"cudaHostAlloc"};
    if (call.fails()) return call.failure();
    *memory = bytes == 0 ? nullptr : allocate(pinned_host, bytes, "cudaHostAlloc");
    return cudaSuccess;
}

cudaError_t cudaFreeHost(void* memory) {
    const Call call{"cudaFreeHost"};
    if (call.fails()) return call.failure();
    if (memory == nullptr) return cudaSuccess;
    const Allocation allocation = allocation_with(memory);
    if (!allocation || allocation.begin != memory || allocation.device != pinned_host) {
        fault("cudaFreeHost of %s", place_of(memory).c_str());
    }
    if (state().streams.touches({allocation.begin, allocation.bytes})) {
        fault("cudaFreeHost of memory that a copy still needs");
    }
    release(memory, pinned_host);
    return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* memory) {
    const Call call{"cudaPointerGetAttributes"};
    if (call.fails()) return call.failure();
    const Allocation allocation = allocation_with(memory);
    const bool host = allocation && allocation.device == pinned_host;
    attributes->type = !allocation ? cudaMemoryTypeUnregistered : host ? cudaMemoryTypeHost : cudaMemoryTypeDevice;
    attributes->device = allocation && !host ? allocation.device : 0;
    attributes->devicePointer = allocation ? const_cast<void*>(memory) : nullptr;
    attributes->hostPointer = allocation && !host ? nullptr : const_cast<void*>(memory);
    return cudaSuccess;
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
    const Call call{"cudaMemcpy"};
    if (call.fails()) return call.failure();
    return result(copy(to, bytes, from, bytes, {bytes, 1}, kind, nullptr, true));
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
    const Call call{"cudaMemcpyAsync"};
    if (call.fails()) return call.failure();
    return result(copy(to, bytes, from, bytes, {bytes, 1}, kind, stream, false));
}

cudaError_t cudaMemcpy2D(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch, std::size_t width,
                         std::size_t height, cudaMemcpyKind kind) {
    const Call call{"cudaMemcpy2D"};
    if (call.fails()) return call.failure();
    return result(copy(to, to_pitch, from, from_pitch, {width, height}, kind, nullptr, true));
}

cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                              std::size_t width, std::size_t height, cudaMemcpyKind kind, cudaStream_t stream) {
    const Call call{"cudaMemcpy2DAsync"};
    if (call.fails()) return call.failure();
    return result(copy(to, to_pitch, from, from_pitch, {width, height}, kind, stream, false));
}

cudaError_t cudaMemset(void* memory, int value, std::size_t bytes) {
    const Call call{"cudaMemset"};
    if (call.fails()) return call.failure();
    return result(set(memory, bytes, value, {bytes, 1}, nullptr));
}

cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream) {
    const Call call{"cudaMemsetAsync"};
    if (call.fails()) return call.failure();
    return result(set(memory, bytes, value, {bytes, 1}, stream));
}

cudaError_t cudaMemset2DAsync(void* memory, std::size_t pitch, int value, std::size_t width, std::size_t height,
                              cudaStream_t stream) {
    const Call call{"cudaMemset2DAsync"};
    if (call.fails()) return call.failure();
    return result(set(memory, pitch, value, {width, height}, stream));
}
