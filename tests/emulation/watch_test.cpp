// That kernels whose every access is watched run as others do, and that races are found whatever order they run in.
#include <gtest/gtest.h>

#include <vector>

#include "emulation.hpp"
#include "on_device.hpp"
#include "test_kernels.hpp"

namespace emulation {
namespace {

using namespace test_kernels;
using convoy::cuda::launch;

class Watch : public testing::Test {
 protected:
    void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

template <class Kernel, class... Arguments>
void run(Kernel kernel, const convoy::cuda::Shape& shape, Arguments... arguments) {
    launch(kernel, shape, nullptr, arguments...);
    cudaDeviceSynchronize();
}

const float4* vectors(const Memory<float>& x) {
    return reinterpret_cast<const float4*>(x.get());
}

TEST_F(Watch, LetsRightKernelsPass) {
    const Memory<float> x{std::vector<float>(1024, 1.0f)}, sums{4}, y{1024};
    run(sum_in_shared, {4, block_size}, x.get(), 1000, sums.get());
    run(sum_with_shuffles, {4, block_size}, x.get(), 1000, sums.get());
    EXPECT_EQ(sums.values()[3], 232.0f);
    run(twice_with_copies, {1, 64, 2 * 64 * sizeof(float4)}, vectors(x), 256, reinterpret_cast<float4*>(y.get()));
    EXPECT_EQ(y.values(), std::vector<float>(1024, 2.0f));
    const Memory<__half> a{std::vector<__half>(256, __half{1.0f})}, b{std::vector<__half>(128, __half{1.0f})};
    const Memory<float> d{128};
    run(small_product, {1, 32, 16 * (24 + 8) * 2}, a.get(), b.get(), d.get());
    EXPECT_EQ(d.values()[0], 16.0f);
    run(reverse, {4, 64, 1024}, x.get(), 256);
    const Memory<int> zeros{std::vector<int>(32, 0)}, counts{std::vector<int>(32, 0)};
    run(count, {3, 64}, zeros.get(), 32, counts.get());
    EXPECT_EQ(counts.values()[0], 32);
    run(order_by_syncwarp, {1, 32}, zeros.get());
}

TEST_F(Watch, FindsRaces) {
    const Memory<int> x{std::vector<int>(64, 0)};
    EXPECT_DEATH(run(race, {1, 64}, x.get()), "race: .*test_kernels.cu");
    EXPECT_DEATH(run(order_by_vote, {1, 32}, x.get()), "race: reads");
    const Memory<float> from{std::vector<float>(2 * block_size, 1.0f)}, to{2 * block_size};
    EXPECT_DEATH(run(reuse_without_barrier, {1, block_size}, from.get(), to.get()), "race: writes");
}

TEST_F(Watch, FindsBlocksThatMeet) {
    const Memory<int> number{1};
    EXPECT_DEATH(run(last_block, {2, 1}, number.get()), "race: writes .* another block wrote");
    run(last_block, {1, 1}, number.get());
    run(last_block, {1, 1}, number.get());
}

TEST_F(Watch, FindsCopiesThatComeTooEarlyOrTooLate) {
    const Memory<float> x{std::vector<float>(256, 1.0f)}, y{256};
    const convoy::cuda::Shape shape{1, 32, 32 * sizeof(float4)};
    auto* const to = reinterpret_cast<float4*>(y.get());
    EXPECT_DEATH(run(fetch_too_early, shape, vectors(x), to),
                 "race: .* of the block's shared memory .*test_kernels.cu");
    EXPECT_DEATH(run(read_before_copied, shape, vectors(x), to), "which an asynchronous copy that nobody waited for");
}

TEST_F(Watch, FindsWhatNobodyWrote) {
    const Memory<float> x{block_size}, y{block_size};
    EXPECT_DEATH(run(read_unwritten_shared, {1, block_size, 4 * block_size}, x.get(), y.get()), "which nobody wrote");
    EXPECT_DEATH(run(add_one, {1, 1}, x.get(), 1),
                 "reads byte 0 of 1024 bytes of memory of device 0, which nobody wrote");
    cudaMemset(x.get(), 0, 4);
    run(add_one, {1, 1}, x.get(), 1);
}

TEST_F(Watch, FindsHostCodeThatTouchesTheDevices) {
    const Memory<float> x{4};
    EXPECT_DEATH(x.get()[1] = 0, "host code touches byte 4 of 16 bytes of memory of device 0");
}

}  // namespace
}  // namespace emulation
