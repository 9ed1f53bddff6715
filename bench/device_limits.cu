#include "device_limits.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "kernels/cuda/device.hpp"
#include "kernels/cuda/instructions.hpp"

namespace convoy::bench {

namespace {

using namespace convoy::cuda;

constexpr int threads = 256, chains = 8;

// Chains that depend on nothing but themselves; their sum is stored, so that no compiler leaves them out.
template <class T, class Step>
__device__ void run_chains(std::int64_t steps, T* out, const Step& step) {
    T values[chains];
#pragma unroll
    for (int c = 0; c < chains; ++c) values[c] = static_cast<T>(threadIdx.x + c) * static_cast<T>(1e-3);
    for (std::int64_t s = 0; s < steps; ++s) {
#pragma unroll
        for (int c = 0; c < chains; ++c) values[c] = step(values[c]);
    }
    T sum = 0;
#pragma unroll
    for (int c = 0; c < chains; ++c) sum += values[c];
    out[static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x] = sum;
}

__global__ void multiply_add_chains(std::int64_t steps, float a, float b, float* out) {
    run_chains(steps, out, [=](float x) { return fmaf(x, a, b); });
}

__global__ void double_chains(std::int64_t steps, double a, double b, double* out) {
    run_chains(steps, out, [=](double x) { return fma(x, a, b); });
}

__global__ void exponential_chains(std::int64_t steps, float* out) {
    run_chains(steps, out, [](float x) { return ex2(-x); });
}

// Two numbers of fp16, each in [1, 2) but for its sign: what units draw, and so their clock, depends on the numbers.
__device__ std::uint32_t some_halves(std::uint32_t seed) {
    return 0x3c003c00u | ((seed * 2654435761u) & 0x83ff83ffu);
}

__global__ void tensor_chains(std::int64_t steps, float* out) {
    float sums[chains][4] = {};
    const std::uint32_t a[4] = {some_halves(threadIdx.x), some_halves(threadIdx.x + 256),
                                some_halves(threadIdx.x + 512), some_halves(threadIdx.x + 768)};
    for (std::int64_t s = 0; s < steps; ++s) {
#pragma unroll
        for (int c = 0; c < chains; ++c) multiply_add(sums[c], a, a[0], a[1]);
    }
    float sum = 0;
#pragma unroll
    for (int c = 0; c < chains; ++c) sum += sums[c][0] + sums[c][1] + sums[c][2] + sums[c][3];
    out[static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x] = sum;
}

// The whole of `numbers`, `times` times; every time by other blocks, so that it comes from no L1 cache.
__global__ void sum_of(const float4* numbers, std::int64_t n, int times, float* out) {
    const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
    float sum = 0;
    for (int t = 0; t < times; ++t) {
        const std::int64_t block = (blockIdx.x + 37u * static_cast<unsigned>(t)) % gridDim.x;
#pragma unroll 4
        for (std::int64_t k = block * blockDim.x + threadIdx.x; k < n; k += stride) {
            const float4 four = numbers[k];
            sum += (four.x + four.y) + (four.z + four.w);
        }
    }
    out[static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x] = sum;
}

__global__ void nothing() {}

// Seconds of the quickest of some runs, after one that does not count.
template <class Work>
double quickest(const Stream& stream, int runs, const Work& work) {
    double best = 1e30;
    for (int run = 0; run <= runs; ++run) {
        const auto begin = std::chrono::steady_clock::now();
        work();
        stream.wait();
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        if (run > 0) best = std::min(best, seconds);
    }
    return best;
}

class Measurement {
 public:
    explicit Measurement(bool brief) : brief_{brief} {
        cudaDeviceProp properties{};
        int device = 0;
        check(cudaGetDevice(&device), "asking which it is");
        check(cudaGetDeviceProperties(&properties, device), "asking what it is");
        limits.multiprocessors = std::max(properties.multiProcessorCount, 1);
        limits.cache = static_cast<double>(properties.l2CacheSize);
        blocks_ = static_cast<unsigned>(limits.multiprocessors) * (brief ? 1 : 16);
        lanes_ = static_cast<double>(blocks_) * threads;
    }

    void chains_of_all_kinds() {
        const std::int64_t steps = brief_ ? 2 : 20000;
        const Array<float> out{static_cast<std::int64_t>(lanes_)};
        const Array<double> doubles{static_cast<std::int64_t>(lanes_)};
        const double done = lanes_ * chains * static_cast<double>(steps);
        const Shape shape{blocks_, threads};
        cudaStream_t stream = stream_.get();
        limits.multiply_adds =
            done / timed([&] { launch(multiply_add_chains, shape, stream, steps, 0.999f, 0.001f, out.get()); });
        limits.exponentials = done / timed([&] { launch(exponential_chains, shape, stream, steps, out.get()); });
        limits.doubles =
            done / timed([&] { launch(double_chains, shape, stream, steps, 0.999, 0.001, doubles.get()); });
        constexpr double of_one = 16 * 8 * 16 / 32.0;  // multiply-adds of a lane's share
        limits.tensor = of_one * done / timed([&] { launch(tensor_chains, shape, stream, steps, out.get()); });
    }

    void reading() {
        limits.read = read(brief_ ? 1 << 16 : std::int64_t{1} << 32, 1);
        limits.cached = read(brief_ ? 1 << 16 : std::int64_t{1} << 24, brief_ ? 2 : 200);
    }

    void uploading() {
        const std::int64_t numbers = brief_ ? 1 << 10 : std::int64_t{1} << 26;
        const Pinned<float> host{numbers};
        const Array<float> device{numbers};
        std::fill_n(host.get(), numbers, 1.0f);
        const double seconds = timed([&] { copy_to_device(host.get(), device.get(), numbers, stream_); });
        limits.uploads = static_cast<double>(numbers) * sizeof(float) / seconds;
    }

    void launching() {
        const int kernels = brief_ ? 2 : 2000;
        limits.launches = kernels / timed([&] {
                              for (int k = 0; k < kernels; ++k) launch(nothing, {1, 32}, stream_.get());
                          });
    }

    DeviceLimits limits;

 private:
    template <class Work>
    double timed(const Work& work) const {
        return quickest(stream_, brief_ ? 1 : 3, work);
    }

    double read(std::int64_t bytes, int times) {
        const std::int64_t numbers = bytes / static_cast<std::int64_t>(sizeof(float4));
        const Array<float4> array{numbers};
        const Array<float> out{static_cast<std::int64_t>(lanes_)};
        clear(array.get(), numbers, stream_);
        const double seconds = timed([&] {
            launch(sum_of, {blocks_, threads}, stream_.get(), static_cast<const float4*>(array.get()), numbers, times,
                   out.get());
        });
        return static_cast<double>(bytes) * times / seconds;
    }

    bool brief_;
    unsigned blocks_ = 1;
    double lanes_ = 0;
    Stream stream_;
};

}  // namespace

DeviceLimits device_limits(bool brief) {
    Measurement measurement{brief};
    measurement.chains_of_all_kinds();
    measurement.reading();
    measurement.uploading();
    measurement.launching();
    return measurement.limits;
}

}  // namespace convoy::bench
