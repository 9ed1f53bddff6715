#include "convoy/partition.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace convoy {
namespace {

// What every partition keeps, whatever its parts: each item in exactly one of them, numbered from 0 in each.
void expect_sound(const Partition& partition) {
    std::int64_t next = 0, most = 0;
    for (std::int64_t p = 0; p < partition.parts(); ++p) {
        const PartIndex part{p};
        ASSERT_EQ(partition.first(part).value, next);
        ASSERT_GE(partition.count(part), 0);
        ASSERT_EQ(partition.run(part), (GlobalRun{partition.first(part), partition.count(part)}));
        for (std::int64_t i = 0; i < partition.count(part); ++i) {
            const GlobalIndex item = partition.to_global(part, LocalIndex{i});
            ASSERT_EQ(item.value, next + i);
            ASSERT_EQ(partition.owner(item), part);
            ASSERT_EQ(partition.to_local(part, item), LocalIndex{i});
        }
        next += partition.count(part);
        most = std::max(most, partition.count(part));
    }
    ASSERT_EQ(next, partition.items());
    ASSERT_EQ(most, partition.largest());
}

void expect_stripes_tile(const Partition& partition, std::int64_t pieces) {
    for (std::int64_t p = 0; p < partition.parts(); ++p) {
        const PartIndex part{p};
        std::int64_t next = partition.first(part).value;
        std::int64_t fewest = partition.count(part), most = 0;
        for (std::int64_t piece = 0; piece < pieces; ++piece) {
            const GlobalRun stripe = partition.stripe(part, pieces, piece);
            ASSERT_EQ(stripe.first.value, next);
            next += stripe.count;
            fewest = std::min(fewest, stripe.count), most = std::max(most, stripe.count);
        }
        ASSERT_EQ(next, partition.first(part).value + partition.count(part));
        ASSERT_LE(most - fewest, 1);
    }
}

TEST(Partition, EvenPartsOwnEveryItemOnce) {
    for (std::int64_t items = 0; items <= 40; ++items)
        for (std::int64_t parts = 1; parts <= 9; ++parts) {
            SCOPED_TRACE(testing::Message() << items << " items in " << parts << " parts");
            const Partition partition = Partition::even(items, parts);

            EXPECT_EQ(partition.items(), items);
            EXPECT_EQ(partition.parts(), parts);
            expect_sound(partition);
        }
}

TEST(Partition, EvenPartsDifferByOneAtMostAndTheLargerComeFirst) {
    for (std::int64_t items = 0; items <= 40; ++items)
        for (std::int64_t parts = 1; parts <= 9; ++parts) {
            const Partition partition = Partition::even(items, parts);
            EXPECT_EQ(partition.largest(), (items + parts - 1) / parts);
            for (std::int64_t p = 1; p < parts; ++p) {
                const std::int64_t before = partition.count(PartIndex{p - 1}), here = partition.count(PartIndex{p});
                EXPECT_TRUE(before == here || before == here + 1);
            }
            EXPECT_LE(partition.largest() - partition.count(PartIndex{parts - 1}), 1);
        }
}

TEST(Partition, StripesTileEveryPart) {
    for (std::int64_t items = 0; items <= 40; ++items)
        for (std::int64_t parts = 1; parts <= 9; ++parts)
            for (std::int64_t pieces = 1; pieces <= 9; ++pieces) {
                SCOPED_TRACE(testing::Message() << items << " items, " << parts << " parts, " << pieces << " pieces");
                expect_stripes_tile(Partition::even(items, parts), pieces);
            }
}

TEST(Partition, OfCountsKeepsThemEmptyOnesIncluded) {
    for (const std::vector<std::int64_t>& counts :
         std::vector<std::vector<std::int64_t>>{{0}, {0, 0, 0}, {0, 3, 0, 0, 2}, {5, 0}, {0, 0, 1}, {1, 2, 3, 4}}) {
        const Partition partition = Partition::of_counts(counts);

        ASSERT_EQ(partition.parts(), static_cast<std::int64_t>(counts.size()));
        for (std::size_t p = 0; p < counts.size(); ++p) {
            EXPECT_EQ(partition.count(PartIndex{static_cast<std::int64_t>(p)}), counts[p]);
        }
        expect_sound(partition);
        expect_stripes_tile(partition, 4);
    }
}

TEST(Partition, OfRandomCountsIsSound) {
    std::mt19937_64 random{1};
    std::uniform_int_distribution<std::int64_t> parts{1, 9}, items{-3, 6};
    for (int trial = 0; trial < 200; ++trial) {
        std::vector<std::int64_t> counts(static_cast<std::size_t>(parts(random)));
        for (auto& count : counts) count = std::max<std::int64_t>(items(random), 0);

        expect_sound(Partition::of_counts(counts));
    }
}

TEST(Partition, OfEqualCountsIsTheEvenOne) {
    EXPECT_EQ(Partition::of_counts({4, 3, 3}), Partition::even(10, 3));
    EXPECT_NE(Partition::of_counts({3, 4, 3}), Partition::even(10, 3));
    EXPECT_EQ(Partition{}, Partition::even(0, 1));
}

TEST(Partition, CountsBeyondThirtyTwoBits) {
    const std::int64_t items = 5'000'000'001;
    const Partition partition = Partition::even(items, 2);

    EXPECT_EQ(partition.count(PartIndex{0}), 2'500'000'001);
    EXPECT_EQ(partition.owner(GlobalIndex{2'500'000'000}), PartIndex{0});
    EXPECT_EQ(partition.owner(GlobalIndex{2'500'000'001}), PartIndex{1});
    EXPECT_EQ(partition.stripe(PartIndex{1}, 3, 2).first.value, 2'500'000'001 + 2 * 833'333'333 + 1);
}

TEST(Partition, RunsHaveInCommonWhatBothHold) {
    for (std::int64_t a = 0; a <= 6; ++a)
        for (std::int64_t n = 0; n <= 6; ++n)
            for (std::int64_t b = 0; b <= 6; ++b)
                for (std::int64_t m = 0; m <= 6; ++m) {
                    std::int64_t first = -1, count = 0;
                    for (std::int64_t i = 0; i < 12; ++i) {
                        if (i < a || i >= a + n || i < b || i >= b + m) continue;
                        if (count++ == 0) first = i;
                    }

                    const GlobalRun common = intersect({GlobalIndex{a}, n}, {GlobalIndex{b}, m});

                    ASSERT_EQ(common.count, count);
                    if (count > 0) {
                        ASSERT_EQ(common.first.value, first);
                    }
                }
}

}  // namespace
}  // namespace convoy
