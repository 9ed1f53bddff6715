// That the emulation computes what a device would, and that it finds what compute-sanitizer would, and more.
#include "emulation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "on_device.hpp"
#include "test_kernels.hpp"

namespace emulation {
namespace {

using namespace test_kernels;
using convoy::cuda::launch;
using convoy::cuda::Shape;

class Emulation : public testing::Test {
 protected:
    void SetUp() override {
        GTEST_FLAG_SET(death_test_style, "threadsafe");
        set_devices({});
        set_streams(Streams::lazy);
        set_order(0);
        fail_no_call();
        reset_counters();
    }
};
using EmulationFinds = Emulation;

std::vector<float> random_numbers(std::size_t n) {
    std::mt19937 source{7};
    std::uniform_real_distribution<float> uniform{-1, 1};
    std::vector<float> numbers(n);
    for (float& number : numbers) number = uniform(source);
    return numbers;
}

// --- Right kernels --------------------------------------------------------------------------------------------------

TEST_F(Emulation, SumsInSharedMemoryInAnyOrder) {
    const std::vector<float> x = random_numbers(1000);
    const Memory<float> on_device{x};
    for (const std::uint64_t seed : {0, 1, 2, 3}) {
        set_order(seed);
        const Memory<float> sums{4}, again{4};
        launch(sum_in_shared, {4, block_size}, nullptr, on_device.get(), 1000, sums.get());
        launch(sum_with_shuffles, {4, block_size}, nullptr, on_device.get(), 1000, again.get());
        for (std::size_t block = 0; block < 4; ++block) {
            double expected = 0;
            for (std::size_t i = block * block_size; i < std::min<std::size_t>((block + 1) * block_size, 1000); ++i) {
                expected += static_cast<double>(x[i]);
            }
            // 256 numbers of size 1, in a tree of eight levels of fp32.
            EXPECT_NEAR(sums.values()[block], expected, 1e-4) << "seed " << seed;
            EXPECT_NEAR(again.values()[block], expected, 1e-5) << "seed " << seed;
        }
    }
    EXPECT_EQ(launches_of("sum_in_shared"), 4);
    EXPECT_EQ(counters().blocks, 32);
}

TEST_F(Emulation, CopiesAsynchronously) {
    for (const std::uint64_t seed : {0, 1, 2}) {
        set_order(seed);
        for (const std::size_t n : {1, 63, 64, 65, 1000}) {
            const std::vector<float> x = random_numbers(4 * n);
            const Memory<float> from{x}, to{4 * n};
            launch(twice_with_copies, {1, 64, 2 * 64 * sizeof(float4)}, nullptr,
                   reinterpret_cast<const float4*>(from.get()), static_cast<std::int64_t>(n),
                   reinterpret_cast<float4*>(to.get()));
            const std::vector<float> y = to.values();
            for (std::size_t i = 0; i < 4 * n; ++i) ASSERT_EQ(y[i], 2 * x[i]) << "n " << n << " seed " << seed;
        }
    }
}

TEST_F(Emulation, MultipliesMatricesByTheManualsFragments) {
    const std::vector<float> numbers = random_numbers(16 * 16 + 16 * 8);
    std::vector<__half> a, b;
    for (std::size_t i = 0; i < 256; ++i) a.emplace_back(numbers[i]);
    for (std::size_t i = 0; i < 128; ++i) b.emplace_back(numbers[256 + i]);
    const Memory<__half> a_on_device{a}, b_on_device{b};
    const Memory<float> d{128};
    launch(small_product, {1, 32, 16 * (24 + 8) * 2}, nullptr, a_on_device.get(), b_on_device.get(), d.get());
    const std::vector<float> result = d.values();
    bool inexact = false;
    for (std::size_t i = 0; i < 16; ++i) {
        for (std::size_t j = 0; j < 8; ++j) {
            double expected = 0;
            for (std::size_t k = 0; k < 16; ++k) {
                expected += static_cast<double>(static_cast<float>(a[i * 16 + k])) *
                            static_cast<double>(static_cast<float>(b[k * 8 + j]));
            }
            // 18 addends, each cut at 2^-24 of the largest, which is at most 1, and two sums of up to 8.
            EXPECT_NEAR(result[i * 8 + j], expected, 18 * 0x1p-24 + 2 * 8 * 0x1p-24);
            inexact = inexact || static_cast<double>(result[i * 8 + j]) != expected;
        }
    }
    EXPECT_TRUE(inexact);
}

TEST_F(Emulation, CutsSumsOfTensorCoresTowardsZero) {
    // 1 + 2^-12 2^-12 in fp32 is 1 by rounding; 1 - 2^-24 - 2^-26 is cut to less than rounding gives.
    std::vector<__half> a(256, __half{0.0f}), b(128, __half{0.0f});
    a[0] = __half{1.0f};
    b[0] = __half{1.0f};
    a[1] = __half{0x1p-12f};
    b[8] = __half{0x1.8p-12f};  // row 1, column 0
    const Memory<__half> a_on_device{a}, b_on_device{b};
    const Memory<float> d{128};
    launch(small_product, {1, 32, 16 * (24 + 8) * 2}, nullptr, a_on_device.get(), b_on_device.get(), d.get());
    EXPECT_EQ(d.values()[0], 1.0f) << "1 + 1.5 2^-24 rounds up, but is cut down";
}

TEST_F(Emulation, GivesMoreThan48KibibytesOfSharedMemory) {
    const int per_block = 200 * 1024 / 4;
    std::vector<float> x(2 * per_block);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
    const Memory<float> on_device{x};
    launch(reverse, {2, 128, per_block * sizeof(float)}, nullptr, on_device.get(), per_block);
    std::reverse(x.begin(), x.begin() + per_block);
    std::reverse(x.begin() + per_block, x.end());
    EXPECT_EQ(on_device.values(), x);
    EXPECT_EQ(counters().most_shared, per_block * sizeof(float));
}

TEST_F(Emulation, RefusesSharedMemoryThatWasNotAskedFor) {
    const Memory<float> x{1};
    cudaLaunchConfig_t config{};
    config.dynamicSmemBytes = 100 * 1024;
    config.blockDim = 32;
    EXPECT_EQ(cudaLaunchKernelEx(&config, add_one, x.get(), std::int64_t{1}), cudaErrorInvalidValue);
    config.dynamicSmemBytes = 0;
    config.blockDim = 2048;
    EXPECT_EQ(cudaLaunchKernelEx(&config, add_one, x.get(), std::int64_t{1}), cudaErrorInvalidConfiguration);
    EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidConfiguration);
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

TEST_F(Emulation, VotesAndShuffles) {
    std::vector<int> x(128);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<int>(i * 37 % 11) - 5;
    const Memory<int> on_device{x}, firsts{128};
    const Memory<unsigned> ballots{4};
    launch(votes, {2, 64}, nullptr, on_device.get(), ballots.get(), firsts.get());
    for (std::size_t i = 0; i < x.size(); ++i) {
        EXPECT_EQ(ballots.values()[i / 32] >> i % 32 & 1, x[i] > 0 ? 1u : 0u);
        EXPECT_EQ(firsts.values()[i], x[i / 32 * 32]);
    }
}

TEST_F(Emulation, CountsWithAtomicOperations) {
    const std::vector<int> x{0, 5, 5, 31, 5, 0};
    const Memory<int> on_device{x}, counts{std::vector<int>(32, 0)};
    launch(count, {3, 64}, nullptr, on_device.get(), 6, counts.get());
    EXPECT_EQ(counts.values()[0], 2);
    EXPECT_EQ(counts.values()[5], 3);
    EXPECT_EQ(counts.values()[31], 1);
}

TEST_F(Emulation, PowersOfTwoAreOffByTwoUlpAndNoMore) {
    std::vector<float> t = random_numbers(1000);
    for (float& number : t) number *= 120;
    t.push_back(-127);
    t.push_back(-std::numeric_limits<float>::infinity());
    t.push_back(0);
    const Memory<float> on_device{t}, result{t.size()};
    launch(powers_of_two, {8, 128}, nullptr, on_device.get(), result.get(), static_cast<int>(t.size()));
    const std::vector<float> y = result.values();
    double worst = 0;
    for (std::size_t i = 0; i < 1000; ++i) {
        const double exact = std::exp2(static_cast<double>(t[i]));
        const double ulp = std::exp2(std::floor(std::log2(exact)) - 23);
        worst = std::max(worst, std::abs(y[i] - exact) / ulp);
    }
    EXPECT_GT(worst, 1.5);
    EXPECT_LT(worst, 2.6);  // two, and the rounding of what it is off from
    EXPECT_EQ(y[1000], 0.0f);
    EXPECT_EQ(y[1001], 0.0f);
    EXPECT_EQ(y[1002], 1.0f);
}

TEST_F(Emulation, HalvesRoundToNearestEven) {
    for (int bits = 0; bits < 0x10000; ++bits) {
        const __half x = __ushort_as_half(static_cast<unsigned short>(bits));
        if (__hisnan(x)) continue;
        ASSERT_EQ(__half_as_ushort(__float2half_rn(__half2float(x))), bits);
        if ((bits & 0x7fff) >= 0x7bff) continue;
        const float y = __half2float(__ushort_as_half(static_cast<unsigned short>(bits + 1)));
        const float middle = (__half2float(x) + y) / 2;
        ASSERT_EQ(__half_as_ushort(__float2half_rn(middle)), bits + (bits & 1));
        ASSERT_EQ(__half_as_ushort(__float2half_rn(std::nextafter(middle, y))), bits + 1);
    }
    EXPECT_EQ(__half_as_ushort(__float2half_rn(65519.9f)), 0x7bff);
    EXPECT_EQ(__half_as_ushort(__float2half_rn(65520.0f)), 0x7c00);
}

// --- Streams --------------------------------------------------------------------------------------------------------

TEST_F(Emulation, WorkWaitsUntilSomebodyWaitsForIt) {
    const Memory<float> x{100};
    cudaStream_t stream = nullptr;
    ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
    std::vector<float> back(100, 3.0f);
    launch(fill, {1, 128}, stream, x.get(), 100, 5.0f);
    cudaMemcpyAsync(back.data(), x.get(), 400, cudaMemcpyDeviceToHost, stream);
    EXPECT_EQ(work_pending(), 2);
    EXPECT_TRUE(std::isnan(back[0])) << "whoever reads too early sees it";
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    EXPECT_EQ(back, std::vector<float>(100, 5.0f));
    EXPECT_EQ(counters().bytes_to_host, 400);
    cudaStreamDestroy(stream);
}

TEST_F(Emulation, HostMemoryThatChangesTooEarlyShows) {
    const Memory<float> x{1};
    float number = 1;
    cudaMemcpyAsync(x.get(), &number, sizeof number, cudaMemcpyHostToDevice);
    number = 2;
    EXPECT_EQ(x.values()[0], 2.0f);
}

TEST_F(Emulation, OnlyEventsOrderStreams) {
    cudaStream_t first = nullptr, second = nullptr;
    cudaEvent_t event = nullptr;
    cudaStreamCreateWithFlags(&first, cudaStreamNonBlocking);
    cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking);
    cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
    for (const bool ordered : {true, false}) {
        const Memory<float> x{std::vector<float>{7}};
        launch(fill, {1, 1}, first, x.get(), 1, 1.0f);
        cudaEventRecord(event, first);
        if (ordered) cudaStreamWaitEvent(second, event);
        launch(add_one, {1, 1}, second, x.get(), 1);
        cudaStreamSynchronize(second);
        EXPECT_EQ(x.values()[0], ordered ? 2.0f : 1.0f);
    }
    cudaEventDestroy(event);
    cudaStreamDestroy(first);
    cudaStreamDestroy(second);
}

TEST_F(Emulation, EventsAreReachedByWhoAsksForThem) {
    const Memory<float> x{1};
    cudaEvent_t begin = nullptr, end = nullptr;
    cudaEventCreate(&begin);
    cudaEventCreate(&end);
    cudaEventRecord(begin);
    launch(fill, {1, 1}, nullptr, x.get(), 1, 1.0f);
    cudaEventRecord(end);
    EXPECT_EQ(cudaEventQuery(end), cudaErrorNotReady);
    EXPECT_EQ(cudaEventSynchronize(end), cudaSuccess);
    EXPECT_EQ(cudaEventQuery(end), cudaSuccess);
    float milliseconds = -1;
    EXPECT_EQ(cudaEventElapsedTime(&milliseconds, begin, end), cudaSuccess);
    EXPECT_GE(milliseconds, 0.0f);
    cudaEventDestroy(begin);
    cudaEventDestroy(end);
}

TEST_F(Emulation, StreamsGoOnByChanceToo) {
    set_streams(Streams::shuffled);
    for (std::uint64_t seed = 1; seed < 20; ++seed) {
        set_order(seed);
        const Memory<float> x{std::vector<float>{0}};
        for (int i = 0; i < 10; ++i) launch(add_one, {1, 1}, nullptr, x.get(), 1);
        EXPECT_EQ(x.values()[0], 10.0f);
    }
}

// --- Devices and failures -------------------------------------------------------------------------------------------

TEST_F(Emulation, DevicesAreAsTheTestWants) {
    set_devices({3, 10000, 80, 2});
    int count = 0;
    EXPECT_EQ(cudaGetDeviceCount(&count), cudaSuccess);
    EXPECT_EQ(count, 3);
    cudaDeviceProp properties{};
    EXPECT_EQ(cudaGetDeviceProperties(&properties, 2), cudaSuccess);
    EXPECT_EQ(properties.major * 10 + properties.minor, 80);
    EXPECT_EQ(properties.totalGlobalMem, 10000u);
    EXPECT_EQ(cudaSetDevice(3), cudaErrorInvalidDevice);
    void *first = nullptr, *second = nullptr;
    EXPECT_EQ(cudaMalloc(&first, 6000), cudaSuccess);
    EXPECT_EQ(cudaMalloc(&second, 6000), cudaErrorMemoryAllocation);
    cudaSetDevice(1);
    EXPECT_EQ(cudaMalloc(&second, 6000), cudaSuccess);
    EXPECT_GE(most_memory_in_use(1), 6000u);
    cudaFree(first);
    cudaFree(second);
    EXPECT_EQ(memory_in_use(0), 0u);
    set_devices({0, 1, 90, 1});
    EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorNoDevice);
}

