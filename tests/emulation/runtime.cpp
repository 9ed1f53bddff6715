// The runtime's functions: they look at what they are given, and pass it on to memory, streams and the machine.
#include "emulation/launch.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "emulation.hpp"
#include "emulation/block.hpp"
#include "machine.hpp"
#include "memory.hpp"
#include "streams.hpp"
#include "symbols.hpp"
#include "watch.hpp"

namespace emulation {

namespace {

constexpr std::size_t shared_without_asking = 48 * 1024;

struct Event {
    MarkPointer mark;  // of the last record
    bool timed = true;
};

struct State {
    std::recursive_mutex mutex;
    Devices devices;
    AllStreams streams;
    std::vector<Event*> events;
    std::map<const void*, std::size_t> shared_allowed;  // of kernels that asked for more
    std::map<const void*, std::int64_t> launches;
    Counters counters;
    std::int64_t calls_until_failure = 0;  // 0: none
    cudaError_t failure = cudaSuccess;
    std::string failing_function;
    cudaError_t broken = cudaSuccess;  // what all calls return from now on

    State();
};

std::uint64_t number_in_environment(const char* name, std::uint64_t otherwise) {
    const char* const words = std::getenv(name);
    return words != nullptr && *words != '\0' ? std::strtoull(words, nullptr, 10) : otherwise;
}

State::State() {
    devices.count = static_cast<int>(number_in_environment("CONVOY_EMULATED_DEVICES", 1));
    devices.memory = number_in_environment("CONVOY_EMULATED_MEMORY", devices.memory);
    devices.capability = static_cast<int>(number_in_environment("CONVOY_EMULATED_CAPABILITY", 90));
    const char* const when = std::getenv("CONVOY_EMULATION_STREAMS");
    if (when != nullptr && std::strcmp(when, "eager") == 0) streams.when = Streams::eager;
    if (when != nullptr && std::strcmp(when, "shuffled") == 0) streams.when = Streams::shuffled;
    const std::uint64_t seed = number_in_environment("CONVOY_EMULATION_ORDER", 0);
    set_order_of_threads(seed);
    streams.set_order(seed);
}

State& state() {
    static State& one = *new State;  // memory may be freed while the program ends
    return one;
}

thread_local cudaError_t last_error = cudaSuccess;
thread_local int current_device = 0;

cudaError_t result(cudaError_t error) {
    if (error != cudaSuccess && error != cudaErrorNotReady) last_error = error;
    return error;
}

// After one of these a device does nothing more for the process.
bool breaks_the_context(cudaError_t error) {
    return error == cudaErrorECCUncorrectable || error == cudaErrorIllegalAddress || error == cudaErrorLaunchTimeout ||
           error == cudaErrorLaunchFailure;
}

// Every function that can fail begins so.
class Call {
 public:
    explicit Call(const char* function) : lock_{state().mutex} {
        State& all = state();
        if (all.broken != cudaSuccess) {
            failure_ = all.broken;
        } else if (all.calls_until_failure > 0 && (all.failing_function.empty() || all.failing_function == function) &&
                   --all.calls_until_failure == 0) {
            failure_ = all.failure;
            if (breaks_the_context(failure_)) all.broken = failure_;
        } else if (all.devices.count == 0) {
            failure_ = cudaErrorNoDevice;
        }
        if (failure_ != cudaSuccess) result(failure_);
    }
    bool fails() const { return failure_ != cudaSuccess; }
    cudaError_t failure() const { return failure_; }

 private:
    std::lock_guard<std::recursive_mutex> lock_;
    cudaError_t failure_ = cudaSuccess;
};

bool is_device(int number) {
    return number >= 0 && number < state().devices.count;
}

Queue* queue_of(cudaStream_t stream) {
    if (stream == nullptr || stream == cudaStreamLegacy) return &state().streams.default_of(current_device);
    auto* const queue = reinterpret_cast<Queue*>(stream);
    return state().streams.knows(queue) ? queue : nullptr;
}

Event* event_of(cudaEvent_t event) {
    auto* const known = reinterpret_cast<Event*>(event);
    const auto& events = state().events;
    return std::find(events.begin(), events.end(), known) != events.end() ? known : nullptr;
}

// --- Copies
// -----------------------------------------------------------------------------------------------------------

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

// --- Launches
// ---------------------------------------------------------------------------------------------------------

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
        run(work);
        State& all = state();
        ++all.counters.launches;
        ++all.launches[work.kernel];
        all.counters.blocks += std::int64_t{work.blocks.x} * work.blocks.y * work.blocks.z;
        all.counters.most_shared = std::max(all.counters.most_shared, work.shared);
    });
    return cudaSuccess;
}

