#include "solvers/plan.hpp"

#include <gtest/gtest.h>

#include "convoy/error.hpp"

namespace convoy {
namespace {

PlanRequest request(std::int64_t n, std::int64_t m, std::int64_t d) {
    PlanRequest r;
    r.rows = n;
    r.columns = m;
    r.dimension = d;
    return r;
}

TEST(GridChoices, SquareProblemsOnFourRanksTakeASquareGrid) {
    EXPECT_EQ(grid_choices(request(1000000, 1000000, 3), 4, 1e12, 1).front().shape, (GridShape{2, 2}));
}

TEST(GridChoices, ALongSideIsCutMore) {
    const GridShape shape = grid_choices(request(10000000, 1000, 3), 8, 1e12, 1).front().shape;
    EXPECT_EQ(shape, (GridShape{8, 1}));
}

TEST(GridChoices, MemoryComesBeforeCommunication) {
    // One long side in many dimensions: only cutting it everywhere fits.
    const PlanRequest long_source = request(1000000, 1000000, 100);
    const auto roomy = grid_choices(long_source, 16, 1e12, 1);
    double least = roomy.front().memory;
    for (const GridChoice& choice : roomy) least = std::min(least, choice.memory);
    const auto tight = grid_choices(long_source, 16, least * 1.001, 1);
    EXPECT_TRUE(tight.front().fits);
    EXPECT_LE(tight.front().memory, least * 1.001);
    EXPECT_FALSE(tight.back().fits);
}

TEST(GridChoices, EveryShapeOfTheRanksIsThere) {
    EXPECT_EQ(grid_choices(request(10, 10, 2), 12, 1e12, 1).size(), 6u);
    EXPECT_EQ(grid_choices(request(10, 10, 2), 7, 1e12, 1).size(), 2u);
}

TEST(GridChoices, SelfProblemsTakeMemoryAndAShareInTheChoice) {
    PlanRequest r = request(10000000, 1000, 3);
    const double alone = memory_of_rank(r, {8, 1}, 1), products = bytes_of_products(r, {4, 2});
    r.more.self_problems = true;
    const double with_self = memory_of_rank(r, {8, 1}, 1);
    EXPECT_GT(with_self, alone + 8 * 3 * 1e7);  // all of the source, once more on each rank
    EXPECT_GT(bytes_of_products(r, {4, 2}), 1000 * products);
    // What dominates is the source against itself.
    EXPECT_EQ(grid_choices(r, 4, 1e12, 1).front().shape, (GridShape{2, 2}));
}

TEST(ResolvePlan, RefusesWhatDoesNotFitAndSaysWhatWould) {
    PlanRequest r = request(100000000, 100000000, 64);
    r.memory = 8e9;
    try {
        resolve_plan(Communicator{}, r);
        FAIL() << "nothing was refused";
    } catch (const InputError& e) {
        EXPECT_NE(std::string{e.what()}.find("ranks are enough"), std::string::npos) << e.what();
    }
}

TEST(ProductsPay, InManyDimensionsAndTheMoreCoresReadTheMore) {
    EXPECT_FALSE(products_pay(3, 1));
    EXPECT_FALSE(products_pay(8, 2));
    EXPECT_TRUE(products_pay(16, 2));
    EXPECT_FALSE(products_pay(32, 64));
    EXPECT_TRUE(products_pay(256, 64));
}

Plan planned(PlanRequest r, Cache cache, double memory = 1e10) {
    r.cache = cache;
    r.memory = memory;
    r.threads = 2;
    return resolve_plan(Communicator{}, r);
}

TEST(ResolvePlan, KeepsProductsWhereTheyFitAndPay) {
    const PlanRequest pays = request(10000, 10001, 64);
    const Plan kept = planned(pays, Cache::automatic), recomputed = planned(pays, Cache::off);

    EXPECT_TRUE(kept.keep_products);
    EXPECT_EQ(kept.products, 4.0 * 10016 * 10001);
    // A sub-sample of a quarter of both has products too.
    EXPECT_NEAR(kept.memory, recomputed.memory + 17.0 / 16 * kept.products, 0.01 * kept.products);
    EXPECT_NE(kept.explain.find("products kept (382 MiB)"), std::string::npos) << kept.explain;
    EXPECT_FALSE(recomputed.keep_products);
    EXPECT_EQ(recomputed.products, 0);
    EXPECT_NE(recomputed.explain.find("products recomputed"), std::string::npos) << recomputed.explain;
    EXPECT_FALSE(planned(pays, Cache::automatic, kept.memory - 1).keep_products);
    EXPECT_FALSE(planned(request(10000, 10000, 3), Cache::automatic).keep_products);
    EXPECT_TRUE(planned(request(10000, 10000, 3), Cache::on).keep_products);
}

TEST(ResolvePlan, KeepsNoProductsThatThereAreNot) {
    PlanRequest distances = request(1000, 1000, 64), twice = distances, reference = distances;
    distances.cost = Cost::parse("euclidean");
    twice.precision = Precision::fp64;
    reference.backend = Backend::reference;
    for (const PlanRequest& r : {distances, twice, reference}) {
        EXPECT_FALSE(planned(r, Cache::automatic).keep_products);
        EXPECT_THROW(planned(r, Cache::on), InputError);
    }
}

TEST(ResolvePlan, RefusesProductsThatDoNotFitAndSaysHowManyRanksWouldDo) {
    try {
        planned(request(100000, 100000, 64), Cache::on, 4e9);
        FAIL() << "nothing was refused";
    } catch (const InputError& e) {
        EXPECT_NE(std::string{e.what()}.find("12 ranks are enough"), std::string::npos) << e.what();
    }
}

TEST(ResolvePlan, TakesAGivenGridOrRefusesIt) {
    PlanRequest r = request(100, 100, 2);
    r.grid = GridShape{1, 1};
    EXPECT_EQ(resolve_plan(Communicator{}, r).grid, (GridShape{1, 1}));
    r.grid = GridShape{2, 1};
    EXPECT_THROW(resolve_plan(Communicator{}, r), InputError);
}

}  // namespace
}  // namespace convoy
