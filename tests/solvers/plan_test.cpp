#include "solvers/plan.hpp"

#include <gtest/gtest.h>

#include "convoy/error.hpp"
#include "solvers/device_plan.hpp"

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

// --- On devices, of which none need be there: all of it is arithmetic ---

PlanRequest on_devices(std::int64_t n, std::int64_t m, std::int64_t d, double device_memory) {
    PlanRequest r = request(n, m, d);
    r.backend = Backend::cuda;
    r.devices = {device_memory, false, 1, "sm_90", "rank 0 on node7: NVIDIA H200 (140 GiB)"};
    r.memory = 1e12;
    r.threads = 2;
    return r;
}

std::string refusal(const PlanRequest& r) {
    try {
        resolve_plan(Communicator{}, r);
    } catch (const InputError& e) {
        return e.what();
    }
    return "nothing was refused";
}

double resident(const PlanRequest& r, bool keep_products = false) {
    return device_memory_of(device_stages(r, {1, 1}, keep_products), false);
}
double streamed(const PlanRequest& r, bool keep_products = false) {
    return device_memory_of(device_stages(r, {1, 1}, keep_products), true);
}

TEST(PlanOnDevices, PointsLieThereWhereTheyFitElseTheyAreStreamed) {
    const PlanRequest roomy = on_devices(2000000, 2000000, 512, 125e9);
    const Plan plan = resolve_plan(Communicator{}, roomy);
    PlanRequest tight = roomy;
    tight.devices.memory = resident(roomy) - 1;
    const Plan tight_plan = resolve_plan(Communicator{}, tight);

    EXPECT_FALSE(plan.stream_points);
    EXPECT_EQ(plan.device_memory, resident(roomy));
    EXPECT_GT(plan.device_memory, 2 * 2e6 * 512 * 8);  // in single precision, and split
    EXPECT_EQ(plan.device_memory_limit, 125e9);
    EXPECT_EQ(plan.instruction_set, "sm_90");
    EXPECT_NE(plan.explain.find("cuda backend with sm_90, points resident, products recomputed"), std::string::npos)
        << plan.explain;
    EXPECT_NE(plan.explain.find("on its device (limit 116 GiB)"), std::string::npos) << plan.explain;
    EXPECT_TRUE(tight_plan.stream_points);
    EXPECT_EQ(tight_plan.device_memory, streamed(roomy));
    EXPECT_LT(tight_plan.device_memory, plan.device_memory / 2);
    EXPECT_NE(tight_plan.explain.find("points streamed"), std::string::npos) << tight_plan.explain;
    // Points as given stay on the host, whatever the device holds.
    EXPECT_EQ(plan.memory, tight_plan.memory);
    EXPECT_GT(plan.memory, 2 * 2e6 * 512 * 8);
}

TEST(PlanOnDevices, ResultsKeepWhatTheDevicesWere) {
    const Plan plan = resolve_plan(Communicator{}, on_devices(1000, 1000, 3, 1e10));
    const auto attribute = [&](const std::string& name) {
        for (const auto& [key, value] : plan.attributes)
            if (key == name) return value;
        return std::variant<std::string, double, std::int64_t>{"missing"};
    };

    EXPECT_EQ(std::get<std::string>(attribute("backend")), "cuda");
    EXPECT_EQ(std::get<std::string>(attribute("instruction_set")), "sm_90");
    EXPECT_EQ(std::get<std::string>(attribute("devices")), "rank 0 on node7: NVIDIA H200 (140 GiB)");
    EXPECT_EQ(std::get<std::string>(attribute("points_on_device")), "resident");
    EXPECT_EQ(std::get<std::int64_t>(attribute("ranks_per_device")), 1);
    EXPECT_EQ(std::get<double>(attribute("device_memory_per_rank_limit")), 1e10);
    EXPECT_EQ(std::get<double>(attribute("device_memory_per_rank_estimate")), plan.device_memory);
}

TEST(PlanOnDevices, KeepsProductsWhereTheyPayAndFitBesideThePoints) {
    const PlanRequest pays = on_devices(60000, 60000, 1024, 125e9), few = on_devices(60000, 60000, 3, 125e9);
    const Plan kept = resolve_plan(Communicator{}, pays);
    PlanRequest tight = pays;
    tight.devices.memory = resident(pays, true) - 1;

    EXPECT_TRUE(kept.keep_products);
    EXPECT_FALSE(kept.stream_points);
    EXPECT_EQ(kept.products, 4.0 * 60000 * 60000);  // rows of products in whole lines
    EXPECT_EQ(kept.device_memory, resident(pays, true));
    EXPECT_GT(kept.device_memory, resident(pays) + kept.products);
    EXPECT_FALSE(resolve_plan(Communicator{}, few).keep_products);
    EXPECT_FALSE(resolve_plan(Communicator{}, tight).keep_products);
    EXPECT_FALSE(resolve_plan(Communicator{}, tight).stream_points);

    PlanRequest off = pays;
    off.cache = Cache::off;
    EXPECT_FALSE(resolve_plan(Communicator{}, off).keep_products);
    // The host holds no products.
    EXPECT_EQ(kept.memory, resolve_plan(Communicator{}, off).memory);
}

