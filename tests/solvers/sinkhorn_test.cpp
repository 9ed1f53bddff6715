#include "convoy/sinkhorn.hpp"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <tuple>

#include "convoy/epsilon.hpp"
#include "convoy/values.hpp"
#include "kernels/clouds.hpp"
#include "parallel/scatter.hpp"

namespace convoy {
namespace {

using test::CloudRecipe;
using test::made;

constexpr Acceleration every_acceleration[] = {Acceleration::plain, Acceleration::over_relaxation,
                                               Acceleration::anderson, Acceleration::coarse};

struct Problem {
    Cloud source, target;
    Cost cost = Cost::parse("sqeuclidean");
    double epsilon = 0;
};

Problem problem(std::int64_t n, std::int64_t m, std::int64_t d = 3, const char* cost = "sqeuclidean",
                double relative = 0.1) {
    Problem p{made({n, d, 1, 1, true, 1}), made({m, d, 1.5, 0.7, true, 2}), Cost::parse(cost), 0};
    Coupling whole{Grid{}, test::scatter(Grid{}, Side::row, p.source), test::scatter(Grid{}, Side::column, p.target),
                   p.cost, Precision::fp64};
    p.epsilon = relative * std::max(cost_moments(whole).standard_deviation, 0.5);
    return p;
}

Coupling coupling_of(const Problem& p, GridShape shape, Precision precision, Backend backend = Backend::cpu) {
    const Communicator world = Communicator::world();
    const Grid grid = shape.rows * shape.columns == world.size() ? Grid{world, shape} : Grid{};
    return {grid,
            test::scatter(grid, Side::row, p.source),
            test::scatter(grid, Side::column, p.target),
            p.cost,
            precision,
            backend};
}

SinkhornOptions options_for(const Problem& p, double tolerance = 1e-3) {
    SinkhornOptions options;
    options.epsilon = p.epsilon;
    options.tolerance = tolerance;
    return options;
}

SinkhornState solved(Coupling& coupling, const SinkhornOptions& options) {
    const Sinkhorn sinkhorn{coupling, options};
    SinkhornState state = sinkhorn.start();
    while (state.status == Status::running) sinkhorn.step(state);
    return state;
}

// The whole vector on every rank.
std::vector<double> gathered(const Coupling& coupling, Side side, const std::vector<double>& local) {
    return coupling.grid().holders(side).gather_all(local);
}

void expect_same_bits(const SinkhornState& a, const SinkhornState& b) {
    EXPECT_EQ(a.f, b.f);
    EXPECT_EQ(a.g, b.g);
    EXPECT_EQ(a.half_passes, b.half_passes);
    EXPECT_EQ(a.marginal_error, b.marginal_error);
    EXPECT_EQ(a.status, b.status);
    EXPECT_EQ(a.restarts, b.restarts);
}

TEST(Sinkhorn, PlanHasTheAskedMarginals) {
    for (const char* cost : {"sqeuclidean", "euclidean", "pnorm:1.5", "pnorm:2", "dot", "cosine"}) {
        const Problem p = problem(151, 97, 3, cost);
        for (const GridShape shape : test::all_shapes(Communicator::world().size())) {
            Coupling coupling = coupling_of(p, shape, Precision::fp64);

            const SinkhornState state = solved(coupling, options_for(p, 1e-9));

            ASSERT_EQ(state.status, Status::converged) << cost << ": " << state.reason;
            const Verdict verdict = audit_and_value(coupling, state.f, state.g, p.epsilon, 0);
            EXPECT_LE(verdict.audit.error(), 1.0001e-9) << cost;
            EXPECT_NEAR(verdict.values.mass, 1, 1e-9);
            // With both marginals right the dual value is the primal one.
            EXPECT_NEAR(verdict.values.dual_value, verdict.values.transport_cost + p.epsilon * verdict.values.kl,
                        1e-7 * std::max(1.0, std::abs(verdict.values.dual_value)));
        }
    }
}

TEST(Sinkhorn, SavedAndRestoredBetweenAnyTwoStepsEndsWithTheSameBits) {
    const Problem p = problem(83, 59, 2, "sqeuclidean", 0.02);
    for (const Acceleration acceleration : every_acceleration) {
        Coupling coupling = coupling_of(p, {Communicator::world().size(), 1}, Precision::single);
        SinkhornOptions options = options_for(p);
        options.acceleration = acceleration;
        options.max_half_passes = 300;
        const SinkhornState uninterrupted = solved(coupling, options);

        std::int64_t stops = 0;
        for (std::int64_t stop = 1; stop < uninterrupted.iterations; stop += stop < 40 ? 1 : 17, ++stops) {
            auto sinkhorn = std::make_unique<Sinkhorn>(coupling, options);
            auto state = std::make_unique<SinkhornState>(sinkhorn->start());
            while (state->iterations < stop) sinkhorn->step(*state);
            const SinkhornState saved = *state;
            state.reset();
            sinkhorn.reset();

            Coupling another = coupling_of(p, {Communicator::world().size(), 1}, Precision::single);
            const Sinkhorn restored{another, options};
            SinkhornState resumed = saved;
            while (resumed.status == Status::running) restored.step(resumed);

            expect_same_bits(resumed, uninterrupted);
        }
        EXPECT_GT(stops, 10);
    }
}

TEST(Sinkhorn, RerunOfTheSamePlanGivesTheSameBitsWithAnyNumberOfThreads) {
    const Problem p = problem(300, 401);
    const int before = omp_get_max_threads();
    std::vector<SinkhornState> states;
    for (const int threads : {1, 1, 2, 5}) {
        omp_set_num_threads(threads);
        Coupling coupling = coupling_of(p, {1, Communicator::world().size()}, Precision::single);
        states.push_back(solved(coupling, options_for(p)));
    }
    omp_set_num_threads(before);
    for (std::size_t k = 1; k < states.size(); ++k) expect_same_bits(states[k], states[0]);
}

TEST(Sinkhorn, AllGridsAgreeAfterTheSameHalfPasses) {
    const Problem p = problem(211, 173);
    for (const auto& [precision, tolerance] : {std::pair{Precision::fp64, 1e-10}, std::pair{Precision::single, 1e-5}}) {
        SinkhornOptions options = options_for(p, 1e-300);
        options.acceleration = Acceleration::plain;
        options.max_half_passes = 40;
        Coupling alone = coupling_of(p, {0, 0}, precision);
        const SinkhornState expected = solved(alone, options);
        for (const GridShape shape : test::all_shapes(Communicator::world().size())) {
            Coupling coupling = coupling_of(p, shape, precision);

            const SinkhornState state = solved(coupling, options);

            const auto f = gathered(coupling, Side::row, state.f), g = gathered(coupling, Side::column, state.g);
            for (std::size_t i = 0; i < f.size(); ++i) EXPECT_LE(std::abs(f[i] - expected.f[i]) / p.epsilon, tolerance);
            for (std::size_t j = 0; j < g.size(); ++j) EXPECT_LE(std::abs(g[j] - expected.g[j]) / p.epsilon, tolerance);
        }
    }
}

TEST(Sinkhorn, AllGridsAndBackendsAgreeOnTheDualValue) {
    const Problem p = problem(211, 173, 3, "sqeuclidean", 0.05);
    Coupling reference = coupling_of(p, {0, 0}, Precision::fp64, Backend::reference);
    const SinkhornState expected = solved(reference, options_for(p));
    const double value = audit_and_value(reference, expected.f, expected.g, p.epsilon, 0).values.dual_value;
    for (const Precision precision : {Precision::fp64, Precision::single}) {
        for (const GridShape shape : test::all_shapes(Communicator::world().size())) {
            Coupling coupling = coupling_of(p, shape, precision);

            const SinkhornState state = solved(coupling, options_for(p));

            EXPECT_EQ(state.status, Status::converged);
            EXPECT_NEAR(audit_and_value(coupling, state.f, state.g, p.epsilon, 0).values.dual_value / value, 1, 1e-6);
        }
    }
}

TEST(Sinkhorn, WorksWithMoreRanksThanPoints) {
    for (const auto& [n, m] : {std::pair<std::int64_t, std::int64_t>{1, 1}, {1, 4}, {3, 1}, {2, 2}}) {
        const Problem p = problem(n, m);
        for (const GridShape shape : test::all_shapes(Communicator::world().size())) {
            for (const Acceleration acceleration : every_acceleration) {
                Coupling coupling = coupling_of(p, shape, Precision::single);
                SinkhornOptions options = options_for(p);
                options.acceleration = acceleration;

                const SinkhornState state = solved(coupling, options);

                EXPECT_EQ(state.status, Status::converged) << state.reason;
                EXPECT_LE(audit_and_value(coupling, state.f, state.g, p.epsilon, 0).audit.error(), 1e-3);
            }
        }
    }
}

TEST(Sinkhorn, CorrectedStepsWorkWithUnevenAndEmptyShards) {
    const Problem p = problem(600, 500, 2, "sqeuclidean", 0.01);
    Coupling alone{Grid{}, test::scatter(Grid{}, Side::row, p.source), test::scatter(Grid{}, Side::column, p.target),
                   p.cost, Precision::fp64};
    SinkhornOptions options = options_for(p, 1e-6);
    options.acceleration = Acceleration::coarse;
    options.coarse_points = 60;  // so few that steps fail, rest and are tried again
    const SinkhornState expected = solved(alone, options);
    for (const GridShape shape : test::all_shapes(Communicator::world().size())) {
        const Grid grid{Communicator::world(), shape};
        Coupling coupling{grid, test::scatter_unevenly(grid, Side::row, p.source, 3),
                          test::scatter_unevenly(grid, Side::column, p.target, 4), p.cost, Precision::fp64};

        const SinkhornState state = solved(coupling, options);

        EXPECT_EQ(state.status, Status::converged) << state.reason;
        EXPECT_NEAR(coupling.mean(Side::row, state.f) + coupling.mean(Side::column, state.g),
                    alone.mean(Side::row, expected.f) + alone.mean(Side::column, expected.g), 1e-5);
    }
}

TEST(Sinkhorn, GivesPointsWithoutMassTheSoftMinimum) {
    const Problem p = problem(60, 50);
    for (const Acceleration acceleration : every_acceleration) {
        Coupling coupling = coupling_of(p, {Communicator::world().size(), 1}, Precision::fp64);
        SinkhornOptions options = options_for(p, 1e-8);
        options.acceleration = acceleration;

        const SinkhornState state = solved(coupling, options);

        const auto log_sum = coupling.reduce(Side::row, {state.f, state.g}, p.epsilon, Safety::safe);
        const auto& weights = coupling.local(Side::row).weights;
        std::int64_t without_mass = 0;
        for (std::size_t i = 0; i < weights.size(); ++i) {
            ASSERT_TRUE(std::isfinite(state.f[i]));
            if (weights[i] > 0) continue;
            ++without_mass;
            EXPECT_NEAR(log_sum[i], 0, 1e-7);
        }
        std::vector<double> found{static_cast<double>(without_mass)};
        coupling.grid().holders(Side::row).sum(found);
        EXPECT_GT(found[0], 5);
    }
}

TEST(Sinkhorn, AccelerationNeedsFewerHalfPassesThanPlainIterations) {
    const Problem p = problem(400, 400, 3, "sqeuclidean", 0.01);
    Coupling coupling = coupling_of(p, {1, Communicator::world().size()}, Precision::fp64);
    std::vector<SinkhornState> states;
    for (const Acceleration acceleration : every_acceleration) {
        SinkhornOptions options = options_for(p);
        options.acceleration = acceleration;
        states.push_back(solved(coupling, options));
    }

    const auto& [plain, relaxed, anderson, coarse] = std::tie(states[0], states[1], states[2], states[3]);
    EXPECT_EQ(relaxed.status, Status::converged);
    EXPECT_EQ(anderson.status, Status::converged);
    EXPECT_EQ(coarse.status, Status::converged);
    EXPECT_LT(1.5 * static_cast<double>(relaxed.half_passes), static_cast<double>(plain.half_passes));
    EXPECT_LT(2 * anderson.half_passes, plain.half_passes);
    // What a coarse correction may cost where it does not help.
    EXPECT_LE(coarse.half_passes, anderson.half_passes + 4);
}

TEST(Sinkhorn, CoarseCorrectionsSaveHalfPassesWhereTheSampleSeesTheKernel) {
    const Problem p = problem(1500, 1400, 2, "sqeuclidean", 0.02);
    Coupling coupling = coupling_of(p, {Communicator::world().size(), 1}, Precision::single);
    SinkhornOptions options = options_for(p);
    options.acceleration = Acceleration::anderson;
    const SinkhornState anderson = solved(coupling, options);
    options.acceleration = Acceleration::coarse;
    const SinkhornState coarse = solved(coupling, options);

    EXPECT_EQ(coarse.status, Status::converged);
    EXPECT_LT(coarse.half_passes, anderson.half_passes - 4);
    EXPECT_GT(coarse.other_work, 0);
    EXPECT_EQ(anderson.other_work, 0);
}

TEST(Sinkhorn, OnePointFarOutWithHardlyAnyMassHoldsNobodyUp) {
    for (const double mass : {0.0, 1e-6}) {
        Problem p = problem(300, 250, 2, "sqeuclidean", 0.1);
        p.source.points[10] = 100;
        p.source.points[11] = -100;
        p.source.weights[5] = mass;
        p.source = weighted_cloud(p.source.points, 2, p.source.weights);
        std::int64_t plain = 0;
        for (const Acceleration acceleration : {Acceleration::plain, Acceleration::anderson, Acceleration::coarse}) {
            Coupling coupling = coupling_of(p, {Communicator::world().size(), 1}, Precision::fp64);
            SinkhornOptions options = options_for(p);
            options.acceleration = acceleration;
            const Sinkhorn sinkhorn{coupling, options};
            // A start that is a thousand epsilon off there, and right elsewhere.
            const SinkhornState solution = solved(coupling, options);
            SinkhornState state = sinkhorn.start(solution.f, solution.g);
            for (std::int64_t i = 0; i < coupling.local(Side::row).rows; ++i) {
                const bool far = coupling.local(Side::row).point(i)[0] == 100;
                state.f[static_cast<std::size_t>(i)] += far ? 1000 * p.epsilon : 0.3 * p.epsilon * std::sin(i);
            }

            while (state.status == Status::running) sinkhorn.step(state);

            EXPECT_EQ(state.status, Status::converged);
            if (acceleration == Acceleration::plain) plain = state.half_passes;
            EXPECT_LE(state.half_passes, plain) << name_of(acceleration);
        }
    }
}

TEST(Sinkhorn, EndsAtAnyLimitWithPotentialsThatOneSideIsExactFor) {
    const Problem p = problem(200, 150, 2, "sqeuclidean", 0.02);
    for (const Acceleration acceleration : every_acceleration) {
        for (const std::int64_t limit : {1, 2, 25, 26, 27, 28, 29, 30, 31, 32}) {
            Coupling coupling = coupling_of(p, {1, Communicator::world().size()}, Precision::fp64);
            SinkhornOptions options = options_for(p, 1e-9);
            options.acceleration = acceleration;
            options.annealing = false;
            options.max_half_passes = limit;

            const SinkhornState state = solved(coupling, options);

            ASSERT_EQ(state.status, Status::not_converged);
            const Audit audit = audit_and_value(coupling, state.f, state.g, p.epsilon, 0).audit;
            const double exact = std::min(audit.source_error, audit.target_error);
            // Or the pair is the measured one, whose other side is exact to the step before.
            if (std::isnan(state.marginal_error)) {
                EXPECT_LT(exact, 1e-10) << name_of(acceleration) << " " << limit;
            } else {
                EXPECT_NEAR(state.marginal_error, audit.error(), 1e-10) << name_of(acceleration) << " " << limit;
            }
        }
    }
}

TEST(Sinkhorn, RestoredIntoTheSameSolverGoesOnWithTheSameBits) {
    const Problem p = problem(700, 600, 2, "sqeuclidean", 0.002);
    Coupling coupling = coupling_of(p, {Communicator::world().size(), 1}, Precision::single);
    SinkhornOptions options = options_for(p);
    options.acceleration = Acceleration::coarse;
    options.coarse_points = 50;
    options.max_half_passes = 120;
    const Sinkhorn sinkhorn{coupling, options};
    std::vector<SinkhornState> saved{sinkhorn.start()};
    while (saved.back().status == Status::running) {
        SinkhornState next = saved.back();
        sinkhorn.step(next);
        saved.push_back(std::move(next));
    }

    for (std::size_t k = 0; k + 1 < saved.size(); k += 5) {
        SinkhornState state = saved[k];
        while (state.status == Status::running) sinkhorn.step(state);

        EXPECT_EQ(state.f, saved.back().f) << "from step " << k;
        EXPECT_EQ(state.half_passes, saved.back().half_passes);
    }
}

TEST(Sinkhorn, ApproachesEpsilonFromAboveOnceMoreWhereStepsLeadNowhere) {
    const Problem p = problem(120, 90, 2, "sqeuclidean", 0.02);
    for (const GridShape shape : test::all_shapes(Communicator::world().size())) {
        Coupling coupling = coupling_of(p, shape, Precision::fp64);
        const SinkhornOptions options = options_for(p, 1e-6);
        const Sinkhorn sinkhorn{coupling, options};
        const auto stuck = [&](const Sinkhorn& solver) {
            SinkhornState state =
                solver.start(std::vector<double>(coupling.local(Side::row).points.size() / 2, 0.0),
                             std::vector<double>(coupling.local(Side::column).points.size() / 2, 0.0));
            solver.step(state);
            state.best_error = 1e-5;  // as if it had once been much better
            state.since_best = 50;
            solver.step(state);
            return state;
        };
        SinkhornState state = stuck(sinkhorn);
        EXPECT_TRUE(state.annealed_again);
        EXPECT_TRUE(state.annealing);
        EXPECT_GT(state.epsilon, options.epsilon);
        EXPECT_TRUE(state.memory.images.empty());
        while (state.status == Status::running) sinkhorn.step(state);
        EXPECT_EQ(state.status, Status::converged) << state.reason;

        SinkhornOptions never = options;
        never.annealing = false;
        EXPECT_FALSE(stuck(Sinkhorn{coupling, never}).annealed_again);
        never.annealing = true;
        never.acceleration = Acceleration::plain;
        EXPECT_FALSE(stuck(Sinkhorn{coupling, never}).annealed_again);
    }
}

TEST(Sinkhorn, FallsBackToOverRelaxationWhereNothingElseHelps) {
    const Problem p = problem(200, 150, 2, "sqeuclidean", 0.02);
    Coupling coupling = coupling_of(p, {1, Communicator::world().size()}, Precision::fp64);
    SinkhornOptions options = options_for(p, 1e-7);
    options.max_half_passes = 20000;
    const Sinkhorn sinkhorn{coupling, options};
    SinkhornState state = sinkhorn.start();
    while (state.annealing) sinkhorn.step(state);
    state.best_error = 1e-5;  // an error that it will not see for long
    state.since_best = 75;

    while (state.status == Status::running) sinkhorn.step(state);

    EXPECT_TRUE(state.relaxation.active);
    EXPECT_EQ(state.status, Status::converged) << state.reason;
    EXPECT_LE(audit_and_value(coupling, state.f, state.g, p.epsilon, 0).audit.error(), 1.0001e-7);

    options.acceleration = Acceleration::plain;  // asked for, plain stays plain
    options.max_half_passes = 20;
    const Sinkhorn plain{coupling, options};
    state = plain.start();
    state.annealing = false;
    state.epsilon = p.epsilon;
    state.since_best = 75;
    while (state.status == Status::running) plain.step(state);
    EXPECT_FALSE(state.relaxation.active);
}

TEST(Sinkhorn, StartsFromPotentialsAndConvergesAtOnceFromASolution) {
    const Problem p = problem(90, 80);
    Coupling coupling = coupling_of(p, {1, Communicator::world().size()}, Precision::fp64);
    const SinkhornState first = solved(coupling, options_for(p, 1e-6));
    const Sinkhorn sinkhorn{coupling, options_for(p)};
    SinkhornState again = sinkhorn.start(first.f, first.g);

    while (again.status == Status::running) sinkhorn.step(again);

    EXPECT_EQ(again.status, Status::converged);
    EXPECT_LE(again.half_passes, 2);
}

TEST(Sinkhorn, GoesOnToATighterToleranceFromWhereItEnded) {
    const Problem p = problem(90, 80, 3, "sqeuclidean", 0.05);
    for (const Acceleration acceleration : every_acceleration) {
        Coupling coupling = coupling_of(p, {1, Communicator::world().size()}, Precision::fp64);
        SinkhornOptions options = options_for(p, 1e-2);
        options.acceleration = acceleration;
        Sinkhorn sinkhorn{coupling, options};
        SinkhornState state = sinkhorn.start();
        for (const double tolerance : {1e-2, 1e-3, 1e-4, 1e-5}) {
            sinkhorn.options.tolerance = tolerance;
            state.status = Status::running;

            while (state.status == Status::running) sinkhorn.step(state);

            EXPECT_EQ(state.status, Status::converged);
            EXPECT_LE(audit_and_value(coupling, state.f, state.g, p.epsilon, 0).audit.error(), 1.0001 * tolerance);
        }
    }
}

TEST(Sinkhorn, EndsAtTheFloorOfSinglePrecisionAndSaysSo) {
    const Problem p = problem(300, 300, 3, "sqeuclidean", 0.05);
    Coupling coupling = coupling_of(p, {1, Communicator::world().size()}, Precision::single);

    const SinkhornState state = solved(coupling, options_for(p, 1e-13));

    EXPECT_EQ(state.status, Status::not_converged);
    EXPECT_NE(state.reason.find("floor of single precision"), std::string::npos) << state.reason;
    EXPECT_LT(state.half_passes, 500);
    EXPECT_LT(state.best_error, 1e-4);
}

TEST(Sinkhorn, StopsOnAllRanksWhenOneObserverAsks) {
    const Problem p = problem(50, 60);
    const Communicator world = Communicator::world();
    Coupling coupling = coupling_of(p, {1, world.size()}, Precision::single);
    Sinkhorn sinkhorn{coupling, options_for(p, 1e-12)};
    sinkhorn.observer = [&](const SinkhornState& state) {
        return world.rank() == world.size() - 1 && state.half_passes == 5;
    };
    SinkhornState state = sinkhorn.start();

    while (state.status == Status::running) sinkhorn.step(state);

    EXPECT_EQ(state.status, Status::stopped);
    EXPECT_EQ(state.half_passes, 5);
}

TEST(Sinkhorn, FailsInWordsOnNotANumber) {
    const Problem p = problem(50, 60);
    Coupling coupling = coupling_of(p, {1, Communicator::world().size()}, Precision::single);
    const Sinkhorn sinkhorn{coupling, options_for(p)};
    SinkhornState state = sinkhorn.start();
    if (!state.f.empty()) state.f[0] = std::nan("");

    while (state.status == Status::running) sinkhorn.step(state);

    EXPECT_EQ(state.status, Status::failed);
    EXPECT_NE(state.reason.find("half-pass 1"), std::string::npos) << state.reason;
}

TEST(Sinkhorn, SolvesFarOffCloudsLikeNearOnes) {
    for (const char* cost : {"sqeuclidean", "dot", "euclidean"}) {
        std::vector<double> kl;
        for (const double offset : {0.0, 1e3}) {
            Problem p = problem(60, 50, 3, cost);
            p.epsilon = 2;
            for (double& x : p.source.points) x += offset;
            for (double& y : p.target.points) y += offset;
            Coupling coupling = coupling_of(p, {1, Communicator::world().size()}, Precision::fp64);

            const SinkhornState state = solved(coupling, options_for(p, 1e-9));

            ASSERT_EQ(state.status, Status::converged) << cost << " " << offset << ": " << state.reason;
            kl.push_back(audit_and_value(coupling, state.f, state.g, p.epsilon, 0).values.kl);
        }
        EXPECT_NEAR(kl[1], kl[0], 1e-7) << cost;  // costs of 1e6 over epsilon 2, twice rounded
    }
}

TEST(Values, RelativeEntropyDoesNotCancelWhenTheCloudsAreFarApart) {
    std::vector<double> kl;
    for (const double apart : {0.0, 1e4}) {
        Problem p = problem(60, 50);
        p.epsilon = 2;
        for (double& x : p.source.points) x += apart;
        Coupling coupling = coupling_of(p, {1, Communicator::world().size()}, Precision::fp64);

        const SinkhornState state = solved(coupling, options_for(p, 1e-6));

        kl.push_back(audit_and_value(coupling, state.f, state.g, p.epsilon, 0).values.kl);
    }
    // A translation changes no entropy; the two runs may end anywhere within their tolerance.
    EXPECT_NEAR(kl[1], kl[0], 1e-5);
}

TEST(Sinkhorn, RecoversFromHopelessPotentials) {
    const Problem p = problem(60, 50);
    Coupling coupling = coupling_of(p, {1, Communicator::world().size()}, Precision::single);
    const Sinkhorn sinkhorn{coupling, options_for(p)};
    SinkhornState state = sinkhorn.start();
    state = sinkhorn.start(std::vector<double>(state.f.size(), 1e6), std::vector<double>(state.g.size(), -3e6));

    while (state.status == Status::running) sinkhorn.step(state);

    EXPECT_EQ(state.status, Status::converged) << state.reason;
}

TEST(FixGauge, BalancesThePotentialsWithoutChangingThePlan) {
    const Problem p = problem(40, 30);
    Coupling coupling = coupling_of(p, {1, Communicator::world().size()}, Precision::fp64);
    SinkhornState state = solved(coupling, options_for(p));
    const auto before = coupling.reduce(Side::column, {state.f, state.g}, p.epsilon, Safety::safe);

    fix_gauge(coupling, state.f, state.g);

    EXPECT_NEAR(coupling.mean(Side::row, state.f), coupling.mean(Side::column, state.g), 1e-12);
    const auto after = coupling.reduce(Side::column, {state.f, state.g}, p.epsilon, Safety::safe);
    for (std::size_t j = 0; j < after.size(); ++j) EXPECT_NEAR(after[j], before[j], 1e-10);
}

TEST(Audit, SampleAgreesWithTheWholeAndIsTheSameOnEveryGrid) {
    const Problem p = problem(701, 503);
    std::vector<double> errors;
    for (const GridShape shape : test::all_shapes(Communicator::world().size())) {
        Coupling coupling = coupling_of(p, shape, Precision::fp64);
        SinkhornOptions options = options_for(p, 1e-300);
        options.acceleration = Acceleration::plain;
        options.annealing = false;
        options.max_half_passes = 4;
        const SinkhornState state = solved(coupling, options);
        const Verdict whole = audit_and_value(coupling, state.f, state.g, p.epsilon, 7);

        const Verdict sample = audit_and_value(coupling, state.f, state.g, p.epsilon, 7, 0, 200);

        EXPECT_FALSE(whole.audit.sampled);
        EXPECT_EQ(whole.audit.rows, 701);
        EXPECT_TRUE(sample.audit.sampled);
        EXPECT_EQ(sample.audit.rows, 200);
        EXPECT_EQ(sample.audit.columns, 200);
        // 200 of several hundred points whose errors spread over a decade.
        EXPECT_NEAR(sample.audit.error() / whole.audit.error(), 1, 0.5);
        EXPECT_NEAR(sample.values.transport_cost, whole.values.transport_cost, 1e-10);
        EXPECT_NEAR(sample.values.dual_value, whole.values.dual_value, 1e-10);
        EXPECT_NEAR(sample.values.kl, whole.values.kl, 1e-9);
        EXPECT_NEAR(sample.values.normalised_entropy, whole.values.normalised_entropy, 1e-10);
        errors.push_back(sample.audit.error());
    }
    for (const double error : errors) EXPECT_NEAR(error, errors[0], 1e-9);
}

}  // namespace
}  // namespace convoy
