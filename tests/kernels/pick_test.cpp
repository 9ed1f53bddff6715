// Picks of the CPU backend: the reference's, index by index and score by score.

#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <tuple>

#include "hwy/targets.h"
#include "kernels/agreement.hpp"
#include "kernels/draws.hpp"

namespace convoy {
namespace {

using test::Case;
using test::infinity;
using test::noise;
using test::Setting;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr PickRule::Kind kinds[] = {PickRule::Kind::top, PickRule::Kind::sample, PickRule::Kind::hard};

// Scores are the same numbers, not only close ones; nan where the reference has nan.
void expect_same(const Picks& actual, const Picks& expected) {
    ASSERT_EQ(actual.rows, expected.rows);
    ASSERT_EQ(actual.count, expected.count);
    ASSERT_EQ(actual.index, expected.index);
    ASSERT_EQ(actual.score.size(), expected.score.size());
    for (std::size_t k = 0; k < expected.score.size(); ++k) {
        if (std::isnan(expected.score[k]) && std::isnan(actual.score[k])) continue;
        ASSERT_EQ(actual.score[k], expected.score[k]) << "slot " << k;
    }
}

// A whole problem, for both backends.
struct Pair {
    BlockProblem problem;
    std::vector<double> f, g;
    double epsilon;

    explicit Pair(const Setting& s, Precision precision = Precision::single, bool keep_products = false)
        : problem{s.problem(precision, keep_products)}, f{s.f}, g{s.g}, epsilon{s.epsilon} {}

    void expect_same_picks(const PickRule& rule, Side side, LocalRun range) const {
        const auto reference = make_reference_block(problem);
        expect_same_picks(*make_cpu_block(problem), *reference, rule, side, range);
    }
    void expect_same_picks(const Block& block, const Block& reference, const PickRule& rule, Side side,
                           LocalRun range) const {
        Picks expected, actual;
        reference.pick(side, range, {f, g}, epsilon, rule, expected);
        block.pick(side, range, {f, g}, epsilon, rule, actual);
        SCOPED_TRACE("rule " + std::to_string(static_cast<int>(rule.kind)) + " count " + std::to_string(rule.count) +
                     (side == Side::row ? " row" : " column"));
        expect_same(actual, expected);
    }
    void expect_same_picks_of_all_kinds(std::initializer_list<std::int64_t> counts) const {
        const auto reference = make_reference_block(problem);
        const auto block = make_cpu_block(problem);
        for (const PickRule::Kind kind : kinds) {
            for (const std::int64_t count : counts) {
                for (const Side side : {Side::row, Side::column}) {
                    expect_same_picks(*block, *reference, {kind, count, 5}, side, all(side));
                    if (testing::Test::HasFatalFailure()) return;
                }
            }
        }
    }
    LocalRun all(Side side) const {
        return {LocalIndex{0}, side == Side::row ? problem.source->rows : problem.target->rows};
    }
};

// --- Every case that the other verbs are held against

class EveryPick : public testing::TestWithParam<std::tuple<Case, Precision, bool>> {};

TEST_P(EveryPick, IsTheReferences) {
    const auto& [c, precision, keep_products] = GetParam();
    const Setting s{c};
    const Pair pair{s, precision, keep_products};
    const auto reference = make_reference_block(pair.problem);
    const auto block = make_cpu_block(pair.problem);
    for (const PickRule::Kind kind : kinds) {
        for (const std::int64_t count : {1, 3, 40, 1000}) {
            for (const Side side : {Side::row, Side::column}) {
                const std::int64_t rows = pair.all(side).count;
                // Draws from all rows would take the reference minutes.
                const bool few = kind == PickRule::Kind::sample && count > 3;
                const LocalRun range{LocalIndex{rows / 3}, few ? std::min<std::int64_t>(rows - rows / 3, 2)
                                                               : rows - rows / 3};
                pair.expect_same_picks(*block, *reference, {kind, count, 5}, side, range);
                if (HasFatalFailure()) return;
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Picks, EveryPick,
                         testing::Combine(testing::ValuesIn(test::cases()),
                                          testing::Values(Precision::single, Precision::fp64), testing::Values(false)));
INSTANTIATE_TEST_SUITE_P(SharpPicks, EveryPick,
                         testing::Combine(testing::ValuesIn(test::sharp_cases()),
                                          testing::Values(Precision::single, Precision::fp64), testing::Values(false)));
INSTANTIATE_TEST_SUITE_P(KeptPicks, EveryPick,
                         testing::Combine(testing::ValuesIn(test::cases_from_products()),
                                          testing::Values(Precision::single, Precision::fp64), testing::Values(true)));

}  // namespace
}  // namespace convoy