TEST(PlanOnDevices, ProductsThatAreInsistedOnTakeThePointsPlaceOrAreRefused) {
    PlanRequest r = on_devices(60000, 60000, 4096, 0);
    r.cache = Cache::on;
    r.devices.memory = resident(r, true) - 1;
    const Plan plan = resolve_plan(Communicator{}, r);

    EXPECT_TRUE(plan.keep_products);
    EXPECT_TRUE(plan.stream_points);
    EXPECT_EQ(plan.device_memory, streamed(r, true));

    r.devices.memory = streamed(r, true) - 1;
    const std::string words = refusal(r);
    EXPECT_EQ(words.find("--cache on: the problem and its products need"), 0u) << words;
    EXPECT_NE(words.find("ranks are enough, or use --cache auto"), std::string::npos) << words;
    EXPECT_NE(words.find("of device memory for each of 1 rank"), std::string::npos) << words;

    PlanRequest twice = on_devices(1000, 1000, 200, 1e11);
    twice.cache = Cache::on;
    twice.precision = Precision::fp64;
    EXPECT_NE(refusal(twice).find("single precision only"), std::string::npos);
}

TEST(PlanOnDevices, WhatDoesNotFitIsRefusedWithWhatWould) {
    PlanRequest r = on_devices(100000000, 100000000, 3, 4e9);

    EXPECT_NE(refusal(r).find("of device memory for each of 1 rank (allowed are 3.7 GiB); with this much for each, "),
              std::string::npos)
        << refusal(r);
    EXPECT_NE(refusal(r).find(" ranks are enough"), std::string::npos) << refusal(r);
    r.devices.ranks_on_one = 4;
    r.devices.memory_given = true;
    EXPECT_NE(refusal(r).find("(allowed are 3.7 GiB, 4 ranks share a device)"), std::string::npos) << refusal(r);
    EXPECT_NE(refusal(r).find("give each rank a device of its own, or raise --device-memory"), std::string::npos);
    r.devices = {1e6, false, 1, "sm_90", "a small one"};  // less than the driver takes
    EXPECT_NE(refusal(r).find("; use --device cpu"), std::string::npos) << refusal(r);
    // What the host lacks is said of the host.
    PlanRequest host = on_devices(100000000, 100000000, 3, 1e12);
    host.memory = 8e9;
    EXPECT_NE(refusal(host).find("raise --memory"), std::string::npos) << refusal(host);
}

TEST(PlanOnDevices, AGridThatFitsTheDevicesComesFirst) {
    // Held whole, one side or the other is too much; cut both ways it is not.
    PlanRequest r = on_devices(200000000, 200000000, 3, 0);
    const auto need = [&](GridShape shape) { return fit_on_device(device_stages(r, shape, false), 0).memory; };
    r.devices.memory = need({2, 2}) * 1.001;
    ASSERT_GT(need({4, 1}), r.devices.memory);

    const auto choices = grid_choices(r, 4, 1e12, 1);

    EXPECT_EQ(choices.front().shape, (GridShape{2, 2}));
    EXPECT_TRUE(choices.front().fits);
    EXPECT_FALSE(choices.back().fits);
}

TEST(PlanOnDevices, EveryStageHasItsPlace) {
    const auto need = [](const PlanRequest& r) { return resident(r); };
    PlanRequest plain = on_devices(100000, 400000, 256, 1e12), twice = plain, self = plain, wide = plain,
                epsilons = plain;
    twice.precision = Precision::fp64;
    self.more.self_problems = true;
    wide.more.wide_averages = true;
    epsilons.more.target_itself = true;

    const auto stages = [](const PlanRequest& r) { return device_stages(r, {1, 1}, false).size(); };
    EXPECT_GT(need(twice), need(plain));
    EXPECT_EQ(stages(self), stages(plain) + 2);
    EXPECT_GT(need(wide), need(plain));
    EXPECT_EQ(stages(epsilons), stages(plain) + 1);
    EXPECT_GT(need(epsilons), need(plain));
    // Small problems have no samples, and their audit is the host's.
    EXPECT_EQ(device_stages(on_devices(900, 900, 3, 1e12), {1, 1}, false).size(), 1u);
    EXPECT_EQ(device_stages(on_devices(900, 900, 3, 1e12), {1, 1}, false).front().size(), 1u);
    EXPECT_GE(device_stages(plain, {1, 1}, false).back().size(), 3u);
}

}  // namespace
}  // namespace convoy