TEST_F(Emulation, CallsFailAsAsked) {
    void* memory = nullptr;
    fail_call(2, cudaErrorMemoryAllocation, "cudaMalloc");
    EXPECT_EQ(cudaMalloc(&memory, 8), cudaSuccess);
    cudaFree(memory);
    EXPECT_EQ(cudaMalloc(&memory, 8), cudaErrorMemoryAllocation);
    fail_call(1, cudaErrorECCUncorrectable);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorECCUncorrectable);
    EXPECT_EQ(cudaMalloc(&memory, 8), cudaErrorECCUncorrectable) << "a device does not recover from this";
    fail_no_call();
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
}

// --- What is found --------------------------------------------------------------------------------------------------

TEST_F(EmulationFinds, WritesPastTheEnd) {
    // Beside the allocation, and on the page behind it.
    for (const std::size_t n : {1, 1024}) {
        EXPECT_DEATH(
            {
                const Memory<float> x{n};
                launch(write_past_the_end, {1, 1}, nullptr, x.get(), static_cast<std::int64_t>(n));
                cudaDeviceSynchronize();
            },
            "past the end of");
    }
}

TEST_F(EmulationFinds, WritesPastSharedMemory) {
    EXPECT_DEATH(
        {
            const Memory<float> x{32};
            launch(write_past_shared, {1, 32, 32 * sizeof(float)}, nullptr, x.get());
            cudaDeviceSynchronize();
        },
        "past the end of the block's|access to");
}

