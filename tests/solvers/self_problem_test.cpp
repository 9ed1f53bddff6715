// A cloud against itself, on every grid.

#include "convoy/self_problem.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "convoy/values.hpp"
#include "kernels/clouds.hpp"
#include "parallel/scatter.hpp"

namespace convoy {
namespace {

using test::made;

const std::vector<const char*> costs{"sqeuclidean", "euclidean", "pnorm:1.5", "pnorm:2", "pnorm:4", "dot", "cosine"};

// A coupling of which one side is the cloud and the other something else: what a self problem is cut out of.
Coupling beside(const Grid& grid, Side side, const Cloud& cloud, const Cost& cost, Precision precision,
                bool uneven = false, Backend backend = Backend::cpu) {
    const Cloud another = made({19, cloud.dimension, 2, 1, false, 77});
    const auto cut = [&](Side s) {
        const Cloud& here = s == side ? cloud : another;
        return uneven ? test::scatter_unevenly(grid, s, here, 5) : test::scatter(grid, s, here);
    };
    return {grid, cut(Side::row), cut(Side::column), cost, precision, backend};
}

struct Case {
    Grid grid;
    Side side;
    bool uneven;
};

// Every grid, either side, even and uneven parts (some of them empty).
template <class Check>
void on_every_grid(const Check& check) {
    const Communicator world = Communicator::world();
    for (const GridShape shape : test::all_shapes(world.size()))
        for (const Side side : {Side::row, Side::column})
            for (const bool uneven : {false, true}) {
                SCOPED_TRACE("grid " + shape.name() + (side == Side::row ? " source" : " target") +
                             (uneven ? " uneven" : ""));
                check(Case{Grid{world, shape}, side, uneven});
            }
}

SelfOptions options_for(double epsilon, double tolerance = 1e-3) {
    SelfOptions options;
    options.epsilon = epsilon;
    options.tolerance = tolerance;
    return options;
}

std::vector<double> whole(const Coupling& coupling, Side side, const std::vector<double>& part) {
    return coupling.grid().holders(side).gather_all(part);
}

TEST(SelfProblem, HasItsMarginalsAndTheSamePotentialOnBothSides) {
    const Cloud cloud = made({61, 3, 1, 1, true, 3});
    for (const char* cost : costs) {
        SCOPED_TRACE(cost);
        on_every_grid([&](const Case& c) {
            const Coupling cross = beside(c.grid, c.side, cloud, Cost::parse(cost), Precision::fp64, c.uneven);
            Coupling self = self_coupling(cross, c.side);

            const SelfSolution solution = solve_self(self, options_for(0.3, 1e-10));

            ASSERT_EQ(solution.status, Status::converged) << solution.reason;
            EXPECT_LE(solution.marginal_error, 1e-10);
            EXPECT_EQ(whole(self, Side::row, solution.f), whole(self, Side::column, solution.g));
            const Audit audit = audit_and_value(self, solution.f, solution.g, 0.3, 0).audit;
            EXPECT_LE(audit.source_error, 1.001e-10);
            EXPECT_LE(audit.target_error, 1.001e-10);
            EXPECT_EQ(std::ssize(solution.history), solution.half_passes);
            EXPECT_LE(solution.half_passes, 40);  // far from what alternating takes
        });
    }
}

TEST(SelfProblem, OfTwoPointsHasItsClosedForm) {
    // C = [[0, 1], [1, 0]], eps = 1: P_11 = 1/(2 + 2/e).
    const Cloud cloud = uniform_cloud({0, 1}, 1);
    on_every_grid([&](const Case& c) {
        Coupling self = self_coupling(beside(c.grid, c.side, cloud, Cost{}, Precision::fp64, c.uneven), c.side);

        const SelfSolution solution = solve_self(self, options_for(1, 1e-13));

        for (const double f : solution.f) EXPECT_NEAR(0.25 * std::exp(2 * f), 0.36552928931500245, 1e-13);
    });
}

TEST(SelfProblem, GivesPointsWithoutMassTheirSoftMinimum) {
    const Cloud cloud = made({47, 2, 0, 1, true, 4});
    for (const char* cost : {"sqeuclidean", "dot"}) {
        on_every_grid([&](const Case& c) {
            Coupling self =
                self_coupling(beside(c.grid, c.side, cloud, Cost::parse(cost), Precision::fp64, c.uneven), c.side);
            for (const std::int64_t limit : {1, 3, 2000}) {
                SelfOptions options = options_for(0.2, 1e-11);
                options.max_half_passes = limit;

                const SelfSolution solution = solve_self(self, options);

                const auto log_sum = self.reduce(Side::row, {solution.f, solution.g}, 0.2, Safety::safe);
                for (std::size_t i = 0; i < log_sum.size(); ++i) {
                    if (self.local(Side::row).weights[i] == 0) {
                        EXPECT_NEAR(log_sum[i], 0, 1e-12);
                    }
                }
            }
        });
    }
}

TEST(SelfProblem, IsTheSameOnEveryGridToRounding) {
    const Cloud cloud = made({150, 3, 0, 1, true, 6});
    for (const auto& [precision, tolerance] : {std::pair{Precision::fp64, 1e-11}, std::pair{Precision::single, 1e-5}}) {
        Coupling alone = self_coupling(beside(Grid{}, Side::row, cloud, Cost{}, precision), Side::row);
        SelfOptions options = options_for(0.2, 1e-300);
        options.max_half_passes = 8;
        const std::vector<double> expected = solve_self(alone, options).f;
        on_every_grid([&](const Case& c) {
            Coupling self = self_coupling(beside(c.grid, c.side, cloud, Cost{}, precision, c.uneven), c.side);

            const SelfSolution solution = solve_self(self, options);

            const std::vector<double> f = whole(self, Side::row, solution.f);
            ASSERT_EQ(f.size(), expected.size());
            for (std::size_t i = 0; i < f.size(); ++i) EXPECT_NEAR(f[i], expected[i], tolerance);
        });
    }
}

TEST(SelfProblem, IsThatOfTheReferenceBackendAndOfKeptProducts) {
    const Cloud cloud = made({60, 17, 0, 1, true, 8});
    const Grid grid{Communicator::world(), {1, Communicator::world().size()}};
    const SelfOptions options = options_for(2, 1e-5);
    Coupling reference =
        self_coupling(beside(grid, Side::row, cloud, Cost{}, Precision::fp64, false, Backend::reference), Side::row);
    const SelfSolution expected = solve_self(reference, options);
    ASSERT_EQ(expected.status, Status::converged);
    for (const bool keep : {false, true}) {
        Coupling self = self_coupling(beside(grid, Side::row, cloud, Cost{}, Precision::single), Side::row, keep);
        EXPECT_EQ(self.keeps_products(), keep);

        const SelfSolution solution = solve_self(self, options);

        ASSERT_EQ(solution.status, Status::converged);
        for (std::size_t i = 0; i < solution.f.size(); ++i) {
            if (self.local(Side::row).weights[i] > 0) {
                EXPECT_NEAR(solution.f[i], expected.f[i], 1e-3);  // 1e-5 a mass
            }
        }
    }
}

TEST(SelfProblem, RerunGivesTheSameBits) {
    const Cloud cloud = made({211, 2, 0, 1, true, 9});
    on_every_grid([&](const Case& c) {
        const Coupling cross = beside(c.grid, c.side, cloud, Cost{}, Precision::single, c.uneven);
        Coupling one = self_coupling(cross, c.side), two = self_coupling(cross, c.side);

        EXPECT_EQ(solve_self(one, options_for(0.05)).f, solve_self(two, options_for(0.05)).f);
    });
}

TEST(SelfProblem, NeedsFewPassesWhateverEpsilonAndWhereverPointsLie) {
    for (const double spread : {1.0, 50.0}) {
        Cloud cloud = made({200, 2, 0, 1, true, 10});
        for (std::size_t k = 0; k < 20; ++k) cloud.points[k] *= spread;  // ten of them far off
        on_every_grid([&](const Case& c) {
            for (const double epsilon : {1e2, 1.0, 1e-2, 1e-4}) {
                SCOPED_TRACE(epsilon);
                Coupling self = self_coupling(beside(c.grid, c.side, cloud, Cost{}, Precision::fp64, c.uneven), c.side);
                SelfOptions options = options_for(epsilon, 1e-6);
                const SelfSolution quick = solve_self(self, options);
                options.accelerated = false;
                const SelfSolution averaged = solve_self(self, options);

                EXPECT_EQ(quick.status, Status::converged) << quick.reason;
                EXPECT_EQ(averaged.status, Status::converged) << averaged.reason;
                EXPECT_LE(quick.half_passes, averaged.half_passes);
                EXPECT_LE(averaged.half_passes, 40);
            }
        });
    }
}

TEST(SelfProblem, GoesOnFromWhatItIsGiven) {
    const Cloud cloud = made({90, 2, 0, 1, true, 11});
    on_every_grid([&](const Case& c) {
        Coupling self = self_coupling(beside(c.grid, c.side, cloud, Cost{}, Precision::fp64, c.uneven), c.side);
        const SelfSolution first = solve_self(self, options_for(0.1, 1e-8));
        SelfOptions options = options_for(0.1, 1e-8);
        options.start = first.f;

        const SelfSolution again = solve_self(self, options);

        EXPECT_EQ(again.status, Status::converged);
        EXPECT_EQ(again.half_passes, 1);
        for (std::size_t i = 0; i < first.f.size(); ++i) EXPECT_NEAR(again.f[i], first.f[i], 1e-12);
    });
}

TEST(SelfProblem, EndsWhereAnyRankSaysSo) {
    const Cloud cloud = made({90, 2, 0, 1, true, 12});
    on_every_grid([&](const Case& c) {
        Coupling self = self_coupling(beside(c.grid, c.side, cloud, Cost{}, Precision::single, c.uneven), c.side);
        const bool last = c.grid.world().rank() + 1 == c.grid.world().size();
        SelfOptions options = options_for(0.01, 1e-300);
        int asked = 0;
        options.stop = [&] { return ++asked == 3 && last; };

        const SelfSolution solution = solve_self(self, options);

        EXPECT_EQ(solution.status, Status::stopped);
        EXPECT_EQ(solution.half_passes, 3);
    });
}

TEST(SelfProblem, SaysWhyItHasNotConverged) {
    const Cloud cloud = made({90, 2, 0, 1, true, 13});
    on_every_grid([&](const Case& c) {
        Coupling self = self_coupling(beside(c.grid, c.side, cloud, Cost{}, Precision::single, c.uneven), c.side);
        SelfOptions options = options_for(0.01, 1e-12);
        options.max_half_passes = 2;

        const SelfSolution limited = solve_self(self, options);
        options.max_half_passes = 2000;
        const SelfSolution at_floor = solve_self(self, options);

        EXPECT_EQ(limited.status, Status::not_converged);
        EXPECT_NE(limited.reason.find("limit of half-passes"), std::string::npos);
        EXPECT_EQ(limited.half_passes, 2);
        EXPECT_EQ(at_floor.status, Status::not_converged);
        EXPECT_NE(at_floor.reason.find("floor of single precision"), std::string::npos) << at_floor.reason;
        EXPECT_LT(at_floor.half_passes, 200);
        EXPECT_LT(at_floor.marginal_error, 1e-3);
    });
}

}  // namespace
}  // namespace convoy