// --- What tests set and ask
// -------------------------------------------------------------------------------------------

void set_devices(const Devices& devices) {
    const std::lock_guard lock{state().mutex};
    for (int device = 0; device < state().devices.count; ++device) state().streams.drain_device(device);
    state().devices = devices;
    current_device = 0;
    last_error = cudaSuccess;
}

void set_streams(Streams when) {
    const std::lock_guard lock{state().mutex};
    state().streams.when = when;
}

void set_order(std::uint64_t seed) {
    const std::lock_guard lock{state().mutex};
    set_order_of_threads(seed);
    state().streams.set_order(seed);
}

void fail_call(std::int64_t k, cudaError_t error, const std::string& function) {
    const std::lock_guard lock{state().mutex};
    state().calls_until_failure = k;
    state().failure = error;
    state().failing_function = function;
}

void fail_no_call() {
    fail_call(0, cudaSuccess, "");
    state().broken = cudaSuccess;
}

Counters counters() {
    const std::lock_guard lock{state().mutex};
    return state().counters;
}

std::int64_t launches_of(const std::string& kernel) {
    const std::lock_guard lock{state().mutex};
    std::int64_t count = 0;
    for (const auto& [address, launches] : state().launches) {
        if (kernel_at(address).name.find(kernel) != std::string::npos) count += launches;
    }
    return count;
}

void reset_counters() {
    const std::lock_guard lock{state().mutex};
    state().counters = {};
    state().launches.clear();
    for (int device = 0; device < state().devices.count; ++device) memory_use(device).most = memory_use(device).now;
}

std::size_t memory_in_use(int device) {
    const std::lock_guard lock{state().mutex};
    return memory_use(device).now;
}

std::size_t most_memory_in_use(int device) {
    const std::lock_guard lock{state().mutex};
    return memory_use(device).most;
}

std::int64_t work_pending() {
    const std::lock_guard lock{state().mutex};
    return state().streams.pending();
}

}  // namespace emulation

using namespace emulation;

// --- Errors
// -----------------------------------------------------------------------------------------------------------

