#include "parallel/device_choice.hpp"

#include <gtest/gtest.h>

#include "convoy/error.hpp"

namespace convoy {
namespace {

using Kind = DeviceRequest::Kind;

constexpr double gibibyte = 1 << 30;

CudaDevice device(const std::string& identity, double gibibytes = 140, const std::string& name = "NVIDIA H200") {
    return {name, identity, gibibytes * gibibyte, 90};
}

// `ranks` ranks on a node that see all its devices, as in an ordinary allocation.
std::vector<DeviceView> node_that_shows_all(const std::string& host, int ranks, int devices) {
    std::vector<DeviceView> views;
    for (int rank = 0; rank < ranks; ++rank) {
        DeviceView view{host, rank, {}, {}};
        for (int k = 0; k < devices; ++k) view.devices.push_back(device(host + "-" + std::to_string(k)));
        views.push_back(view);
    }
    return views;
}

// Each rank sees one device, its number 0, as SLURM binds them.
std::vector<DeviceView> node_that_binds(const std::string& host, int ranks, int devices) {
    std::vector<DeviceView> views;
    for (int rank = 0; rank < ranks; ++rank)
        views.push_back({host, rank, {device(host + "-" + std::to_string(rank % devices))}, {}});
    return views;
}

std::vector<DeviceView> together(std::vector<DeviceView> some, const std::vector<DeviceView>& more) {
    some.insert(some.end(), more.begin(), more.end());
    return some;
}

DeviceRequest request(Kind kind = Kind::automatic) {
    return {kind, {}, {}};
}

std::vector<int> numbers(const DeviceChoice& choice) {
    std::vector<int> all;
    for (const DeviceUse& use : choice.uses) all.push_back(use.number);
    return all;
}

std::vector<int> sharing(const DeviceChoice& choice) {
    std::vector<int> all;
    for (const DeviceUse& use : choice.uses) all.push_back(use.ranks);
    return all;
}

std::string refusal(const DeviceRequest& request, const std::vector<DeviceView>& views) {
    try {
        choose_devices(request, views);
    } catch (const InputError& error) {
        return error.what();
    }
    return "nothing was refused";
}

TEST(ChooseDevices, RanksOfANodeTakeTurns) {
    const DeviceChoice choice = choose_devices(request(), node_that_shows_all("node7", 4, 4));

    EXPECT_EQ(choice.backend, Backend::cuda);
    EXPECT_EQ(numbers(choice), (std::vector{0, 1, 2, 3}));
    EXPECT_EQ(sharing(choice), (std::vector{1, 1, 1, 1}));
    EXPECT_DOUBLE_EQ(choice.in_short.memory, 0.9 * 140 * gibibyte);
    EXPECT_EQ(choice.in_short.instruction_set, "sm_90");
    EXPECT_EQ(choice.in_short.words, "ranks 0-3 on node7: 4 x NVIDIA H200 (140 GiB each)");
    EXPECT_EQ(choice.warning, "");
}

TEST(ChooseDevices, RanksThatSeeOnlyTheirOwnDeviceUseIt) {
    const DeviceChoice choice = choose_devices(request(), node_that_binds("node7", 4, 4));

    EXPECT_EQ(numbers(choice), (std::vector{0, 0, 0, 0}));
    EXPECT_EQ(sharing(choice), (std::vector{1, 1, 1, 1}));
    EXPECT_EQ(choice.in_short.words, "ranks 0-3 on node7: 4 x NVIDIA H200 (140 GiB each)");
}

TEST(ChooseDevices, RanksThatMeetOnADeviceShareItsMemoryHoweverTheySeeIt) {
    for (const auto& views : {node_that_shows_all("node7", 5, 2), node_that_binds("node7", 5, 2)}) {
        const DeviceChoice choice = choose_devices(request(), views);

        EXPECT_EQ(sharing(choice), (std::vector{3, 2, 3, 2, 3}));
        EXPECT_DOUBLE_EQ(choice.uses[0].memory, 0.3 * 140 * gibibyte);
        EXPECT_DOUBLE_EQ(choice.uses[1].memory, 0.45 * 140 * gibibyte);
        EXPECT_DOUBLE_EQ(choice.in_short.memory, 0.3 * 140 * gibibyte);
        EXPECT_EQ(choice.in_short.ranks_on_one, 3);
        EXPECT_EQ(choice.in_short.words, "ranks 0-4 on node7: 2 x NVIDIA H200 (140 GiB each), 2 to 3 ranks on each");
    }
}

TEST(ChooseDevices, AGivenNumberIsForAllRanks) {
    const DeviceChoice choice = choose_devices({Kind::cuda, 1, {}}, node_that_shows_all("node7", 3, 2));

    EXPECT_EQ(numbers(choice), (std::vector{1, 1, 1}));
    EXPECT_EQ(sharing(choice), (std::vector{3, 3, 3}));
    EXPECT_EQ(choice.in_short.words, "ranks 0-2 on node7: NVIDIA H200 (140 GiB), shared by 3 ranks");
}

TEST(ChooseDevices, DevicesWithoutIdentityAreToldApartByNodeAndNumber) {
    auto views = together(node_that_shows_all("a", 2, 2), node_that_shows_all("b", 2, 2));
    for (DeviceView& view : views)
        for (CudaDevice& one : view.devices) one.identity.clear();

    EXPECT_EQ(sharing(choose_devices(request(), views)), (std::vector{1, 1, 1, 1}));
    EXPECT_EQ(sharing(choose_devices({Kind::cuda, 0, {}}, views)), (std::vector{2, 2, 2, 2}));
}

TEST(ChooseDevices, WordsStayShortOnManyNodes) {
    std::vector<DeviceView> alike, different;
    for (int node = 0; node < 20; ++node) {
        alike = together(alike, node_that_shows_all("n" + std::to_string(node), 4, 4));
        different = together(different, node_that_shows_all("n" + std::to_string(node), node + 1, 1));
    }
    const auto words = [](const std::vector<DeviceView>& views) {
        return choose_devices(request(), views).in_short.words;
    };

    EXPECT_EQ(words(alike), "ranks 0-79 on 20 nodes (n0 to n19): 4 x NVIDIA H200 (140 GiB each) on each node");
    EXPECT_EQ(words(different).find('\n'), std::string::npos);
    EXPECT_LT(words(different).size(), 400u);
    EXPECT_NE(words(different).find("; and 16 more like these"), std::string::npos) << words(different);
    EXPECT_EQ(words(together(node_that_binds("a", 2, 2), node_that_binds("b", 2, 2))),
              "ranks 0-3 on 2 nodes (a and b): 2 x NVIDIA H200 (140 GiB each) on each node");
}

TEST(ChooseDevices, WordsTellKindsOfDevicesApart) {
    auto views = node_that_shows_all("node7", 3, 3);
    for (DeviceView& view : views) view.devices[1] = device("other", 80, "NVIDIA A100");
    for (DeviceView& view : views) view.devices[1].capability = 80;

    const DeviceChoice choice = choose_devices(request(), views);

    EXPECT_EQ(choice.in_short.words, "ranks 0-2 on node7: NVIDIA A100 (80 GiB) and 2 x NVIDIA H200 (140 GiB each)");
    EXPECT_EQ(choice.in_short.instruction_set, "sm_80 sm_90");
    EXPECT_DOUBLE_EQ(choice.in_short.memory, 0.9 * 80 * gibibyte);
}

TEST(ChooseDevices, RoundRobinRanksAreListed) {
    std::vector<DeviceView> views;
    for (int rank = 0; rank < 6; ++rank)
        views.push_back(
            {rank % 2 == 0 ? "a" : "b", rank / 2, {device("of " + std::to_string(rank), 140 - rank % 2)}, {}});

    EXPECT_EQ(choose_devices(request(), views).in_short.words,
              "ranks 0, 2, 4 on a: 3 x NVIDIA H200 (140 GiB each); ranks 1, 3, 5 on b: 3 x NVIDIA H200 (139 GiB each)");
}

TEST(ChooseDevices, NobodyIsLeftWithoutADevice) {
    auto views = together(node_that_shows_all("a", 3, 2), node_that_shows_all("b", 2, 2));
    views[3].devices.clear();
    views[3].why_none = "no driver";

    const DeviceChoice choice = choose_devices(request(), views);

    EXPECT_EQ(choice.backend, Backend::cpu);
    EXPECT_TRUE(choice.uses.empty());
    EXPECT_NE(choice.warning.find("rank 3 on b sees none: no driver"), std::string::npos) << choice.warning;
    EXPECT_NE(refusal(request(Kind::cuda), views).find("rank 3 on b sees none: no driver"), std::string::npos);
}

TEST(ChooseDevices, WithoutAnyDeviceTheReasonIsSaidOnce) {
    const std::vector<DeviceView> views(3, {"a", 0, {}, "no driver"});

    EXPECT_NE(choose_devices(request(), views).warning.find("(no driver)"), std::string::npos);
    EXPECT_EQ(refusal(request(Kind::cuda), views),
              "--device cuda cannot be used (there is no CUDA device: no driver); give every rank one, or use --device "
              "cpu");
}

TEST(ChooseDevices, ANumberThatIsNotThereIsRefused) {
    auto views = node_that_shows_all("a", 2, 2);

    EXPECT_NE(refusal({Kind::cuda, 7, {}}, views).find("--device cuda:7 cannot be used (rank 0 on a sees 2 devices)"),
              std::string::npos)
        << refusal({Kind::cuda, 7, {}}, views);
    views[1].devices.pop_back();
    EXPECT_NE(refusal({Kind::cuda, 1, {}}, views).find("rank 1 on a sees 1 device)"), std::string::npos);
}

TEST(ChooseDevices, TheCpuIsTakenInSilenceWhereItWasAskedFor) {
    const auto views = node_that_shows_all("a", 2, 2);
    for (const auto& [kind, backend] : {std::pair{Kind::cpu, Backend::cpu}, {Kind::reference, Backend::reference}}) {
        const DeviceChoice choice = choose_devices(request(kind), views);

        EXPECT_EQ(choice.backend, backend);
        EXPECT_EQ(choice.warning + choice.in_short.words, "");
    }
}

TEST(ChooseDevices, GivenMemoryIsTakenOrRefused) {
    const auto views = node_that_shows_all("a", 4, 2);

    EXPECT_DOUBLE_EQ(choose_devices({Kind::cuda, {}, 3 * gibibyte}, views).in_short.memory, 3 * gibibyte);
    EXPECT_NE(refusal({Kind::cuda, {}, 100 * gibibyte}, views).find("--device-memory 100 GiB is more than rank 0 on a"),
              std::string::npos)
        << refusal({Kind::cuda, {}, 100 * gibibyte}, views);
}

TEST(DeviceView, SurvivesItsWayAsText) {
    const DeviceView view{"node7", 3, {device("x", 139.8), device("", 0.5, "a, b: c\n")}, ""};
    const DeviceView none{"node7", 0, {}, "no driver"};

    const DeviceView back = unpacked(packed(view)), back_none = unpacked(packed(none));

    EXPECT_EQ(packed(back), packed(view));
    EXPECT_EQ(back.rank_on_node, 3);
    ASSERT_EQ(back.devices.size(), 2u);
    EXPECT_EQ(back.devices[0].memory, view.devices[0].memory);
    EXPECT_EQ(back.devices[1].name, view.devices[1].name);
    EXPECT_EQ(back_none.why_none, "no driver");
    EXPECT_TRUE(back_none.devices.empty());
}

}  // namespace
}  // namespace convoy
