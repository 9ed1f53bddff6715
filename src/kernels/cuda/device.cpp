#include "kernels/cuda/device.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <limits>
#include <string>

#include "convoy/error.hpp"
#include "kernels/devices.hpp"

namespace convoy {

namespace cuda {

namespace {

// The device of this process, as the runtime itself has one; what of it may be used, and what is.
struct Use {
    int device = -1;
    double limit = std::numeric_limits<double>::infinity(), held = 0;
    bool streams = false;
};
Use use;

std::string in_gibibytes(double bytes) {
    return fmt::format("{:.2f} GiB", bytes / (1 << 30));
}

}  // namespace

void check(cudaError_t status, const char* what) {
    if (status == cudaSuccess) return;
    cudaGetLastError();  // errors that do not stick are not met again
    throw Failure{fmt::format("CUDA device {}: {} failed ({}); run compute-sanitizer, or use --device cpu", use.device,
                              what, cudaGetErrorString(status))};
}

double bytes_held() {
    return use.held;
}

double bytes_left() {
    return use.limit - use.held;
}

bool streams_points() {
    return use.streams;
}

namespace detail {

void* allocate_device(std::int64_t bytes) {
    const auto wanted = static_cast<double>(bytes);
    void* memory = nullptr;
    const bool allowed = wanted <= bytes_left();
    if (!allowed || cudaMalloc(&memory, static_cast<std::size_t>(bytes > 0 ? bytes : 1)) != cudaSuccess) {
        cudaGetLastError();
        throw Failure{fmt::format(
            "CUDA device {}: no memory for {} more ({} held, {}); use more ranks or devices, "
            "or --cache off",
            use.device, in_gibibytes(wanted), in_gibibytes(use.held),
            allowed ? std::string{"the device has no more: is it shared?"} : "allowed are " + in_gibibytes(use.limit))};
    }
    use.held += wanted;
    return memory;
}

void free_device(void* memory, std::int64_t bytes) noexcept {
    cudaFree(memory);
    use.held -= static_cast<double>(bytes);
}

void* allocate_pinned(std::int64_t bytes) {
    void* memory = nullptr;
    check(cudaMallocHost(&memory, static_cast<std::size_t>(bytes > 0 ? bytes : 1)), "asking for page-locked memory");
    return memory;
}

void free_pinned(void* memory) noexcept {
    cudaFreeHost(memory);
}

}  // namespace detail

Stream::Stream() {
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream");
}

Stream::~Stream() {
    cudaStreamDestroy(stream_);
}

void Stream::wait() const {
    check(cudaStreamSynchronize(stream_), "a kernel or copy");
}

void Stream::wait_for(const Event& event) const {
    check(cudaStreamWaitEvent(stream_, event.get(), 0), "waiting for an event");
}

Event::Event() {
    check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "making an event");
}

Event::~Event() {
    cudaEventDestroy(event_);
}

void Event::record(const Stream& stream) {
    check(cudaEventRecord(event_, stream.get()), "recording an event");
}

void Event::wait() const {
    check(cudaEventSynchronize(event_), "a kernel or copy");
}

}  // namespace cuda

bool built_with_cuda() {
    return true;
}

std::vector<CudaDevice> cuda_devices() {
    int count = 0;
    if (cudaGetDeviceCount(&count) != cudaSuccess) {
        cudaGetLastError();
        return {};
    }
    std::vector<CudaDevice> devices;
    for (int number = 0; number < count; ++number) {
        cudaDeviceProp properties{};
        if (cudaGetDeviceProperties(&properties, number) != cudaSuccess) {
            cudaGetLastError();
            break;  // numbers go on without a gap
        }
        CudaDevice device;
        device.name = properties.name;
        for (const char byte : properties.uuid.bytes)
            device.identity += fmt::format("{:02x}", static_cast<unsigned char>(byte));
        device.memory = static_cast<double>(properties.totalGlobalMem);
        device.capability = 10 * properties.major + properties.minor;
        devices.push_back(device);
    }
    return devices;
}

std::string why_no_cuda_device() {
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status == cudaSuccess) return count > 0 ? "" : "no device is visible";
    cudaGetLastError();
    // What the runtime calls an insufficient driver is none at all on most machines where it is met.
    int driver = 0;
    cudaDriverGetVersion(&driver);
    if (status != cudaErrorInsufficientDriver) return cudaGetErrorString(status);
    if (driver == 0) return "there is no NVIDIA driver";
    return fmt::format("the driver is for CUDA {}, this program needs {}", driver / 1000, CUDART_VERSION / 1000);
}

void use_cuda_device(int number, double memory, bool stream_points) {
    cuda::use.streams = stream_points;
    cuda::use.device = number;
    cuda::use.limit = memory;
    cuda::check(cudaSetDevice(number), "choosing it");
    cuda::check(cudaFree(nullptr), "opening it");
}

}  // namespace convoy
