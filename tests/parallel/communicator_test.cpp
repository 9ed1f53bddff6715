#include "convoy/communicator.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <stdexcept>

#include "convoy/error.hpp"

namespace convoy {
namespace {

TEST(Communicator, IsOneRankByDefault) {
    const Communicator alone;
    std::vector<double> values{1, 2};

    alone.sum(values);
    alone.max(values);

    EXPECT_EQ(alone.size(), 1);
    EXPECT_EQ(values, (std::vector<double>{1, 2}));
    EXPECT_EQ(alone.gather_all(values), values);
    EXPECT_EQ(alone.split(0, 0).size(), 1);
}

TEST(Communicator, SumsInPiecesOfAnySize) {
    const Communicator world = Communicator::world();
    const std::int64_t before = Communicator::piece_elements;
    for (const std::int64_t piece : {1, 3, 7, 100}) {
        Communicator::piece_elements = piece;
        std::vector<double> values(23);
        std::iota(values.begin(), values.end(), static_cast<double>(world.rank()));

        world.sum(values);

        const double ranks = world.size();
        for (std::size_t k = 0; k < values.size(); ++k) {
            EXPECT_EQ(values[k], ranks * static_cast<double>(k) + ranks * (ranks - 1) / 2);
        }
    }
    Communicator::piece_elements = before;
}

TEST(Communicator, GathersPiecesOfDifferentLengthsInRankOrder) {
    const Communicator world = Communicator::world();
    const std::vector<double> mine(static_cast<std::size_t>(world.rank() % 3), world.rank());

    const std::vector<double> all = world.gather_all(mine);

    std::vector<double> expected;
    for (int rank = 0; rank < world.size(); ++rank)
        expected.insert(expected.end(), static_cast<std::size_t>(rank % 3), rank);
    EXPECT_EQ(all, expected);
}

TEST(Communicator, ExchangesListsOfAnyLength) {
    const Communicator world = Communicator::world();
    const std::int64_t before = Communicator::piece_elements;
    // From rank a to rank b: (a + 2 b) % 5 times the number 100 a + b.
    const auto list = [](int from, int to) {
        return std::vector<double>(static_cast<std::size_t>((from + 2 * to) % 5), 100.0 * from + to);
    };
    for (const std::int64_t piece : {std::int64_t{1}, std::int64_t{3}, before}) {
        Communicator::piece_elements = piece;
        std::vector<std::vector<double>> outgoing;
        for (int to = 0; to < world.size(); ++to) outgoing.push_back(list(world.rank(), to));

        const auto incoming = world.exchange(outgoing);

        ASSERT_EQ(std::ssize(incoming), world.size());
        for (int from = 0; from < world.size(); ++from)
            EXPECT_EQ(incoming[static_cast<std::size_t>(from)], list(from, world.rank()));
    }
    Communicator::piece_elements = before;
}

TEST(Communicator, SumsInRankOrderToTheSameBitsEverywhere) {
    const Communicator world = Communicator::world();

    const double sum = world.ordered_sum(0.1 * (world.rank() + 1));

    double expected = 0.1;
    for (int rank = 1; rank < world.size(); ++rank) expected += 0.1 * (rank + 1);
    EXPECT_EQ(sum, expected);
}

TEST(Communicator, BroadcastsText) {
    const Communicator world = Communicator::world();
    std::string text = world.is_root() ? "from the root" : "something much longer than what the root has to say";

    world.broadcast(text);

    EXPECT_EQ(text, "from the root");
}

TEST(Communicator, GathersTextsInRankOrder) {
    const Communicator world = Communicator::world();

    const std::vector<std::string> all = world.gather_all(std::string(static_cast<std::size_t>(world.rank() % 3), 'x'));

    ASSERT_EQ(std::ssize(all), world.size());
    for (std::size_t rank = 0; rank < all.size(); ++rank) EXPECT_EQ(all[rank], std::string(rank % 3, 'x'));
}

TEST(Communicator, ExchangesBetweenAllRanks) {
    const Communicator world = Communicator::world();
    const std::int64_t pieces = Communicator::piece_elements;
    for (const std::int64_t piece : {pieces, std::int64_t{2}}) {  // also messages of many pieces
        Communicator::piece_elements = piece;
        // Rank r sends (r + s) % 4 numbers to rank s: none, to some.
        const auto length = [](int from, int to) { return static_cast<std::size_t>((from + to) % 4); };
        std::vector<std::vector<double>> out, in;
        for (int other = 0; other < world.size(); ++other) {
            out.emplace_back(length(world.rank(), other), 100.0 * world.rank() + other);
            in.emplace_back(length(other, world.rank()), -1.0);
        }

        world.exchange(std::vector<std::span<const double>>(out.begin(), out.end()),
                       std::vector<std::span<double>>(in.begin(), in.end()));

        for (int other = 0; other < world.size(); ++other)
            EXPECT_EQ(in[static_cast<std::size_t>(other)],
                      std::vector<double>(length(other, world.rank()), 100.0 * other + world.rank()));
    }
    Communicator::piece_elements = pieces;
}

TEST(Agree, ThrowsTheLowestFailingRanksErrorEverywhere) {
    const Communicator world = Communicator::world();
    const auto failing_from_rank = [&](int first) {
        agree(world, [&] {
            if (world.rank() >= first) throw InputError{"rank " + std::to_string(world.rank()) + " cannot read"};
        });
    };

    EXPECT_NO_THROW(failing_from_rank(world.size()));
    const int last = world.size() - 1;
    try {
        failing_from_rank(last);
        ADD_FAILURE() << "nothing was thrown";
    } catch (const InputError& e) {
        EXPECT_EQ(std::string{e.what()}, "rank " + std::to_string(last) + " cannot read");
    }
    EXPECT_THROW(failing_from_rank(0), InputError);
}

TEST(Agree, KeepsTheKindOfTheError) {
    const Communicator world = Communicator::world();
    const bool last = world.rank() == world.size() - 1;

    EXPECT_THROW(agree(world,
                       [&] {
                           if (last) throw FatalFailure{"disk"};
                       }),
                 FatalFailure);
    EXPECT_THROW(agree(world,
                       [&] {
                           if (last) throw Failure{"disk"};
                       }),
                 Failure);
    EXPECT_ANY_THROW(agree(world, [&] {
        if (last) throw std::runtime_error{"disk"};
    }));
    EXPECT_ANY_THROW(agree(world, [&] {
        if (last) throw std::bad_alloc{};
    }));
}

}  // namespace
}  // namespace convoy
