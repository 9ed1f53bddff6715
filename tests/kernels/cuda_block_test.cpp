// The CUDA backend against the sequential reference, on the same cases as the CPU's, and what is its own. Built twice:
// for a device, where it skips if there is none, and for the emulation of one (tests/emulation).

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <tuple>

#include "convoy/error.hpp"
#include "kernels/agreement.hpp"
#include "kernels/block.hpp"
#include "kernels/device_memory.hpp"
#include "kernels/devices.hpp"

namespace convoy {
namespace {

using test::Case;
using test::cases;
using test::cases_from_products;
using test::expect_agreement;
using test::infinity;
using test::noise;
using test::Setting;
using test::sharp_cases;

constexpr double enough = 8e9;

class OnADevice : public testing::Test {
 protected:
    void SetUp() override {
        if (cuda_devices().empty()) GTEST_SKIP() << "no CUDA device: " << why_no_cuda_device();
        use_cuda_device(0, enough);
    }
};

class EveryVerb : public OnADevice, public testing::WithParamInterface<std::tuple<Case, Precision, bool>> {};

TEST_P(EveryVerb, AgreesWithTheReference) {
    const auto& [c, precision, keep_products] = GetParam();
    const Setting s{c};
    const auto block = make_cuda_block(s.problem(precision, keep_products));

    expect_agreement(c, s, *block, precision);
}

INSTANTIATE_TEST_SUITE_P(Single, EveryVerb,
                         testing::Combine(testing::ValuesIn(cases()), testing::Values(Precision::single),
                                          testing::Values(false)));
INSTANTIATE_TEST_SUITE_P(Double, EveryVerb,
                         testing::Combine(testing::ValuesIn(cases()), testing::Values(Precision::fp64),
                                          testing::Values(false)));
INSTANTIATE_TEST_SUITE_P(Sharp, EveryVerb,
                         testing::Combine(testing::ValuesIn(sharp_cases()), testing::Values(Precision::fp64),
                                          testing::Values(false)));
INSTANTIATE_TEST_SUITE_P(Kept, EveryVerb,
                         testing::Combine(testing::ValuesIn(cases_from_products()), testing::Values(Precision::single),
                                          testing::Values(true)));

// Points that do not fit pass through the device in portions.
class Streamed : public OnADevice, public testing::WithParamInterface<std::tuple<Case, Precision, bool>> {};

TEST_P(Streamed, AgreesWithTheReference) {
    const auto& [c, precision, keep_products] = GetParam();
    const Setting s{c};
    BlockProblem problem = s.problem(precision, keep_products);
    problem.streamed_rows = 29;

    const auto block = make_cuda_block(problem);

    expect_agreement(c, s, *block, precision);
}

std::vector<Case> cases_to_stream() {
    std::vector<Case> all;
    for (const char* cost : {"sqeuclidean", "euclidean", "pnorm:1.5", "dot"}) {
        for (const std::int64_t d : {3, 20}) all.push_back({cost, 67, 95, d, 0.1, true});
    }
    all.push_back({"sqeuclidean", 0, 40, 3, 0.1, true});
    all.push_back({"cosine", 29, 1, 20, 0.1, true});
    return all;
}

INSTANTIATE_TEST_SUITE_P(All, Streamed,
                         testing::Combine(testing::ValuesIn(cases_to_stream()),
                                          testing::Values(Precision::single, Precision::fp64), testing::Bool()));

class CudaBlock : public OnADevice, public testing::WithParamInterface<bool> {};  // keeping products
INSTANTIATE_TEST_SUITE_P(CudaBlock, CudaBlock, testing::Bool());

TEST_P(CudaBlock, GivesTheSameBitsOnceMore) {
    const Setting s{{"sqeuclidean", 700, 1301, 20, 0.05, true}};
    const auto block = make_cuda_block(s.problem(Precision::single, GetParam()));
    const auto again = make_cuda_block(s.problem(Precision::single, GetParam()));
    for (const Side side : {Side::row, Side::column}) {
        const LocalRun all{LocalIndex{0}, side == Side::row ? 700 : 1301};
        for (const Safety safety : {Safety::safe, Safety::shifted}) {
            Sums first, second, third;

            block->reduce(side, all, s.potentials(side), s.epsilon, safety, first);
            block->reduce(side, all, s.potentials(side), s.epsilon, safety, second);
            again->reduce(side, all, s.potentials(side), s.epsilon, safety, third);

            EXPECT_EQ(first.sum, second.sum);
            EXPECT_EQ(first.sum, third.sum);
            EXPECT_EQ(first.max, third.max);
        }
    }
}

TEST_P(CudaBlock, SumsToOneAtInfiniteEpsilon) {
    for (const std::int64_t d : {4, 40}) test::expect_ones_at_infinite_epsilon(d, GetParam(), make_cuda_block);
}

TEST_P(CudaBlock, ReducesHugeAndTinyPoints) {
    for (const std::int64_t d : {7, 20}) test::expect_sums_of_huge_and_tiny_points(d, GetParam(), make_cuda_block);
}

TEST_P(CudaBlock, CarriesANanIntoTheSums) {
    for (const std::int64_t d : {3, 20}) test::expect_nan_in_the_sums(d, GetParam(), make_cuda_block);
}

TEST_F(OnADevice, PicksWhatTheReferencePicks) {
    for (const char* cost : {"sqeuclidean", "euclidean", "pnorm:1.5", "dot", "cosine"}) {
        for (const auto& [n, m] : {std::pair{1, 1}, {13, 1}, {5, 0}, {67, 131}, {9, 2100}}) {
            const Setting s{{cost, n, m, 5, 0.1, true}};
            const auto reference = make_reference_block(s.problem(Precision::fp64));
            const auto block = make_cuda_block(s.problem(Precision::single));
            for (const PickRule::Kind kind : {PickRule::Kind::top, PickRule::Kind::sample, PickRule::Kind::hard}) {
                for (const std::int64_t count : {1, 3, 40}) {
                    for (const Side side : {Side::row, Side::column}) {
                        const LocalRun range{LocalIndex{0}, side == Side::row ? n : m};
                        Picks expected, picks;

                        reference->pick(side, range, s.potentials(side), s.epsilon, {kind, count, 7}, expected);
                        block->pick(side, range, s.potentials(side), s.epsilon, {kind, count, 7}, picks);

                        EXPECT_EQ(picks.index, expected.index) << cost << " " << n << " x " << m;
                        ASSERT_EQ(picks.score.size(), expected.score.size());
                        for (std::size_t k = 0; k < picks.score.size(); ++k) {
                            if (expected.index[k] < 0) {
                                EXPECT_EQ(picks.score[k], -infinity);
                            } else {
                                EXPECT_NEAR(picks.score[k], expected.score[k],
                                            1e-10 * (1 + std::abs(expected.score[k])));
                            }
                        }
                    }
                }
            }
        }
    }
}

TEST_F(OnADevice, DrawsManyTimesFromOnePairThatHasNearlyAllMass) {
    Setting s{{"sqeuclidean", 21, 2100, 3, 0.3, true}};
    s.g[2070] += 12 * s.epsilon;  // of the second tile
    s.f_for_columns[4] += 12 * s.epsilon;
    const auto reference = make_reference_block(s.problem(Precision::fp64));
    const auto block = make_cuda_block(s.problem(Precision::single));
    for (const std::int64_t count : {1, 2, 31, 100}) {
        for (const Side side : {Side::row, Side::column}) {
            const LocalRun range{LocalIndex{0}, 21};
            Picks expected, picks;

            reference->pick(side, range, s.potentials(side), s.epsilon, {PickRule::Kind::sample, count, 7}, expected);
            block->pick(side, range, s.potentials(side), s.epsilon, {PickRule::Kind::sample, count, 7}, picks);

            EXPECT_EQ(picks.index, expected.index) << count;
        }
    }
}

TEST_F(OnADevice, KeepsProductsAndSaysHowMany) {
    const Setting s{{"sqeuclidean", 64, 47, 20, 1, true}}, none{{"euclidean", 64, 47, 4, 1, true}};

    EXPECT_EQ(make_cuda_block(s.problem(Precision::single, true))->kept_products().bytes,
              4.0 * 64 * static_cast<double>(cuda::stride_of_products(47)));
    EXPECT_EQ(make_cuda_block(s.problem(Precision::single, false))->kept_products().bytes, 0);
    EXPECT_EQ(make_cuda_block(none.problem(Precision::single, true))->kept_products().bytes, 0);
}

TEST_F(OnADevice, RefusesWhatIsMoreThanItMayHold) {
    const Setting s{{"sqeuclidean", 640, 470, 20, 1, true}};
    use_cuda_device(0, 1e5);

    EXPECT_THROW(make_cuda_block(s.problem(Precision::single, true)), Failure);
}

}  // namespace
}  // namespace convoy
