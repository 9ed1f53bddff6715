#include "solvers/map_plan.hpp"

#include <gtest/gtest.h>

#include "convoy/error.hpp"
#include "solvers/plan.hpp"

namespace convoy {
namespace {

MapRequest request(std::int64_t points, std::int64_t target, std::int64_t dimension, std::int64_t steps = 1) {
    MapRequest request;
    request.points = points;
    request.target = target;
    request.dimension = dimension;
    request.steps = steps;
    return request;
}

TEST(MapPlan, PortionsHoldAllPointsInBoundedTime) {
    for (const std::int64_t points : {std::int64_t{1}, std::int64_t{7}, std::int64_t{1000}, std::int64_t{1000003}}) {
        for (const std::int64_t target : {std::int64_t{1}, std::int64_t{1000}, std::int64_t{10000000}}) {
            for (const GridShape shape : {GridShape{1, 1}, GridShape{7, 1}, GridShape{2, 3}}) {
                const Portions portions = portions_of(request(points, target, 3), shape, 1e9);

                EXPECT_GE(portions.count * portions.rows * shape.rows, points);
                EXPECT_GE(portions.rows, 1);
                // Filling up portions costs less than a row of the grid each.
                EXPECT_LE((portions.count * portions.rows - portions.count) * shape.rows, points + shape.rows);
                EXPECT_LE(static_cast<double>(portions.rows) * target / shape.columns, 6e9 + 1100.0 * target);
            }
        }
    }
}

TEST(MapPlan, EveryRankHoldsTheTargetWhereItCan) {
    const MapRequest million = request(1000000, 1000000, 3);

    EXPECT_EQ(grid_for_mapping(million, 12, 1, 1e9), (GridShape{12, 1}));

    // With less room the target is cut, no finer than needed.
    const double whole = memory_of_mapping(million, {12, 1}, 1, 1e9), half = memory_of_mapping(million, {6, 2}, 1, 1e9);
    EXPECT_LT(half, whole);
    EXPECT_EQ(grid_for_mapping(million, 12, 1, (whole + half) / 2), (GridShape{6, 2}));
    EXPECT_EQ(grid_for_mapping(million, 12, 1, 1e6), std::nullopt);
}

TEST(MapPlan, MemoryGrowsWithStepsAndSelfProblems) {
    MapRequest plain = request(1000, 1000000, 3), self = plain;
    self.self_points = 1000000;
    MapRequest solved = self;
    solved.solve_self = true;
    const auto memory = [](const MapRequest& r) { return memory_of_mapping(r, {1, 1}, 1, 1e12); };

    // A step more is a number more for each point of the target.
    EXPECT_NEAR(memory(request(1000, 1000000, 3, 16)) - memory(request(1000, 1000000, 3, 15)), 16e6, 9e6);
    EXPECT_GT(memory(self), memory(plain));
    EXPECT_GE(memory(solved), memory(self));
}

TEST(MapPlan, SaysHowManyRanksWouldDo) {
    MapRequest large = request(1000, 100000000, 3);
    large.memory = 3e9;

    try {
        resolve_map_plan({}, large);
        FAIL() << "a target of 3 GB fits nowhere here";
    } catch (const InputError& error) {
        EXPECT_NE(std::string{error.what()}.find("ranks are enough"), std::string::npos) << error.what();
    }
    large.memory = 1e12;
    large.grid = GridShape{2, 2};
    EXPECT_THROW(resolve_map_plan({}, large), InputError);
}

TEST(MapPlan, OnDevicesPortionsAreLongAndMemoryIsPlanned) {
    MapRequest r = request(1000000, 10000000, 3), cpu = r;
    r.backend = Backend::cuda;
    r.devices = {125e9, false, 1, "sm_90", "rank 0 on node7: NVIDIA H200 (140 GiB)"};
    r.memory = cpu.memory = 1e12;

    const MapPlan plan = resolve_map_plan({}, r);

    EXPECT_LT(plan.portions.count, resolve_map_plan({}, cpu).portions.count / 10);
    EXPECT_GT(plan.device_memory, 1e7 * 12);
    EXPECT_FALSE(plan.stream_points);
    EXPECT_NE(plan.explain.find("cuda backend with sm_90, points resident"), std::string::npos) << plan.explain;
    EXPECT_NE(plan.explain.find("on its device (limit 116 GiB)"), std::string::npos) << plan.explain;

    MapRequest compared = r;
    compared.compared_with = 10000000;
    EXPECT_GT(resolve_map_plan({}, compared).device_memory, plan.device_memory);
    r.devices.memory = 1e9;
    try {
        resolve_map_plan({}, r);
        FAIL() << "10^7 points fit into 1 GB nowhere";
    } catch (const InputError& error) {
        const std::string words = error.what();
        EXPECT_EQ(words.find("mapping needs"), 0u) << words;
        EXPECT_NE(words.find("of device memory for each of 1 rank"), std::string::npos) << words;
    }
}

}  // namespace
}  // namespace convoy
