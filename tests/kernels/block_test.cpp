// Every verb of the CPU backend against the sequential reference, on sizes and inputs chosen to be awkward.

#include "kernels/block.hpp"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <limits>
#include <tuple>

#include "kernels/clouds.hpp"

namespace convoy {
namespace {

using test::CloudRecipe;
using test::made;
using test::noise;

constexpr double infinity = std::numeric_limits<double>::infinity();

struct Case {
    const char* cost;
    std::int64_t n, m, d;
    double epsilon;  // relative to a typical cost
    bool weighted;
    double offset = 0;
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
    return out << c.cost << " n=" << c.n << " m=" << c.m << " d=" << c.d << " eps=" << c.epsilon
               << (c.weighted ? " weighted" : "") << " offset=" << c.offset;
}

struct Setting {
    Cloud source, target;
    Cost cost;
    double epsilon = 1;
    std::vector<double> f, g, centre;

    explicit Setting(const Case& c)
        : source{made({c.n, c.d, c.offset, 1, c.weighted, 1})},
          target{made({c.m, c.d, c.offset + 0.5, 0.8, c.weighted, 2})},
          cost{Cost::parse(c.cost)} {
        double typical = 0;
        for (std::int64_t i = 0; i < std::min<std::int64_t>(c.n, 5); ++i) {
            for (std::int64_t j = 0; j < std::min<std::int64_t>(c.m, 5); ++j) {
                typical = std::max(typical, std::abs(cost(source.point(i), target.point(j))));
            }
        }
        if (typical == 0) typical = 1;
        epsilon = c.epsilon * typical;
        // Potentials near what a solver meets: soft minima, so that shifted sums are in range, and a little noise.
        f = noise(c.n, 0.1 * epsilon, 3);
        g = noise(c.m, 0.1 * epsilon, 4);
        for (std::int64_t i = 0; i < c.n; ++i) {
            double low = infinity;
            for (std::int64_t j = 0; j < c.m; ++j) low = std::min(low, cost(source.point(i), target.point(j)));
            if (c.m > 0) f[static_cast<std::size_t>(i)] += low;
        }
        centre.assign(static_cast<std::size_t>(c.d), cost.may_be_centred() ? c.offset + 0.25 : 0.0);
    }