namespace {

struct ErrorWords {
    cudaError_t error;
    const char *name, *words;
};
constexpr ErrorWords error_words[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInitializationError, "cudaErrorInitializationError", "initialization error"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    {cudaErrorInvalidPitchValue, "cudaErrorInvalidPitchValue", "invalid pitch argument"},
    {cudaErrorInvalidSymbol, "cudaErrorInvalidSymbol", "invalid device symbol"},
    {cudaErrorInvalidMemcpyDirection, "cudaErrorInvalidMemcpyDirection", "invalid copy direction for memcpy"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorInvalidDeviceFunction, "cudaErrorInvalidDeviceFunction", "invalid device function"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorECCUncorrectable, "cudaErrorECCUncorrectable", "uncorrectable ECC error encountered"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
    {cudaErrorLaunchOutOfResources, "cudaErrorLaunchOutOfResources", "too many resources requested for launch"},
    {cudaErrorLaunchTimeout, "cudaErrorLaunchTimeout", "the launch timed out and was terminated"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
    {cudaErrorSystemNotReady, "cudaErrorSystemNotReady", "system not yet initialized"},
    {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"},
};

const ErrorWords& words_of(cudaError_t error) {
    static constexpr ErrorWords unknown{cudaErrorUnknown, "unrecognized error code", "unrecognized error code"};
    for (const ErrorWords& entry : error_words) {
        if (entry.error == error) return entry;
    }
    return unknown;
}

}  // namespace

const char* cudaGetErrorName(cudaError_t error) {
    return words_of(error).name;
}

const char* cudaGetErrorString(cudaError_t error) {
    return words_of(error).words;
}

cudaError_t cudaGetLastError() {
    return std::exchange(last_error, cudaSuccess);
}

cudaError_t cudaPeekAtLastError() {
    return last_error;
}

// --- Devices
// ----------------------------------------------------------------------------------------------------------

cudaError_t cudaDriverGetVersion(int* version) {
    *version = 13000;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
    *version = 13000;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
    *count = 0;
    const Call call{"cudaGetDeviceCount"};
    if (call.fails()) return call.failure();
    *count = state().devices.count;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
    const Call call{"cudaSetDevice"};
    if (call.fails()) return call.failure();
    if (!is_device(device)) return result(cudaErrorInvalidDevice);
    current_device = device;
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
    const Call call{"cudaGetDevice"};
    if (call.fails()) return call.failure();
    *device = current_device;
    return cudaSuccess;
}

namespace {

// What a block may ask for: 227 KiB on Hopper and its successors for data centres, 163 on the A100.
std::size_t shared_of_block(const Devices& devices) {
    return devices.capability >= 90 ? most_shared_memory : std::min<std::size_t>(most_shared_memory, 163 * 1024);
}

}  // namespace

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
    const Call call{"cudaGetDeviceProperties"};
    if (call.fails()) return call.failure();
    if (!is_device(device)) return result(cudaErrorInvalidDevice);
    const Devices& devices = state().devices;
    *properties = cudaDeviceProp{};
    std::snprintf(properties->name, sizeof properties->name, "Emulated device");
    // The same in every process, as that of a device is.
    std::memcpy(properties->uuid.bytes, "emulated device", sizeof properties->uuid.bytes);
    properties->uuid.bytes[15] = static_cast<char>('0' + device);
    properties->totalGlobalMem = devices.memory;
    properties->sharedMemPerBlock = shared_without_asking;
    properties->sharedMemPerBlockOptin = shared_of_block(devices);
    properties->sharedMemPerMultiprocessor = shared_of_block(devices) + 1024;
    properties->reservedSharedMemPerBlock = 1024;
    properties->regsPerBlock = properties->regsPerMultiprocessor = 65536;
    properties->warpSize = 32;
    properties->maxThreadsPerBlock = most_threads;
    properties->maxThreadsPerMultiProcessor = 2048;
    properties->maxBlocksPerMultiProcessor = 32;
    properties->major = devices.capability / 10;
    properties->minor = devices.capability % 10;
    properties->multiProcessorCount = devices.multiprocessors;
    properties->l2CacheSize = 50 << 20;
    properties->memoryBusWidth = 5120;
    properties->unifiedAddressing = properties->canMapHostMemory = properties->concurrentKernels = 1;
    properties->asyncEngineCount = 3;
    properties->pciBusID = device + 1;
    const int most[3] = {0x7fffffff, 65535, 65535}, most_in_block[3] = {1024, 1024, 64};
    std::copy_n(most, 3, properties->maxGridSize);
    std::copy_n(most_in_block, 3, properties->maxThreadsDim);
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
    const Call call{"cudaDeviceGetAttribute"};
    if (call.fails()) return call.failure();
    if (!is_device(device)) return result(cudaErrorInvalidDevice);
    const Devices& devices = state().devices;
    const std::map<cudaDeviceAttr, int> values{
        {cudaDevAttrMaxThreadsPerBlock, most_threads},
        {cudaDevAttrMaxSharedMemoryPerBlock, shared_without_asking},
        {cudaDevAttrWarpSize, 32},
        {cudaDevAttrMaxRegistersPerBlock, 65536},
        {cudaDevAttrClockRate, 1000000},
        {cudaDevAttrMultiProcessorCount, devices.multiprocessors},
        {cudaDevAttrIntegrated, 0},
        {cudaDevAttrComputeMode, 0},
        {cudaDevAttrMemoryClockRate, 1000000},
        {cudaDevAttrGlobalMemoryBusWidth, 5120},
        {cudaDevAttrL2CacheSize, 50 << 20},
        {cudaDevAttrMaxThreadsPerMultiProcessor, 2048},
        {cudaDevAttrComputeCapabilityMajor, devices.capability / 10},
        {cudaDevAttrComputeCapabilityMinor, devices.capability % 10},
        {cudaDevAttrMaxSharedMemoryPerMultiprocessor, static_cast<int>(shared_of_block(devices)) + 1024},
        {cudaDevAttrMaxSharedMemoryPerBlockOptin, static_cast<int>(shared_of_block(devices))},
    };
    const auto found = values.find(attribute);
    if (found == values.end()) return result(cudaErrorInvalidValue);
    *value = found->second;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetPCIBusId(char* identity, int length, int device) {
    const Call call{"cudaDeviceGetPCIBusId"};
    if (call.fails()) return call.failure();
    if (!is_device(device)) return result(cudaErrorInvalidDevice);
    std::snprintf(identity, static_cast<std::size_t>(length), "0000:%02x:00.0", device + 1);
    return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
    const Call call{"cudaDeviceSynchronize"};
    if (call.fails()) return call.failure();
    state().streams.drain_device(current_device);
    return cudaSuccess;
}

cudaError_t cudaDeviceReset() {
    return cudaDeviceSynchronize();
}

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
    const Call call{"cudaMemGetInfo"};
    if (call.fails()) return call.failure();
    *total = state().devices.memory;
    *free = *total - std::min(*total, memory_use(current_device).now);
    return cudaSuccess;
}

// --- Memory
// -----------------------------------------------------------------------------------------------------------

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

// --- Streams and events
// -----------------------------------------------------------------------------------------------

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
    return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
    const Call call{"cudaStreamCreate"};
    if (call.fails()) return call.failure();
    Queue& queue = state().streams.create(current_device, flags != cudaStreamNonBlocking);
    *stream = reinterpret_cast<cudaStream_t>(&queue);
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
    return cudaStreamCreateWithFlags(stream, flags);
}

cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
    *least = *greatest = 0;
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    const Call call{"cudaStreamDestroy"};
    if (call.fails()) return call.failure();
    Queue* const queue = queue_of(stream);
    if (queue == nullptr || stream == nullptr) return result(cudaErrorInvalidResourceHandle);
    state().streams.destroy(*queue);
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    const Call call{"cudaStreamSynchronize"};
    if (call.fails()) return call.failure();
    Queue* const queue = queue_of(stream);
    if (queue == nullptr) return result(cudaErrorInvalidResourceHandle);
    state().streams.drain(*queue);
    return cudaSuccess;
}

