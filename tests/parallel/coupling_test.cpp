// The distributed verbs on every grid against the sequential reference on one rank.

#include "convoy/coupling.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/block.hpp"
#include "kernels/clouds.hpp"
#include "parallel/scatter.hpp"

namespace convoy {
namespace {

using test::made;
using test::noise;

struct Sizes {
    std::int64_t n, m;
};

struct Whole {
    Cloud source, target;
    Cost cost;
    double epsilon;
    std::vector<double> f, g;

    Whole(Sizes size, const char* cost_name)
        : source{made({size.n, 3, 2, 1, true, 1})},
          target{made({size.m, 3, 2.5, 1, true, 2})},
          cost{Cost::parse(cost_name)},
          epsilon{0.3},
          f{noise(size.n, 0.3, 3)},
          g{noise(size.m, 0.3, 4)} {}

    const Cloud& cloud(Side side) const { return side == Side::row ? source : target; }
    Potentials potentials() const { return {f, g}; }
    std::unique_ptr<Block> reference() const {
        return make_reference_block({cost, &source, &target, {}, {}, {}, Precision::fp64});
    }
    LocalRun all(Side side) const { return {LocalIndex{0}, cloud(side).rows}; }
};

std::vector<double> part_of(const std::vector<double>& whole, const Coupling& coupling, Side side,
                            std::int64_t width = 1) {
    const GlobalRun run = coupling.cloud(side).partition.run(coupling.grid().part(side));
    const auto begin = whole.begin() + run.first.value * width;
    return {begin, begin + run.count * width};
}

struct LocalPotentials {
    std::vector<double> f, g;
    LocalPotentials(const Whole& whole, const Coupling& coupling)
        : f{part_of(whole.f, coupling, Side::row)}, g{part_of(whole.g, coupling, Side::column)} {}
    operator Potentials() const { return {f, g}; }
};

// Both partitions: even, and uneven with empty parts.
std::vector<Coupling> couplings(const Whole& whole, Precision precision) {
    const Communicator world = Communicator::world();
    std::vector<Coupling> all;
    for (const GridShape shape : test::all_shapes(world.size())) {
        const Grid grid{world, shape};
        all.emplace_back(grid, test::scatter(grid, Side::row, whole.source),
                         test::scatter(grid, Side::column, whole.target), whole.cost, precision);
        all.emplace_back(grid, test::scatter_unevenly(grid, Side::row, whole.source, 5),
                         test::scatter_unevenly(grid, Side::column, whole.target, 6), whole.cost, precision);
    }
    return all;
}

const std::vector<Sizes> sizes{{1, 1}, {1, 9}, {5, 2}, {3, 3}, {41, 67}};
const std::vector<const char*> costs{"sqeuclidean", "euclidean", "dot", "cosine"};

TEST(Coupling, ReducesLikeTheReference) {
    for (const Sizes size : sizes) {
        for (const char* cost : costs) {
            const Whole whole{size, cost};
            const auto reference = whole.reference();
            for (Coupling& coupling : couplings(whole, Precision::fp64)) {
                const LocalPotentials local{whole, coupling};
                for (const Side side : {Side::row, Side::column}) {
                    Sums sums;
                    reference->reduce(side, whole.all(side), whole.potentials(), whole.epsilon, Safety::safe, sums);
                    std::vector<double> expected;
                    for (std::size_t i = 0; i < sums.sum.size(); ++i)
                        expected.push_back(sums.max[i] + std::log(sums.sum[i]));
                    expected = part_of(expected, coupling, side);
                    for (const Safety safety : {Safety::shifted, Safety::safe}) {
                        const auto actual = coupling.reduce(side, local, whole.epsilon, safety);
                        ASSERT_EQ(actual.size(), expected.size());
                        for (std::size_t i = 0; i < actual.size(); ++i) {
                            EXPECT_NEAR(actual[i], expected[i],
                                        1e-12 * (1 + std::abs(expected[i])));  // rounding of sums
                        }
                    }
                }
            }
        }
    }
}

TEST(Coupling, FallsBackToTheSafeFormRowByRow) {
    Whole whole{{300, 40}, "sqeuclidean"};
    // Two far rows whose shifted sums leave the range in opposite directions; the others stay in it.
    whole.f[7] = -400;
    whole.f[290] = 400;
    const auto reference = whole.reference();
    Sums sums;
    reference->reduce(Side::row, whole.all(Side::row), whole.potentials(), whole.epsilon, Safety::safe, sums);
    for (const Precision precision : {Precision::single, Precision::fp64}) {
        for (Coupling& coupling : couplings(whole, precision)) {
            const LocalPotentials local{whole, coupling};

            const auto actual = coupling.reduce(Side::row, local, whole.epsilon, Safety::shifted);

            const auto max = part_of(sums.max, coupling, Side::row), sum = part_of(sums.sum, coupling, Side::row);
            for (std::size_t i = 0; i < actual.size(); ++i) {
                // Single precision: rounding of costs around 30 over epsilon 0.3.
                const double tolerance = precision == Precision::single ? 5e-4 : 1e-10;
                EXPECT_NEAR(actual[i], max[i] + std::log(sum[i]), tolerance);
            }
            std::vector<double> safe{static_cast<double>(coupling.meters().safe_rows)};
            coupling.grid().world().sum(safe);
            EXPECT_EQ(safe[0], 2);
        }
    }
}

TEST(Coupling, AppliesLikeTheReference) {
    for (const Sizes size : sizes) {
        for (const char* cost : {"sqeuclidean", "euclidean", "pnorm:1.5"}) {
            const Whole whole{size, cost};
            const auto reference = whole.reference();
            for (Coupling& coupling : couplings(whole, Precision::fp64)) {
                const LocalPotentials local{whole, coupling};
                for (const Side side : {Side::row, Side::column}) {
                    const auto columns = noise(whole.cloud(other(side)).rows * 2, 1, 9);
                    const auto local_columns = part_of(columns, coupling, other(side), 2);
                    const std::vector<std::pair<Weighting, Weighting>> weightings{
                        {Weighting::of_columns(columns, 2), Weighting::of_columns(local_columns, 2)},
                        {Weighting::of_cost(1), Weighting::of_cost(1)},
                        {Weighting::of_gradient(3), Weighting::of_gradient(3)}};
                    for (const auto& [of_whole, of_part] : weightings) {
                        Sums sums;
                        std::vector<double> expected;
                        reference->apply(side, whole.all(side), whole.potentials(), whole.epsilon, Safety::safe,
                                         of_whole, sums, expected);
                        for (std::size_t k = 0; k < expected.size(); ++k) {
                            expected[k] /= sums.sum[k / static_cast<std::size_t>(of_whole.width)];
                        }
                        const auto average = coupling.apply(side, local, whole.epsilon, Safety::safe, of_part);
                        const auto mine = part_of(expected, coupling, side, of_whole.width);
                        ASSERT_EQ(average.value.size(), mine.size());
                        for (std::size_t k = 0; k < mine.size(); ++k) {
                            EXPECT_NEAR(average.value[k], mine[k], 1e-11 * (1 + std::abs(mine[k])));
                        }
                    }
                }
            }
        }
    }
}

// Indices and scores: what is picked is the same whatever the precision, and however the clouds are cut.
void expect_reference_picks(const Whole& whole, Coupling& coupling, const PickRule& rule, Side side) {
    const LocalPotentials local{whole, coupling};
    Picks expected;
    whole.reference()->pick(side, whole.all(side), whole.potentials(), whole.epsilon, rule, expected);

    const Picks actual = coupling.pick(side, local, whole.epsilon, rule);

    const GlobalRun run = coupling.cloud(side).partition.run(coupling.grid().part(side));
    ASSERT_EQ(actual.rows, run.count);
    ASSERT_EQ(std::ssize(actual.index), run.count * rule.count);
    for (std::size_t k = 0; k < actual.index.size(); ++k) {
        const auto at = static_cast<std::size_t>(run.first.value * rule.count) + k;
        EXPECT_EQ(actual.index[k], expected.index[at]);
        EXPECT_EQ(actual.score[k], expected.score[at]);
    }
}

TEST(Coupling, PicksLikeTheReferenceOnEveryGrid) {
    for (const Sizes size : sizes) {
        const Whole whole{size, "sqeuclidean"};
        for (const Precision precision : {Precision::single, Precision::fp64}) {
            for (Coupling& coupling : couplings(whole, precision)) {
                for (const auto kind : {PickRule::Kind::top, PickRule::Kind::sample, PickRule::Kind::hard}) {
                    for (const Side side : {Side::row, Side::column})
                        expect_reference_picks(whole, coupling, {kind, 4, 11}, side);
                }
            }
        }
    }
}

TEST(Coupling, PicksTheSmallerIndexOfEqualPointsOfSeveralRanks) {
    Whole whole{{13, 29}, "euclidean"};
    for (std::size_t k = 3; k < whole.target.points.size(); ++k) whole.target.points[k] = whole.target.points[k % 3];
    std::ranges::fill(whole.target.weights, 1.0 / 29);
    std::ranges::fill(whole.g, 0.5);
    for (Coupling& coupling : couplings(whole, Precision::single)) {
        for (const auto kind : {PickRule::Kind::top, PickRule::Kind::sample, PickRule::Kind::hard})
            expect_reference_picks(whole, coupling, {kind, 9, 11}, Side::row);
    }
}

TEST(Coupling, DrawsTheSameOnEveryGridWhereOnePairHasNearlyAllMass) {
    Whole whole{{7, 31}, "sqeuclidean"};
    whole.g[12] += 40 * whole.epsilon;
    for (Coupling& coupling : couplings(whole, Precision::single)) {
        for (const std::int64_t count : {1, 5, 200})
            expect_reference_picks(whole, coupling, {PickRule::Kind::sample, count, 11}, Side::row);
    }
}

TEST(Coupling, PicksInPartsThatAreReported) {
    // More slots than ranks exchange at once.
    const Whole whole{{270, 6}, "sqeuclidean"};
    for (Coupling& coupling : couplings(whole, Precision::single)) {
        double reported = 0;
        coupling.while_reducing([&](double share) { reported = share; });
        expect_reference_picks(whole, coupling, {PickRule::Kind::top, 2000, 0}, Side::row);
        EXPECT_EQ(reported, coupling.local(Side::row).rows > 0 ? 1 : 0);
    }
}

TEST(Coupling, DrawsFromTheRowsOfThePlan) {
    const Whole whole{{2, 5}, "sqeuclidean"};
    const auto reference = whole.reference();
    constexpr std::int64_t draws = 20000;
    Picks picks;
    Sums sums;
    std::vector<double> p;
    std::vector<double> one_hot(25, 0.0);
    for (std::size_t j = 0; j < 5; ++j) one_hot[j * 6] = 1;

    reference->pick(Side::row, whole.all(Side::row), whole.potentials(), 2.0, {PickRule::Kind::sample, draws, 3},
                    picks);

    reference->apply(Side::row, whole.all(Side::row), whole.potentials(), 2.0, Safety::safe,
                     Weighting::of_columns(one_hot, 5), sums, p);
    for (std::size_t i = 0; i < 2; ++i) {
        double chi_square = 0;
        for (std::size_t j = 0; j < 5; ++j) {
            const double expected = draws * p[i * 5 + j] / sums.sum[i];
            double seen = 0;
            for (std::size_t k = 0; k < draws; ++k) seen += picks.index[i * draws + k] == static_cast<std::int64_t>(j);
            if (expected == 0)
                EXPECT_EQ(seen, 0);
            else
                chi_square += (seen - expected) * (seen - expected) / expected;
        }
        EXPECT_LT(chi_square, 20);  // four degrees of freedom: one seed in two thousand exceeds this
    }
}

TEST(Coupling, KeepsTheTargetWhenTheSourceMoves) {
    const Whole before{{17, 23}, "sqeuclidean"};
    Whole after = before;
    for (double& x : after.source.points) x = 0.5 * x + 0.1;
    for (Coupling& coupling : couplings(before, Precision::fp64)) {
        coupling.move_source(part_of(after.source.points, coupling, Side::row, 3));
        Coupling fresh{coupling.grid(),
                       {coupling.cloud(Side::row).partition, coupling.local(Side::row)},
                       coupling.cloud(Side::column),
                       after.cost,
                       Precision::fp64};
        const LocalPotentials local{after, coupling};

        const auto moved = coupling.reduce(Side::row, local, after.epsilon, Safety::safe);

        const auto expected = fresh.reduce(Side::row, local, after.epsilon, Safety::safe);
        for (std::size_t i = 0; i < moved.size(); ++i)
            EXPECT_NEAR(moved[i], expected[i], 1e-12 * (1 + std::abs(expected[i])));
    }
}

TEST(Coupling, ComputesKeptProductsAnewWhenTheSourceMoves) {
    const Whole before{{170, 230}, "sqeuclidean"};
    Whole after = before;
    for (double& x : after.source.points) x = 0.5 * x + 0.1;
    for (Coupling& recomputing : couplings(before, Precision::single)) {
        Coupling keeping{recomputing.grid(),
                         {recomputing.cloud(Side::row).partition, recomputing.local(Side::row)},
                         recomputing.cloud(Side::column),
                         before.cost,
                         Precision::single,
                         Backend::cpu,
                         true};
        for (Coupling* coupling : {&recomputing, &keeping}) {
            coupling->move_source(part_of(after.source.points, *coupling, Side::row, 3));
        }
        const LocalPotentials local{after, keeping};
        const bool pairs = keeping.local(Side::row).rows > 0 && keeping.local(Side::column).rows > 0;

        EXPECT_EQ(keeping.meters().products_bytes > 0, pairs);
        EXPECT_EQ(recomputing.meters().products_bytes, 0);
        for (const Side side : {Side::row, Side::column}) {
            for (const Safety safety : {Safety::shifted, Safety::safe}) {
                const auto kept = keeping.reduce(side, local, after.epsilon, safety);
                const auto expected = recomputing.reduce(side, local, after.epsilon, safety);
                // Two roundings of costs of about 10, over epsilon.
                for (std::size_t i = 0; i < kept.size(); ++i) EXPECT_NEAR(kept[i], expected[i], 1e-4);
            }
        }
    }
}

TEST(Coupling, SetsASideAgainstItself) {
    const Whole whole{{31, 5}, "sqeuclidean"};
    for (Coupling& coupling : couplings(whole, Precision::fp64)) {
        Coupling self{coupling.grid(), coupling.cloud(Side::row), coupling.redistributed(Side::row), whole.cost,
                      Precision::fp64};
        const std::vector<double> f(coupling.local(Side::row).weights.size(), 0.0),
            g(self.local(Side::column).weights.size(), 0.0);

        const auto rows = self.reduce(Side::row, {f, g}, 1.0, Safety::safe);
        const auto columns = self.reduce(Side::column, {f, g}, 1.0, Safety::safe);

        // The self problem is symmetric: sums over rows, brought to the columns' distribution, are those over columns.
        const auto moved = redistribute(self.grid(), Side::row, self.cloud(Side::row).partition,
                                        self.cloud(Side::column).partition, 1, rows);
        ASSERT_EQ(moved.size(), columns.size());
        for (std::size_t i = 0; i < moved.size(); ++i) EXPECT_NEAR(moved[i], columns[i], 1e-12);
    }
}

}  // namespace
}  // namespace convoy