TEST_F(EmulationFinds, MemoryThatWasFreed) {
    EXPECT_DEATH(
        {
            float* x = nullptr;
            cudaMalloc(&x, 400);
            cudaFree(x);
            launch(fill, {1, 1}, nullptr, x, 100, 1.0f);
        },
        "freed");
}

TEST_F(EmulationFinds, MemoryThatWasNotWritten) {
    const Memory<float> x{10};
    EXPECT_TRUE(std::isnan(x.values()[0]));
    const Memory<float> y{block_size}, z{block_size};
    for (int turn = 0; turn < 2; ++turn) {
        launch(read_unwritten_shared, {1, block_size, block_size * sizeof(float)}, nullptr, y.get(), z.get());
        EXPECT_EQ(y.values()[0], 1.0f);
        EXPECT_EQ(z.values()[0], 1.0f);
        EXPECT_TRUE(std::isnan(y.values()[1]));
        EXPECT_TRUE(std::isnan(z.values()[1]));
    }
}

TEST_F(EmulationFinds, CopiesThatNobodyWaitedFor) {
    const Memory<float> x{std::vector<float>(128, 1.0f)}, y{128};
    launch(read_before_copied, {1, 32, 32 * sizeof(float4)}, nullptr, reinterpret_cast<const float4*>(x.get()),
           reinterpret_cast<float4*>(y.get()));
    for (const float number : y.values()) EXPECT_TRUE(std::isnan(number));
}

