// The CPU backend against the sequential reference, and what is its own.

#include "kernels/block.hpp"

#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "hwy/targets.h"
#include "kernels/agreement.hpp"

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

class EveryVerb : public testing::TestWithParam<std::tuple<Case, Precision, bool>> {};

TEST_P(EveryVerb, AgreesWithTheReference) {
    const auto& [c, precision, keep_products] = GetParam();
    const Setting s{c};
    const auto block = make_cpu_block(s.problem(precision, keep_products));

    expect_agreement(c, s, *block, precision);
}

// Sharp plans, so that most entries are small; many points, so that some tiles are left out and others are not.
TEST(NegligibleEntries, AreLeftOutAndMeasured) {
    for (const bool keep_products : {false, true}) {
        for (const double epsilon : {1e-3, 0.3}) {
            const Setting s{{"sqeuclidean", 70, 1300, 3, epsilon, true}};
            const auto block = make_cpu_block(s.problem(Precision::single, keep_products));
            const std::vector<double> columns = noise(1300 * 11, 1, 9);
            for (const Safety safety : {Safety::shifted, Safety::safe}) {
                const auto apply = [&](double negligible, Sums& sums) {
                    std::vector<double> values;
                    block->apply(Side::row, {LocalIndex{3}, 66}, s.potentials(), s.epsilon, safety,
                                 Weighting::of_columns(columns, 11, negligible), sums, values);
                    return values;
                };
                Sums all, most;
                const std::vector<double> exact = apply(0, all), nearly = apply(1e-4, most);
                EXPECT_TRUE(all.dropped.empty());
                ASSERT_EQ(most.dropped.size(), most.sum.size());
                EXPECT_EQ(most.sum, all.sum);
                double dropped_somewhere = 0;
                for (std::size_t i = 0; i < most.sum.size(); ++i) {
                    const double share = most.dropped[i] / most.sum[i];
                    EXPECT_LE(share, 1300 * 1e-4);
                    dropped_somewhere = std::max(dropped_somewhere, share);
                    // What is left out is off by no more than the columns' range; 1e-5: single precision.
                    for (std::size_t k = i * 11; k < (i + 1) * 11; ++k)
                        EXPECT_NEAR(nearly[k] / most.sum[i], exact[k] / all.sum[i], 2 * share + 1e-5);
                }
                // A smooth plan has few small entries: its tiles stay matrix products, and lose nothing.
                EXPECT_EQ(dropped_somewhere > 0, epsilon == 1e-3);
            }
        }
    }
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
                         testing::Combine(testing::ValuesIn(cases_from_products()),
                                          testing::Values(Precision::single, Precision::fp64), testing::Values(true)));

class CpuBlockKeepingProducts : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(CpuBlock, CpuBlockKeepingProducts, testing::Bool());

TEST_P(CpuBlockKeepingProducts, GivesTheSameBitsOnAnyNumberOfThreads) {
    const Setting s{{"sqeuclidean", 1700, 3001, 5, 0.05, true}};
    const int before = omp_get_max_threads();
    std::vector<Sums> results;
    for (const int threads : {1, 2, 3, 7}) {
        omp_set_num_threads(threads);
        const auto block = make_cpu_block(s.problem(Precision::single, GetParam()));
        for (const Side side : {Side::row, Side::column}) {
            for (const Safety safety : {Safety::safe, Safety::shifted}) {
                const std::int64_t rows = side == Side::row ? 1700 : 3001;
                Sums sums;
                block->reduce(side, {LocalIndex{0}, rows}, s.potentials(side), s.epsilon, safety, sums);
                results.push_back(sums);
            }
        }
    }
    omp_set_num_threads(before);
    for (std::size_t k = 4; k < results.size(); ++k) {
        EXPECT_EQ(results[k].sum, results[k % 4].sum);
        EXPECT_EQ(results[k].max, results[k % 4].max);
    }
}

TEST_P(CpuBlockKeepingProducts, SumsToOneAtInfiniteEpsilon) {
    test::expect_ones_at_infinite_epsilon(4, GetParam(), make_cpu_block);
}

TEST_P(CpuBlockKeepingProducts, ReducesHugeAndTinyPoints) {
    test::expect_sums_of_huge_and_tiny_points(20, GetParam(), make_cpu_block);
}

// AVX2 and AVX-512 here; where there is but one of them, this says nothing.
TEST_P(CpuBlockKeepingProducts, GivesTheSameBitsAtEveryVectorWidth) {
    const Setting s{{"sqeuclidean", 1100, 521, 20, 0.1, true}};
    for (const Side side : {Side::row, Side::column}) {
        const LocalRun all{LocalIndex{0}, side == Side::row ? 1100 : 521};
        std::vector<Sums> results;
        for (const std::int64_t target : {HWY_AVX2, HWY_AVX3}) {
            if ((hwy::SupportedTargets() & target) == 0) continue;
            hwy::SetSupportedTargetsForTest(target);
            hwy::GetChosenTarget().Update(hwy::SupportedTargets());
            const auto block = make_cpu_block(s.problem(Precision::single, GetParam()));
            block->reduce(side, all, s.potentials(side), s.epsilon, Safety::shifted, results.emplace_back());
            hwy::SetSupportedTargetsForTest(0);
            hwy::GetChosenTarget().Update(hwy::SupportedTargets());
        }
        for (const Sums& result : results) EXPECT_EQ(result.sum, results.front().sum);
    }
}

TEST(CpuBlock, SaysWhatItKeeps) {
    const Setting s{{"sqeuclidean", 64, 47, 4, 1, true}}, none{{"euclidean", 64, 47, 4, 1, true}};

    EXPECT_EQ(make_cpu_block(s.problem(Precision::single, true))->kept_products().bytes, 4.0 * 64 * 47);
    EXPECT_EQ(make_cpu_block(s.problem(Precision::single, false))->kept_products().bytes, 0);
    EXPECT_EQ(make_cpu_block(none.problem(Precision::single, true))->kept_products().bytes, 0);
}

TEST(CpuBlock, AveragesCostsOfTheIndependentPlanAtInfiniteEpsilon) {
    const Setting s{{"euclidean", 19, 23, 4, 1, true}};
    const auto block = make_cpu_block(s.problem(Precision::fp64));
    Sums sums;
    std::vector<double> values;

    block->apply(Side::row, {LocalIndex{0}, 19}, s.potentials(), infinity, Safety::shifted, Weighting::of_cost(), sums,
                 values);

    for (std::int64_t i = 0; i < 19; ++i) {
        double mean = 0, square = 0;
        for (std::int64_t j = 0; j < 23; ++j) {
            const double c = s.cost(s.source.point(i), s.target.point(j));
            mean += s.target.weights[static_cast<std::size_t>(j)] * c;
            square += s.target.weights[static_cast<std::size_t>(j)] * c * c;
        }
        EXPECT_NEAR(sums.sum[static_cast<std::size_t>(i)], 1, 1e-14);
        EXPECT_NEAR(values[static_cast<std::size_t>(2 * i)], mean, 1e-13);
        EXPECT_NEAR(values[static_cast<std::size_t>(2 * i + 1)], square, 1e-12);
    }
}

TEST_P(CpuBlockKeepingProducts, CarriesANanIntoTheSums) {
    test::expect_nan_in_the_sums(3, GetParam(), make_cpu_block);
}

}  // namespace
}  // namespace convoy
