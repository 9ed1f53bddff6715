// Picks of the CPU backend: the reference's, index by index and score by score.

#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <tuple>
#include <utility>

#include "hwy/targets.h"
#include "kernels/agreement.hpp"
#include "kernels/draws.hpp"
#include "kernels/pick.hpp"

namespace convoy {
namespace {

using test::Case;
using test::infinity;
using test::noise;
using test::Setting;

// These problems are small: threads would wait for each other most of the time. Several have a test of their own.
const bool on_one_thread = (omp_set_num_threads(1), true);

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

// A whole problem, for the reference and for blocks of both precisions.
struct Problem {
    BlockProblem problem;
    std::vector<double> f, g;
    double epsilon;

    Problem(BlockProblem of, std::vector<double> of_rows, std::vector<double> of_columns, double eps)
        : problem{std::move(of)}, f{std::move(of_rows)}, g{std::move(of_columns)}, epsilon{eps} {}
    explicit Problem(const Setting& s) : Problem{s.problem(Precision::single), s.f, s.g, s.epsilon} {}

    LocalRun all(Side side) const {
        return {LocalIndex{0}, side == Side::row ? problem.source->rows : problem.target->rows};
    }
    std::vector<std::unique_ptr<Block>> blocks(std::initializer_list<bool> keeping) const {
        std::vector<std::unique_ptr<Block>> made;
        for (const Precision precision : {Precision::single, Precision::fp64}) {
            for (const bool keep : keeping) {
                if (keep && !problem.cost.uses_products()) continue;
                BlockProblem of = problem;
                of.precision = precision;
                of.keep_products = keep;
                made.push_back(make_cpu_block(of));
            }
        }
        return made;
    }
    void expect_same_picks(const std::vector<std::unique_ptr<Block>>& blocks, const PickRule& rule, Side side,
                           LocalRun range) const {
        SCOPED_TRACE("kind " + std::to_string(static_cast<int>(rule.kind)) + " count " + std::to_string(rule.count) +
                     (side == Side::row ? " row" : " column"));
        Picks expected;
        make_reference_block(problem)->pick(side, range, {f, g}, epsilon, rule, expected);
        for (const auto& block : blocks) {
            Picks actual;
            block->pick(side, range, {f, g}, epsilon, rule, actual);
            expect_same(actual, expected);
        }
    }
    void expect_same_picks(std::initializer_list<std::int64_t> counts, std::initializer_list<bool> keeping) const {
        const auto made = blocks(keeping);
        for (const PickRule::Kind kind : kinds) {
            for (const std::int64_t count : counts) {
                for (const Side side : {Side::row, Side::column}) {
                    expect_same_picks(made, {kind, count, 5}, side, all(side));
                    if (testing::Test::HasFatalFailure()) return;
                }
            }
        }
    }
};

// --- Every case that the other verbs are held against

class EveryPick : public testing::TestWithParam<std::tuple<Case, bool>> {};

TEST_P(EveryPick, IsTheReferences) {
    const auto& [c, keep_products] = GetParam();
    const Setting s{c};
    const Problem problem{s};
    const auto blocks = problem.blocks({keep_products});
    for (const PickRule::Kind kind : kinds) {
        for (const std::int64_t count : {1, 3, 40, 1000}) {
            for (const Side side : {Side::row, Side::column}) {
                const std::int64_t rows = problem.all(side).count;
                // Long lists of all rows would take the reference minutes.
                const std::int64_t most = count <= 3 ? rows : kind == PickRule::Kind::sample ? 1 : 5;
                problem.expect_same_picks(blocks, {kind, count, 5}, side,
                                          {LocalIndex{rows / 3}, std::min(rows - rows / 3, most)});
                if (HasFatalFailure()) return;
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Picks, EveryPick, testing::Combine(testing::ValuesIn(test::cases()), testing::Values(false)));
INSTANTIATE_TEST_SUITE_P(SharpPicks, EveryPick,
                         testing::Combine(testing::ValuesIn(test::sharp_cases()), testing::Values(false)));
INSTANTIATE_TEST_SUITE_P(KeptPicks, EveryPick,
                         testing::Combine(testing::ValuesIn(test::cases_from_products()), testing::Values(true)));

// --- Where single precision alone is wrong

// Source: normal points. Target: made by a function of its number.
struct Clouds {
    Cloud source, target;
    Clouds(std::int64_t n, std::int64_t m, std::int64_t d, const std::function<double(std::int64_t, std::int64_t)>& y)
        : source{test::made({n, d, 0, 1, false, 1})} {
        std::vector<double> points;
        for (std::int64_t j = 0; j < m; ++j) {
            for (std::int64_t k = 0; k < d; ++k) points.push_back(y(j, k));
        }
        target = uniform_cloud(std::move(points), d);
    }
    Problem problem(const char* cost, double epsilon) const {
        return {{Cost::parse(cost), &source, &target, {}, GlobalIndex{7}, GlobalIndex{11}, Precision::single},
                noise(source.rows, 0.1, 3),
                std::vector<double>(static_cast<std::size_t>(target.rows), 0.25),
                epsilon};
    }
};

const std::vector<const char*> all_costs{"sqeuclidean", "euclidean", "pnorm:1.5", "pnorm:2",
                                         "pnorm:2.5",   "pnorm:3",   "dot",       "cosine"};

TEST(Pick, TakesTheSmallerIndexOfEqualEntries) {
    for (const char* cost : all_costs) {
        // Each of three points many times; the same one always.
        for (const std::int64_t distinct : {3, 1}) {
            SCOPED_TRACE(cost);
            const Clouds clouds{3, 400, 3, [&](std::int64_t j, std::int64_t k) {
                                    return 0.3 + 0.1 * static_cast<double>((j * 7 % distinct) * (k + 1));
                                }};
            clouds.problem(cost, 0.1).expect_same_picks({1, 3, 90}, {false, true});
            if (HasFatalFailure()) return;
        }
    }
}

TEST(Pick, TellsApartWhatIsTheSameInSinglePrecision) {
    for (const char* cost : all_costs) {
        for (const double step : {1e-9, 1e-12, 3e-8}) {
            SCOPED_TRACE(cost);
            // Nearest and farthest points in no order, all of them one point in single precision (or two).
            const Clouds clouds{6, 2003, 2, [&](std::int64_t j, std::int64_t k) {
                                    return k == 0 ? 1.5 + step * static_cast<double>(j * 601 % 2003) : 0.7;
                                }};
            const Problem problem = clouds.problem(cost, 1e-6);
            if (step == 1e-9) {
                // Indeed: rounded points pick the first of equals.
                std::vector<double> rounded = clouds.target.points;
                for (double& x : rounded) x = static_cast<double>(static_cast<float>(x));
                const Cloud wrong = uniform_cloud(rounded, 2);
                BlockProblem of_wrong = problem.problem;
                of_wrong.target = &wrong;
                Picks expected, picks;
                make_reference_block(problem.problem)
                    ->pick(Side::row, problem.all(Side::row), {problem.f, problem.g}, 1e-6, {PickRule::Kind::top, 1, 0},
                           expected);
                make_reference_block(of_wrong)->pick(Side::row, problem.all(Side::row), {problem.f, problem.g}, 1e-6,
                                                     {PickRule::Kind::top, 1, 0}, picks);
                EXPECT_NE(picks.index, expected.index);
            }
            problem.expect_same_picks({1, 3, 40}, {false, true});
            if (HasFatalFailure()) return;
        }
    }
}

TEST(Pick, IsExactWherePotentialsCancelCosts) {
    // Potentials that make all entries of one row nearly equal, but for what fp64 holds.
    for (const char* cost : {"sqeuclidean", "euclidean", "pnorm:1.5", "dot"}) {
        for (const double size : {1.0, 1e3}) {
            Setting s{{cost, 6, 800, 3, 0.05, true, 0, size}};
            const std::vector<double> little = noise(800, 1e-10 * size, 8);
            for (std::int64_t j = 0; j < 800; ++j) {
                const auto at = static_cast<std::size_t>(j);
                s.g[at] = s.cost(s.source.point(4), s.target.point(j)) + little[at];
            }
            Problem{s}.expect_same_picks({1, 3, 40}, {false, true});
            if (HasFatalFailure()) return;
        }
    }
}

TEST(Pick, IsExactForFarOffClouds) {
    for (const char* cost : {"sqeuclidean", "euclidean", "pnorm:1.5", "dot", "cosine"}) {
        for (const double distance : {1e2, 1e4, 1e7}) {
            SCOPED_TRACE(distance);
            // From each other; and single points from the rest.
            const Clouds apart{7, 900, 3, [&](std::int64_t j, std::int64_t k) {
                                   return distance + std::sin(static_cast<double>(1 + j * 3 + k));
                               }};
            const Clouds outliers{7, 900, 3, [&](std::int64_t j, std::int64_t k) {
                                      const double far = j % 300 == 150 ? distance : 1.0;
                                      return far * std::sin(static_cast<double>(1 + j * 3 + k));
                                  }};
            for (const Clouds* clouds : {&apart, &outliers}) {
                clouds->problem(cost, 0.1 * distance).expect_same_picks({1, 17}, {false, true});
                if (HasFatalFailure()) return;
            }
        }
    }
}

TEST(Pick, IsExactForHugeAndTinyNumbers) {
    for (const char* cost : {"sqeuclidean", "euclidean", "pnorm:3", "pnorm:2.2", "pnorm:40", "dot"}) {
        for (const double size : {1e-300, 1e-60, 1e-25, 1e-12, 1e12, 1e25, 1e60, 1e170}) {
            SCOPED_TRACE(std::string{cost} + " of size " + std::to_string(std::log10(size)));
            const Setting s{{cost, 5, 200, 3, 0.1, true, 0, size}};
            Problem{s}.expect_same_picks({1, 5}, {false, true});
            if (HasFatalFailure()) return;
        }
    }
    const Setting s{{"sqeuclidean", 5, 200, 3, 0.1, true}};
    for (const double epsilon : {1e-300, 1e-60, 1e-9, 1e9, 1e60, 1e300, infinity}) {
        for (const double potential : {0.0, 1e3, 1e20, 1e200}) {
            SCOPED_TRACE(epsilon);
            Problem problem{s};
            problem.epsilon = epsilon;
            for (double& f : problem.f) f += potential;
            for (std::size_t j = 0; j < problem.g.size(); j += 3) problem.g[j] -= potential;
            problem.expect_same_picks({1, 5}, {false, true});
            if (HasFatalFailure()) return;
        }
    }
}

// --- Numbers that are none, and points that are not there

TEST(Pick, DoesWithNanAndInfinityWhatTheReferenceDoes) {
    for (const char* cost : {"sqeuclidean", "euclidean"}) {
        for (const double bad : {nan, infinity, -infinity}) {
            Setting s{{cost, 50, 70, 3, 0.1, true}};
            s.f[13] = s.g[17] = bad;
            Problem{s}.expect_same_picks({1, 3, 100}, {false, true});
            Setting of_points{{cost, 50, 70, 3, 0.1, true}};
            of_points.source.points[40] = of_points.target.points[62] = bad;
            of_points.problem(Precision::single);
            Problem{of_points}.expect_same_picks({1, 3, 100}, {false, true});
            if (HasFatalFailure()) return;
        }
    }
}

TEST(Pick, LeavesOutPointsWithoutMass) {
    for (const std::int64_t with_mass : {0, 1, 3, 40}) {
        Setting s{{"sqeuclidean", 40, 200, 3, 0.1, false}};
        for (std::int64_t j = 0; j < 200; ++j)
            if (j % 5 != 2 || j / 5 >= with_mass) s.target.weights[static_cast<std::size_t>(j)] = 0;
        s.g[0] = nan;  // of no consequence
        Problem problem{s};
        problem.expect_same_picks({1, 3, 60}, {false, true});
        Picks picks;
        make_cpu_block(problem.problem)
            ->pick(Side::row, {LocalIndex{2}, 1}, {s.f, s.g}, s.epsilon, {PickRule::Kind::top, 60, 0}, picks);
        for (std::size_t k = 0; k < 60; ++k) EXPECT_EQ(picks.index[k] >= 0, static_cast<std::int64_t>(k) < with_mass);
    }
}

TEST(Pick, OfNothingIsNothing) {
    const Setting s{{"sqeuclidean", 40, 50, 3, 0.1, true}};
    const Problem problem{s};
    const auto blocks = problem.blocks({false, true});
    for (const PickRule::Kind kind : kinds) {
        problem.expect_same_picks(blocks, {kind, 3, 5}, Side::row, {LocalIndex{7}, 0});
        problem.expect_same_picks(blocks, {kind, 0, 5}, Side::row, {LocalIndex{7}, 5});
    }
}

// --- However the work is cut

// Few rows (the summed side is cut), many; clouds in the order of space.
std::vector<Setting> awkward_settings() {
    std::vector<Setting> all;
    all.emplace_back(Case{"sqeuclidean", 3, 30000, 3, 0.01, true});
    all.emplace_back(Case{"euclidean", 700, 231, 3, 0.05, true});
    all.emplace_back(Case{"sqeuclidean", 300, 1000, 1, 0.05, false});
    std::ranges::sort(all.back().target.points);
    std::ranges::sort(all.back().source.points);
    return all;
}

TEST(Pick, IsTheSameOnAnyNumberOfThreads) {
    const int before = omp_get_max_threads();
    for (const Setting& s : awkward_settings()) {
        const Problem problem{s};
        const auto blocks = problem.blocks({false, true});
        for (const PickRule& rule : {PickRule{PickRule::Kind::top, 4, 0}, PickRule{PickRule::Kind::hard, 1, 0},
                                     PickRule{PickRule::Kind::sample, 2, 5}, PickRule{PickRule::Kind::sample, 20, 5}}) {
            for (const Side side : {Side::row, Side::column}) {
                const LocalRun range{LocalIndex{1}, std::min<std::int64_t>(problem.all(side).count - 1, 300)};
                Picks expected;
                make_reference_block(problem.problem)->pick(side, range, {s.f, s.g}, s.epsilon, rule, expected);
                for (const int threads : {1, 2, 3, 7}) {
                    omp_set_num_threads(threads);
                    for (const auto& block : blocks) {
                        Picks actual;
                        block->pick(side, range, {s.f, s.g}, s.epsilon, rule, actual);
                        expect_same(actual, expected);
                    }
                }
            }
        }
    }
    omp_set_num_threads(before);
}

TEST(Pick, IsTheSameAtEveryVectorWidth) {
    for (const std::int64_t target : {HWY_AVX2, HWY_AVX3}) {
        if ((hwy::SupportedTargets() & target) == 0) continue;
        hwy::SetSupportedTargetsForTest(target);
        hwy::GetChosenTarget().Update(hwy::SupportedTargets());
        for (const char* cost : {"sqeuclidean", "euclidean", "pnorm:2.5"}) {
            const Setting s{{cost, 37, 300, 5, 0.05, true}};
            Problem{s}.expect_same_picks({1, 3, 40}, {false, true});
        }
        hwy::SetSupportedTargetsForTest(0);
        hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    }
}

TEST(Pick, FindsLongListsOfManyPoints) {
    const Setting s{{"sqeuclidean", 4, 5000, 3, 0.05, true}};
    const Problem problem{s};
    for (const std::int64_t count : {16, 129, 1000, 1500, 4999}) {
        for (const PickRule::Kind kind : {PickRule::Kind::top, PickRule::Kind::hard})
            problem.expect_same_picks(problem.blocks({false, true}), {kind, count, 0}, Side::row,
                                      problem.all(Side::row));
    }
}

// --- Draws

TEST(Draws, HaveUniformNumbersBetweenNoughtAndOne) {
    EXPECT_LT(kernels::uniform_of_bits(~std::uint64_t{0}), 1);
    EXPECT_GT(kernels::uniform_of_bits(0), 0);
    EXPECT_EQ(kernels::uniform_of_bits(std::uint64_t{1} << 63), 0.5);
}

// The race as it is defined (PickRule), without an early end: `count` arrivals of every pair, in order.
Picks race(const Problem& problem, const PickRule& rule, Side side, LocalRun range) {
    const PairScores scores{problem.problem, side, {problem.f, problem.g}, problem.epsilon, rule};
    Picks picks{range.count, rule.count, {}, {}};
    for (std::int64_t i = range.first.value; i < range.first.value + range.count; ++i) {
        std::vector<std::pair<double, std::int64_t>> arrivals;
        for (std::int64_t j = 0; j < problem.all(other(side)).count; ++j) {
            if (!scores.has_mass(j)) continue;
            const std::int64_t number = scores.summed_number(j).value;
            double sum = 0;
            for (std::int64_t k = 0; k < rule.count; ++k) {
                sum += -std::log(
                    kernels::uniform(rule.seed, side == Side::column, scores.staying_number(i).value, number, k));
                arrivals.emplace_back(scores(i, j) - std::log(sum), number);
            }
        }
        std::ranges::sort(arrivals, [](const auto& a, const auto& b) {
            return a.first != b.first ? a.first > b.first : a.second < b.second;
        });
        for (std::size_t k = 0; k < static_cast<std::size_t>(rule.count); ++k) {
            picks.score.push_back(arrivals[k].first);
            picks.index.push_back(arrivals[k].second);
        }
    }
    return picks;
}

// Rows of a dull plan, of a sharp one, and one where nearly all mass is one pair's.
std::vector<Problem> problems_to_draw_from(const Setting (&settings)[3]) {
    std::vector<Problem> problems;
    for (const Setting& s : settings) problems.emplace_back(s);
    problems.back().g[41] += 1.0 + 7 * problems.back().epsilon;
    return problems;
}

class Drawing : public testing::Test {
 protected:
    const Setting settings[3] = {Setting{{"sqeuclidean", 3, 60, 2, 10.0, true}},
                                 Setting{{"sqeuclidean", 3, 60, 2, 0.02, true}},
                                 Setting{{"sqeuclidean", 3, 60, 2, 0.3, true}}};
    const std::vector<Problem> problems = problems_to_draw_from(settings);

    // The conditional plan of row i.
    static std::vector<double> row_of_plan(const Problem& problem, std::int64_t i) {
        const PairScores scores{problem.problem, Side::row, {problem.f, problem.g}, problem.epsilon, {}};
        std::vector<double> p(static_cast<std::size_t>(problem.all(Side::column).count), 0.0);
        double total = 0;
        for (std::size_t j = 0; j < p.size(); ++j) {
            const auto column = static_cast<std::int64_t>(j);
            if (scores.has_mass(column)) total += p[j] = std::exp(scores(i, column));
        }
        for (double& x : p) x /= total;
        return p;
    }

    // Cells of fewer than ten expected go together.
    static void expect_probabilities(const std::vector<double>& p, const std::vector<double>& seen) {
        double draws = 0, chi_squared = 0, freedom = -1, rare_expected = 0, rare_seen = 0;
        for (const double s : seen) draws += s;
        const auto add = [&](double expected, double counted) {
            chi_squared += (counted - expected) * (counted - expected) / expected;
            ++freedom;
        };
        for (std::size_t j = 0; j < p.size(); ++j) {
            EXPECT_TRUE(p[j] > 0 || seen[j] == 0);
            if (draws * p[j] >= 10) {
                add(draws * p[j], seen[j]);
            } else {
                rare_expected += draws * p[j];
                rare_seen += seen[j];
            }
        }
        if (rare_expected >= 10) add(rare_expected, rare_seen);
        // Mean `freedom`, variance twice that: five standard deviations, for fixed seeds.
        EXPECT_LT(chi_squared, freedom + 5 * std::sqrt(2 * std::max(freedom, 0.0)) + 5);
    }
};

TEST_F(Drawing, TakesTheFirstArrivalsOfTheRace) {
    for (const Problem& problem : problems) {
        for (const Side side : {Side::row, Side::column}) {
            const LocalRun range{LocalIndex{0}, 3};
            for (const std::int64_t count : {1, 2, 7, 64, 300}) {
                SCOPED_TRACE(count);
                const PickRule rule{PickRule::Kind::sample, count, 5};
                Picks picks;

                make_reference_block(problem.problem)
                    ->pick(side, range, {problem.f, problem.g}, problem.epsilon, rule, picks);

                expect_same(picks, race(problem, rule, side, range));
            }
        }
    }
}

TEST_F(Drawing, OfFewIsTheBeginningOfMany) {
    for (const Problem& problem : problems) {
        auto blocks = problem.blocks({false});
        blocks.push_back(make_reference_block(problem.problem));
        for (const auto& block : blocks) {
            const LocalRun rows = problem.all(Side::row);
            const Potentials potentials{problem.f, problem.g};
            Picks many, few;
            block->pick(Side::row, rows, potentials, problem.epsilon, {PickRule::Kind::sample, 300, 5}, many);
            for (const std::int64_t count : {1, 2, 16, 129}) {
                block->pick(Side::row, rows, potentials, problem.epsilon, {PickRule::Kind::sample, count, 5}, few);
                for (std::int64_t slot = 0; slot < rows.count * count; ++slot) {
                    const auto at = static_cast<std::size_t>(slot / count * 300 + slot % count);
                    EXPECT_EQ(few.index[static_cast<std::size_t>(slot)], many.index[at]);
                    EXPECT_EQ(few.score[static_cast<std::size_t>(slot)], many.score[at]);
                }
            }
        }
    }
}

// Whatever the number of draws, and of each draw by itself: the first and the last.
TEST_F(Drawing, ComesFromTheConditionalPlan) {
    for (const Problem& problem : problems) {
        for (const auto& block : problem.blocks({false})) {
            for (const std::int64_t count : {1, 2, 16, 5000}) {
                SCOPED_TRACE(count);
                const auto rounds = static_cast<std::uint64_t>(std::max<std::int64_t>(10000 / count, 4));
                std::vector<double> seen[3], first[3], last[3];
                for (auto* counted : {&seen, &first, &last}) std::ranges::fill(*counted, std::vector<double>(60, 0.0));
                for (std::uint64_t seed = 0; seed < rounds; ++seed) {
                    Picks picks;
                    block->pick(Side::row, {LocalIndex{0}, 3}, {problem.f, problem.g}, problem.epsilon,
                                {PickRule::Kind::sample, count, 1000 * seed + static_cast<std::uint64_t>(count)},
                                picks);
                    for (std::int64_t i = 0; i < 3; ++i) {
                        const auto number = [&](std::int64_t k) {
                            return static_cast<std::size_t>(picks.index[static_cast<std::size_t>(i * count + k)] -
                                                            problem.problem.first_column.value);
                        };
                        for (std::int64_t k = 0; k < count; ++k) ++seen[i][number(k)];
                        ++first[i][number(0)];
                        ++last[i][number(count - 1)];
                    }
                }
                for (std::int64_t i = 0; i < 3; ++i) {
                    const std::vector<double> p = row_of_plan(problem, i);
                    for (const auto* counted : {&seen, &first, &last}) expect_probabilities(p, (*counted)[i]);
                }
            }
        }
    }
}

// With replacement, each whatever the one before it was: all pairs of neighbours, with the product of probabilities.
TEST_F(Drawing, IsIndependentOfTheDrawsBefore) {
    const Setting s{{"sqeuclidean", 3, 4, 2, 0.5, true}};
    const Problem problem{s};
    for (const auto& block : problem.blocks({false})) {
        for (const std::int64_t count : {2, 5, 20}) {
            SCOPED_TRACE(count);
            std::vector<double> seen[3];
            std::ranges::fill(seen, std::vector<double>(16, 0.0));
            for (std::uint64_t seed = 0; seed < 5000; ++seed) {
                Picks picks;
                block->pick(Side::row, {LocalIndex{0}, 3}, {s.f, s.g}, s.epsilon, {PickRule::Kind::sample, count, seed},
                            picks);
                for (std::int64_t i = 0; i < 3; ++i) {
                    // The last two: neighbouring pairs of one row are not independent of each other.
                    const std::int64_t* const end = picks.index.data() + (i + 1) * count;
                    const std::int64_t zero = problem.problem.first_column.value;
                    ++seen[i][static_cast<std::size_t>((end[-2] - zero) * 4 + end[-1] - zero)];
                }
            }
            for (std::int64_t i = 0; i < 3; ++i) {
                const std::vector<double> p = row_of_plan(problem, i);
                std::vector<double> both;
                for (const double x : p)
                    for (const double y : p) both.push_back(x * y);
                expect_probabilities(both, seen[i]);
            }
        }
    }
}

TEST(Draws, NeverTakeWhatHasNoMass) {
    for (const bool any : {false, true}) {
        Setting s{{"sqeuclidean", 3, 20, 2, 0.5, true}};
        std::ranges::fill(s.target.weights, 0.0);
        if (any) s.target.weights[7] = 1;
        const Problem problem{s};
        auto blocks = problem.blocks({false, true});
        blocks.push_back(make_reference_block(problem.problem));
        for (const auto& block : blocks) {
            Picks picks;
            block->pick(Side::row, {LocalIndex{0}, 3}, {s.f, s.g}, s.epsilon, {PickRule::Kind::sample, 30, 3}, picks);
            for (const std::int64_t index : picks.index)
                EXPECT_EQ(index, any ? problem.problem.first_column.value + 7 : -1);
        }
    }
}

}  // namespace
}  // namespace convoy