TEST_F(EmulationFinds, BarriersThatSomeNeverReach) {
    const Memory<float> x{std::vector<float>(64, 1.0f)};
    const auto run = [&](auto kernel) {
        launch(kernel, {1, 64}, nullptr, x.get());
        cudaDeviceSynchronize();
    };
    EXPECT_DEATH(run(barrier_for_some), "diverged: of 64 threads 32 returned; 32 wait at a barrier.*test_kernels.cu");
    EXPECT_DEATH(run(barriers_in_two_places), "diverged: other threads are at the barrier of");
    EXPECT_DEATH(run(shuffle_for_some), "diverged.*wait at __shfl_xor_sync");
}

TEST_F(EmulationFinds, RacesByOtherOrders) {
    const auto run = [](std::uint64_t seed) {
        set_order(seed);
        const Memory<int> x{std::vector<int>(64, 0)};
        launch(race, {1, 64}, nullptr, x.get());
        return x.values();
    };
    const std::vector<int> natural = run(0);
    EXPECT_EQ(run(0), natural);
    EXPECT_NE(run(1), natural);
    EXPECT_EQ(run(1), run(1)) << "a seed gives one order";
}

TEST_F(EmulationFinds, BlocksThatRelyOnTheirOrder) {
    const Memory<int> x{1};
    int others = 0;
    for (std::uint64_t seed = 1; seed < 5; ++seed) {
        set_order(seed);
        launch(last_block, {100, 1}, nullptr, x.get());
        others += x.values()[0] != 99 ? 1 : 0;
    }
    EXPECT_GT(others, 0);
}

