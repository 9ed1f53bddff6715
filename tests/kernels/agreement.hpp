#pragma once
// Every verb of a backend against the sequential reference, on sizes and inputs chosen to be awkward.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <ostream>
#include <vector>

#include "kernels/block.hpp"
#include "kernels/clouds.hpp"

namespace convoy::test {

constexpr double infinity = std::numeric_limits<double>::infinity();

struct Case {
    const char* cost;
    std::int64_t n, m, d;
    double epsilon;  // relative to a typical cost
    bool weighted;
    double offset = 0;
    double size = 1;
};

inline std::ostream& operator<<(std::ostream& out, const Case& c) {
    return out << c.cost << " n=" << c.n << " m=" << c.m << " d=" << c.d << " eps=" << c.epsilon
               << (c.weighted ? " weighted" : "") << " offset=" << c.offset << " size=" << c.size;
}

struct Setting {
    Cloud source, target;
    Cost cost;
    double epsilon = 1;
    std::vector<double> f, g, centre;
    std::vector<double> f_for_columns, g_for_columns;

    explicit Setting(const Case& c)
        : source{made({c.n, c.d, c.offset, c.size, c.weighted, 1})},
          target{made({c.m, c.d, c.offset + 0.5 * c.size, 0.8 * c.size, c.weighted, 2})},
          cost{Cost::parse(c.cost)} {
        double typical = 0;
        for (std::int64_t i = 0; i < std::min<std::int64_t>(c.n, 5); ++i) {
            for (std::int64_t j = 0; j < std::min<std::int64_t>(c.m, 5); ++j) {
                typical = std::max(typical, std::abs(cost(source.point(i), target.point(j))));
            }
        }
        if (typical == 0) typical = 1;
        epsilon = c.epsilon * typical;
        // Potentials near what a solver meets: soft minima of one side, so that its shifted sums are in range, and a
        // little noise.
        f = f_for_columns = noise(c.n, 0.1 * epsilon, 3);
        g = g_for_columns = noise(c.m, 0.1 * epsilon, 4);
        std::vector<double> low_of_row(f.size(), infinity), low_of_column(g.size(), infinity);
        for (std::size_t i = 0; i < f.size(); ++i) {
            for (std::size_t j = 0; j < g.size(); ++j) {
                const double c_ij =
                    cost(source.point(static_cast<std::int64_t>(i)), target.point(static_cast<std::int64_t>(j)));
                low_of_row[i] = std::min(low_of_row[i], c_ij);
                low_of_column[j] = std::min(low_of_column[j], c_ij);
            }
        }
        if (c.n == 0 || c.m == 0) low_of_row.assign(f.size(), 0), low_of_column.assign(g.size(), 0);
        std::transform(f.begin(), f.end(), low_of_row.begin(), f.begin(), std::plus{});
        std::transform(g.begin(), g.end(), low_of_column.begin(), g_for_columns.begin(), std::plus{});
        centre.assign(static_cast<std::size_t>(c.d), cost.may_be_centred() ? c.offset + 0.25 * c.size : 0.0);
    }

