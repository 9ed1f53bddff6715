#pragma once
// The only place that speaks to the CUDA runtime beside kernels and their launch: errors, memory, streams, events.
// Every handle is an object that frees itself; everything that can fail throws a Failure that says what was tried.

#include <cuda_runtime.h>

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace convoy::cuda {

// \throws Failure: `what` was tried, on which device, what the driver says
void check(cudaError_t status, const char* what);

// Bytes that this process holds on its device, and may hold (devices.hpp). Counted, not asked of the driver: what fits
// is the same on every run.
double bytes_held();
double bytes_left();
// Blocks were told to keep no points there (use_cuda_device()).
bool streams_points();

namespace detail {
void* allocate_device(std::int64_t bytes);
void free_device(void* memory, std::int64_t bytes) noexcept;
void* allocate_pinned(std::int64_t bytes);
void free_pinned(void* memory) noexcept;
}  // namespace detail

// Device memory of n elements, not initialised.
template <class T>
class Array {
 public:
    Array() = default;
    explicit Array(std::int64_t n)
        : data_{static_cast<T*>(detail::allocate_device(n * static_cast<std::int64_t>(sizeof(T))))}, size_{n} {}
    ~Array() { reset(); }
    Array(Array&& from) noexcept : data_{std::exchange(from.data_, nullptr)}, size_{std::exchange(from.size_, 0)} {}
    Array& operator=(Array&& from) noexcept {
        if (this != &from) {
            reset();
            data_ = std::exchange(from.data_, nullptr);
            size_ = std::exchange(from.size_, 0);
        }
        return *this;
    }
    T* get() const { return data_; }
    std::int64_t size() const { return size_; }
    explicit operator bool() const { return data_ != nullptr; }
    // At least n elements; what was in it is lost where it grows.
    void need(std::int64_t n) {
        if (n <= size_) return;
        reset();
        *this = Array{n};
    }
    void reset() {
        if (data_ != nullptr) detail::free_device(data_, size_ * static_cast<std::int64_t>(sizeof(T)));
        data_ = nullptr;
        size_ = 0;
    }

 private:
    T* data_ = nullptr;
    std::int64_t size_ = 0;
};

// Page-locked host memory: copies from and to it run beside kernels and at the bus's full speed.
template <class T>
class Pinned {
 public:
    Pinned() = default;
    explicit Pinned(std::int64_t n)
        : data_{static_cast<T*>(detail::allocate_pinned(n * static_cast<std::int64_t>(sizeof(T))))}, size_{n} {}
    ~Pinned() {
        if (data_ != nullptr) detail::free_pinned(data_);
    }
    Pinned(Pinned&& from) noexcept : data_{std::exchange(from.data_, nullptr)}, size_{std::exchange(from.size_, 0)} {}
    Pinned& operator=(Pinned&& from) noexcept {
        std::swap(data_, from.data_);
        std::swap(size_, from.size_);
        return *this;
    }
    T* get() const { return data_; }
    std::int64_t size() const { return size_; }
    void need(std::int64_t n) {
        if (n > size_) *this = Pinned{n};
    }

 private:
    T* data_ = nullptr;
    std::int64_t size_ = 0;
};

class Event;

class Stream {
 public:
    Stream();
    ~Stream();
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    cudaStream_t get() const { return stream_; }
    void wait() const;                        // until all that was given to it is done; reports kernels' errors
    void wait_for(const Event& event) const;  // its later work begins after the event

 private:
    cudaStream_t stream_ = nullptr;
};

class Event {
 public:
    Event();
    ~Event();
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;
    void record(const Stream& stream);
    void wait() const;  // of the host
    cudaEvent_t get() const { return event_; }

 private:
    cudaEvent_t event_ = nullptr;
};

// Copies that a stream makes; the host's side should be pinned, and stays untouched until the stream has passed.
template <class T>
void copy_to_device(const T* from, T* to, std::int64_t n, const Stream& stream) {
    if (n == 0) return;
    check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(n) * sizeof(T), cudaMemcpyHostToDevice, stream.get()),
          "copying to the device");
}
template <class T>
void copy_to_host(const T* from, T* to, std::int64_t n, const Stream& stream) {
    if (n == 0) return;
    check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(n) * sizeof(T), cudaMemcpyDeviceToHost, stream.get()),
          "copying from the device");
}
template <class T>
void clear(T* memory, std::int64_t n, const Stream& stream) {
    if (n == 0) return;
    check(cudaMemsetAsync(memory, 0, static_cast<std::size_t>(n) * sizeof(T), stream.get()), "clearing memory");
}

// One launch. `shared` is dynamic shared memory; kernels that want more than 48 KiB get it.
struct Shape {
    dim3 blocks, threads;
    std::size_t shared = 0;
};

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), const Shape& shape, cudaStream_t stream, Arguments... arguments) {
    if (shape.blocks.x == 0 || shape.blocks.y == 0 || shape.blocks.z == 0) return;
    if (shape.shared > 48 * 1024) {
        check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   static_cast<int>(shape.shared)),
              "asking for shared memory");
    }
    cudaLaunchConfig_t config{};
    config.gridDim = shape.blocks;
    config.blockDim = shape.threads;
    config.dynamicSmemBytes = shape.shared;
    config.stream = stream;
    check(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...), "launching a kernel");
}

}  // namespace convoy::cuda
