#include <algorithm>
#include <cstdio>
#include <cstring>

#include "machine.hpp"
#include "memory.hpp"
#include "runtime/state.hpp"

using namespace emulation;

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
    properties->sharedMemPerBlockOptin = shared_of_block();
    properties->sharedMemPerMultiprocessor = shared_of_block() + 1024;
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
        {cudaDevAttrMaxSharedMemoryPerMultiprocessor, static_cast<int>(shared_of_block()) + 1024},
        {cudaDevAttrMaxSharedMemoryPerBlockOptin, static_cast<int>(shared_of_block())},
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