    BlockProblem problem(Precision precision, bool keep_products = false) const {
        return {cost, &source, &target, centre, GlobalIndex{100}, GlobalIndex{1000}, precision, keep_products};
    }
    // Such that the shifted sums of this side are in range.
    Potentials potentials(Side side = Side::row) const {
        return side == Side::row ? Potentials{f, g} : Potentials{f_for_columns, g_for_columns};
    }
};

// Rounding moves a logit by what the block says, over eps; sums of many terms and the exponential add a few ulps.
inline double relative_tolerance(const Block& block, const Setting& s, Precision precision) {
    const double ulp = precision == Precision::single ? 0x1p-23 : 0x1p-52;
    double largest = 100 * s.epsilon;  // logits of this size, at least, are rounded
    for (const double f : s.f) largest = std::max(largest, std::abs(f));
    for (const double g : s.g_for_columns) largest = std::max(largest, std::abs(g));
    const double potential = 2 * ulp * largest / s.epsilon;
    return 8 * block.rounding_of_cost() * std::sqrt(static_cast<double>(s.source.dimension)) / s.epsilon + potential;
}

inline void expect_close(double actual, double expected, double scale, double tolerance, const char* what) {
    EXPECT_NEAR(actual, expected, tolerance * scale + 1e-300) << what;
}

// \param block of s.problem(precision)
inline void expect_agreement(const Case& c, const Setting& s, const Block& block, Precision precision) {
    const auto reference = make_reference_block(s.problem(Precision::fp64));
    const double tolerance = relative_tolerance(block, s, precision);
    ASSERT_LT(tolerance, 0.5) << "this case tests nothing";

    for (const Side side : {Side::row, Side::column}) {
        const std::int64_t rows = side == Side::row ? c.n : c.m;
        const std::int64_t summed = side == Side::row ? c.m : c.n;
        for (const Safety safety : {Safety::shifted, Safety::safe}) {
            const LocalRun range{LocalIndex{rows / 3}, rows - rows / 3};
            Sums expected, actual;
            reference->reduce(side, range, s.potentials(side), s.epsilon, safety, expected);
            block.reduce(side, range, s.potentials(side), s.epsilon, safety, actual);
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
            std::vector<Weighting> weightings{Weighting::of_columns(columns, 7),
                                              Weighting::of_columns(columns, 7, 1e-12),
                                              Weighting::of_cost(0.5 * s.epsilon), Weighting::of_values()};
            if (s.cost.translation_invariant()) weightings.push_back(Weighting::of_gradient(c.d));
            for (const Weighting& weighting : weightings) {
                Sums expected_sums, sums;
                std::vector<double> expected_values, values;
                reference->apply(side, range, s.potentials(side), s.epsilon, safety, weighting, expected_sums,
                                 expected_values);
                block.apply(side, range, s.potentials(side), s.epsilon, safety, weighting, sums, values);
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

inline std::vector<Case> cases() {
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

inline std::vector<Case> sharp_cases() {  // where single precision has nothing left to say
    std::vector<Case> all;
    for (const char* cost : {"sqeuclidean", "euclidean", "pnorm:1.5", "dot", "cosine"})
        all.push_back({cost, 37, 53, 3, 1e-4, true});
    all.push_back({"dot", 67, 71, 3, 1e-3, true, 1e3});
    return all;
}

inline std::vector<Case> cases_from_products() {
    std::vector<Case> all;
    for (const Case& c : cases()) {
        if (Cost::parse(c.cost).uses_products()) all.push_back(c);
    }
    for (const auto& [n, m] : {std::pair{33, 300}, {300, 33}, {1031, 521}}) {
        for (const char* cost : {"sqeuclidean", "dot"}) all.push_back({cost, n, m, 40, 0.1, true});
    }
    for (const double size : {1e-3, 1e3}) all.push_back({"sqeuclidean", 67, 71, 20, 0.1, true, 0, size});
    return all;
}

// What follows takes make(BlockProblem): a block of the backend that is tested.

// P = a b^T there: all sums are 1.
template <class Make>
void expect_ones_at_infinite_epsilon(std::int64_t dimension, bool keep_products, const Make& make) {
    const Setting s{{"sqeuclidean", 1100, 47, dimension, 1, true}};
    const auto block = make(s.problem(Precision::single, keep_products));
    for (const Side side : {Side::row, Side::column}) {
        Sums sums;
        block->reduce(side, {LocalIndex{1}, 46}, s.potentials(), infinity, Safety::shifted, sums);
        ASSERT_EQ(sums.sum.size(), 46u);
        for (const double sum : sums.sum) EXPECT_NEAR(sum, 1, 2e-6);
    }
}

// Products of such points are beyond the range of single precision, logits are not.
template <class Make>
void expect_sums_of_huge_and_tiny_points(std::int64_t dimension, bool keep_products, const Make& make) {
    for (const double size : {1e-25, 1e25}) {
        const Setting s{{"sqeuclidean", 67, 71, dimension, 0.1, true, 0, size}};
        const auto reference = make_reference_block(s.problem(Precision::fp64));
        const auto block = make(s.problem(Precision::single, keep_products));
        for (const Side side : {Side::row, Side::column}) {
            const LocalRun all{LocalIndex{0}, side == Side::row ? 67 : 71};
            Sums expected, sums;
            reference->reduce(side, all, s.potentials(side), s.epsilon, Safety::shifted, expected);
            block->reduce(side, all, s.potentials(side), s.epsilon, Safety::shifted, sums);
            for (std::size_t i = 0; i < sums.sum.size(); ++i) EXPECT_NEAR(sums.sum[i] / expected.sum[i], 1, 1e-4);
        }
    }
}

template <class Make>
void expect_nan_in_the_sums(std::int64_t dimension, bool keep_products, const Make& make) {
    Setting s{{"sqeuclidean", 40, 50, dimension, 0.1, false}};
    s.g[17] = s.f_for_columns[17] = std::numeric_limits<double>::quiet_NaN();
    const auto block = make(s.problem(Precision::single, keep_products));
    for (const Side side : {Side::row, Side::column}) {
        Sums sums;
        block->reduce(side, {LocalIndex{0}, 40}, s.potentials(side), s.epsilon, Safety::shifted, sums);
        for (const double sum : sums.sum) EXPECT_TRUE(std::isnan(sum));
    }
}

}  // namespace convoy::test