TEST_F(EmulationFinds, MisalignedAddresses) {
    EXPECT_DEATH(
        {
            const Memory<float> x{64};
            launch(misaligned_copy, {1, 1, 64}, nullptr, x.get());
            cudaDeviceSynchronize();
        },
        "no multiple of 16");
    EXPECT_DEATH(
        {
            const Memory<float> x{64};
            const Memory<float> y{64};
            launch(misaligned_vector, {1, 8}, nullptr, x.get(), reinterpret_cast<float4*>(y.get()));
            cudaDeviceSynchronize();
        },
        "misaligned|no multiple");
}

TEST_F(EmulationFinds, HostMemoryInPlaceOfTheDevices) {
    float host[4] = {};
    EXPECT_DEATH(launch(fill, {1, 1}, nullptr, host, 4, 1.0f), "an argument of kernel .*fill");
    const Memory<float> x{4};
    EXPECT_DEATH(cudaMemcpyAsync(host, x.get(), 16, cudaMemcpyHostToDevice), "not in a device's memory");
    EXPECT_DEATH(cudaMemcpyAsync(x.get(), host, 16, cudaMemcpyDeviceToHost), "not the host's|not in a device's");
    EXPECT_DEATH(cudaMemcpyAsync(x.get(), host, 20, cudaMemcpyHostToDevice), "a copy of 20 bytes");
}

TEST_F(EmulationFinds, PinnedMemoryFreedTooEarly) {
    EXPECT_DEATH(
        {
            const Memory<float> x{4};
            float* pinned = nullptr;
            cudaMallocHost(&pinned, 16);
            cudaMemcpyAsync(x.get(), pinned, 16, cudaMemcpyHostToDevice);
            cudaFreeHost(pinned);
        },
        "a copy still needs");
}

}  // namespace
}  // namespace emulation