// Whoever asks again and again gets there: each question lets the stream do one piece of work.
cudaError_t cudaStreamQuery(cudaStream_t stream) {
    const Call call{"cudaStreamQuery"};
    if (call.fails()) return call.failure();
    Queue* const queue = queue_of(stream);
    if (queue == nullptr) return result(cudaErrorInvalidResourceHandle);
    if (queue->empty()) return cudaSuccess;
    queue->step();
    return cudaErrorNotReady;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
    const Call call{"cudaStreamWaitEvent"};
    if (call.fails()) return call.failure();
    Queue* const queue = queue_of(stream);
    const Event* const known = event_of(event);
    if (queue == nullptr || known == nullptr) return result(cudaErrorInvalidResourceHandle);
    if (known->mark != nullptr) state().streams.give(*queue, {}, {known->mark});
    return cudaSuccess;
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
    const Call call{"cudaLaunchHostFunc"};
    if (call.fails()) return call.failure();
    Queue* const queue = queue_of(stream);
    if (queue == nullptr) return result(cudaErrorInvalidResourceHandle);
    state().streams.give(*queue, [=] { function(data); });
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
    return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
    const Call call{"cudaEventCreate"};
    if (call.fails()) return call.failure();
    state().events.push_back(new Event{nullptr, (flags & cudaEventDisableTiming) == 0});
    *event = reinterpret_cast<cudaEvent_t>(state().events.back());
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    const Call call{"cudaEventRecord"};
    if (call.fails()) return call.failure();
    Queue* const queue = queue_of(stream);
    Event* const known = event_of(event);
    if (queue == nullptr || known == nullptr) return result(cudaErrorInvalidResourceHandle);
    known->mark = state().streams.give(*queue, {});
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    const Call call{"cudaEventSynchronize"};
    if (call.fails()) return call.failure();
    const Event* const known = event_of(event);
    if (known == nullptr) return result(cudaErrorInvalidResourceHandle);
    if (known->mark != nullptr) state().streams.reach(MarkPointer{known->mark});
    return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
    const Call call{"cudaEventQuery"};
    if (call.fails()) return call.failure();
    const Event* const known = event_of(event);
    if (known == nullptr) return result(cudaErrorInvalidResourceHandle);
    if (known->mark == nullptr || known->mark->reached) return cudaSuccess;
    known->mark->queue->step();
    return cudaErrorNotReady;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
    const Call call{"cudaEventElapsedTime"};
    if (call.fails()) return call.failure();
    const Event *const first = event_of(from), *const second = event_of(to);
    if (first == nullptr || second == nullptr || first->mark == nullptr || second->mark == nullptr || !first->timed ||
        !second->timed) {
        return result(cudaErrorInvalidResourceHandle);
    }
    if (!first->mark->reached || !second->mark->reached) return cudaErrorNotReady;
    *milliseconds = std::chrono::duration<float, std::milli>(second->mark->when - first->mark->when).count();
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    const Call call{"cudaEventDestroy"};
    if (call.fails()) return call.failure();
    Event* const known = event_of(event);
    if (known == nullptr) return result(cudaErrorInvalidResourceHandle);
    std::erase(state().events, known);
    delete known;
    return cudaSuccess;
}

// --- Kernels
// ----------------------------------------------------------------------------------------------------------

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
    const Call call{"cudaFuncSetAttribute"};
    if (call.fails()) return call.failure();
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
    if (value < 0 ||
        static_cast<std::size_t>(value) + kernel_at(kernel).shared_bytes > shared_of_block(state().devices)) {
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
    const int by_shared = static_cast<int>((shared_of_block(state().devices) + 1024) / of_block);
    const int by_threads = 2048 / ((threads + 31) / 32 * 32);
    const int by_registers = 65536 / (64 * ((threads + 31) / 32 * 32));
    *blocks = std::min({by_shared, by_threads, by_registers, 32});
    return cudaSuccess;
}
