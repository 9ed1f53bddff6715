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

TEST(ResolvePlan, TakesAGivenGridOrRefusesIt) {
    PlanRequest r = request(100, 100, 2);
    r.grid = GridShape{1, 1};
    EXPECT_EQ(resolve_plan(Communicator{}, r).grid, (GridShape{1, 1}));
    r.grid = GridShape{2, 1};
    EXPECT_THROW(resolve_plan(Communicator{}, r), InputError);
}

}  // namespace
}  // namespace convoy