    BlockProblem problem(Precision precision) const {
        return {cost, &source, &target, centre, GlobalIndex{100}, GlobalIndex{1000}, precision};
    }
    Potentials potentials() const { return {f, g}; }
};

// Rounding moves a logit by what the block says, over eps; sums of many terms and the exponential add a few ulps.
double relative_tolerance(const Block& block, const Setting& s, Precision precision) {
    const double ulp = precision == Precision::single ? 0x1p-23 : 0x1p-52;
    double largest = 100 * s.epsilon;  // logits of this size, at least, are rounded
    for (const double f : s.f) largest = std::max(largest, std::abs(f));
    const double potential = 2 * ulp * largest / s.epsilon;
    return 8 * block.rounding_of_cost() * std::sqrt(static_cast<double>(s.source.dimension)) / s.epsilon + potential;
}

void expect_close(double actual, double expected, double scale, double tolerance, const char* what) {
    EXPECT_NEAR(actual, expected, tolerance * scale + 1e-300) << what;
}

class EveryVerb : public testing::TestWithParam<std::tuple<Case, Precision>> {};

TEST_P(EveryVerb, AgreesWithTheReference) {
    const auto& [c, precision] = GetParam();
    const Setting s{c};
    const auto reference = make_reference_block(s.problem(Precision::fp64));
    const auto block = make_cpu_block(s.problem(precision));
    const double tolerance = relative_tolerance(*block, s, precision);
    ASSERT_LT(tolerance, 0.5) << "this case tests nothing";

    for (const Side side : {Side::row, Side::column}) {
        const std::int64_t rows = side == Side::row ? c.n : c.m;
        const std::int64_t summed = side == Side::row ? c.m : c.n;
        for (const Safety safety : {Safety::shifted, Safety::safe}) {
            // Shifted sums are in range for the side that the potentials are exact for.
            if (safety == Safety::shifted && side == Side::column) continue;
            const LocalRun range{LocalIndex{rows / 3}, rows - rows / 3};
            Sums expected, actual;
            reference->reduce(side, range, s.potentials(), s.epsilon, safety, expected);
            block->reduce(side, range, s.potentials(), s.epsilon, safety, actual);
            ASSERT_EQ(actual.sum.size(), expected.sum.size());
            for (std::size_t i = 0; i < expected.sum.size(); ++i) {
                if (safety == Safety::shifted) {
                    expect_close(actual.sum[i], expected.sum[i], expected.sum[i], tolerance, "sum");
                } else if (expected.max[i] == -infinity) {
                    EXPECT_EQ(actual.max[i], -infinity);
                    EXPECT_EQ(actual.sum[i], 0);
                } else {
                    expect_close(actual.max[i] + std::log(actual.sum[i]), expected.max[i] + std::log(expected.sum[i]),
                                 1, tolerance, "log sum");
                }
            }

            const std::vector<double> columns = noise(summed * 7, 1, 9);
            std::vector<Weighting> weightings{Weighting::of_columns(columns, 7), Weighting::of_cost(0.5 * s.epsilon),
                                              Weighting::of_values()};
            if (s.cost.translation_invariant()) weightings.push_back(Weighting::of_gradient(c.d));
            for (const Weighting& weighting : weightings) {
                Sums expected_sums, sums;
                std::vector<double> expected_values, values;
                reference->apply(side, range, s.potentials(), s.epsilon, safety, weighting, expected_sums,
                                 expected_values);
                block->apply(side, range, s.potentials(), s.epsilon, safety, weighting, sums, values);
                ASSERT_EQ(values.size(), expected_values.size());
                // The size of what is averaged sets the scale of its rounding errors.
                std::vector<double> scale(static_cast<std::size_t>(weighting.width), 1e-30);
                for (std::size_t k = 0; k < values.size(); ++k) {
                    const double sum = expected_sums.sum[k / scale.size()];
                    double& largest = scale[k % scale.size()];
                    if (sum > 0) largest = std::max(largest, std::abs(expected_values[k] / sum));
                }
                for (std::size_t k = 0; k < values.size(); ++k) {
                    const std::size_t i = k / scale.size();
                    if (expected_sums.sum[i] == 0) {
                        EXPECT_EQ(values[k], 0);
                        continue;
                    }
                    EXPECT_NEAR(values[k] / sums.sum[i], expected_values[k] / expected_sums.sum[i],
                                (8 * tolerance) * std::max(scale[k % scale.size()], 1.0))
                        << "weighting " << static_cast<int>(weighting.kind) << " value " << k;
                }
            }
        }
    }
}

std::vector<Case> cases() {
    std::vector<Case> all;
    const std::vector<std::pair<std::int64_t, std::int64_t>> sizes{{0, 5},  {5, 0},   {1, 1},     {1, 13},
                                                                   {13, 1}, {31, 33}, {127, 131}, {67, 1031}};
    for (const char* cost :
         {"sqeuclidean", "euclidean", "pnorm:1.5", "pnorm:2", "pnorm:2.5", "pnorm:3", "pnorm:4", "dot", "cosine"}) {
        for (const auto& [n, m] : sizes) all.push_back({cost, n, m, 3, 0.05, true});
        for (const std::int64_t d : {1, 2, 4, 5, 6, 7, 8, 9, 17, 130}) {
            all.push_back({cost, 41, 29, d, 0.1, d % 2 == 0});
        }
        for (const double epsilon : {1e-2, 1.0, 1e4}) all.push_back({cost, 37, 53, 3, epsilon, true});
    }
    for (const char* cost : {"sqeuclidean", "euclidean", "pnorm:1.5"}) all.push_back({cost, 67, 71, 3, 0.1, true, 1e6});
    return all;
}

std::vector<Case> sharp_cases() {  // where single precision has nothing left to say
    std::vector<Case> all;
    for (const char* cost : {"sqeuclidean", "euclidean", "pnorm:1.5", "dot", "cosine"})
        all.push_back({cost, 37, 53, 3, 1e-4, true});
    all.push_back({"dot", 67, 71, 3, 1e-3, true, 1e3});
    return all;
}

INSTANTIATE_TEST_SUITE_P(Single, EveryVerb,
                         testing::Combine(testing::ValuesIn(cases()), testing::Values(Precision::single)));
INSTANTIATE_TEST_SUITE_P(Double, EveryVerb,
                         testing::Combine(testing::ValuesIn(cases()), testing::Values(Precision::fp64)));
INSTANTIATE_TEST_SUITE_P(Sharp, EveryVerb,
                         testing::Combine(testing::ValuesIn(sharp_cases()), testing::Values(Precision::fp64)));

TEST(CpuBlock, GivesTheSameBitsOnAnyNumberOfThreads) {
    const Setting s{{"sqeuclidean", 700, 3001, 5, 0.05, true}};
    const auto block = make_cpu_block(s.problem(Precision::single));
    const int before = omp_get_max_threads();
    std::vector<Sums> results;
    for (const int threads : {1, 2, 3, 7}) {
        omp_set_num_threads(threads);
        for (const Side side : {Side::row, Side::column}) {
            const std::int64_t rows = side == Side::row ? 700 : 3001;
            Sums sums;
            block->reduce(side, {LocalIndex{0}, rows}, s.potentials(), s.epsilon, Safety::safe, sums);
            results.push_back(sums);
        }
    }
    omp_set_num_threads(before);
    for (std::size_t k = 2; k < results.size(); ++k) {
        EXPECT_EQ(results[k].sum, results[k % 2].sum);
        EXPECT_EQ(results[k].max, results[k % 2].max);
    }
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

TEST(CpuBlock, CarriesANanIntoTheSums) {
    Setting s{{"sqeuclidean", 40, 50, 3, 0.1, false}};
    s.g[17] = std::numeric_limits<double>::quiet_NaN();
    const auto block = make_cpu_block(s.problem(Precision::single));
    Sums sums;

    block->reduce(Side::row, {LocalIndex{0}, 40}, s.potentials(), s.epsilon, Safety::shifted, sums);

    for (const double sum : sums.sum) EXPECT_TRUE(std::isnan(sum));
}

}  // namespace
}  // namespace convoy
