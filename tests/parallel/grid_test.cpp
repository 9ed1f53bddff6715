#include "convoy/grid.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "convoy/error.hpp"
#include "parallel/scatter.hpp"

namespace convoy {
namespace {

std::vector<double> numbered(GlobalRun run, std::int64_t width) {
    std::vector<double> values;
    for (std::int64_t k = run.first.value * width; k < (run.first.value + run.count) * width; ++k)
        values.push_back(static_cast<double>(k));
    return values;
}

TEST(GridShape, ReadsWhatItWrites) {
    EXPECT_EQ(GridShape::parse("3x4"), (GridShape{3, 4}));
    EXPECT_EQ(GridShape::parse(GridShape{12, 1}.name()), (GridShape{12, 1}));
    for (const char* bad : {"", "3", "x4", "3x", "0x4", "-1x2", "3x4x5", "a x b", "3 x 4"}) {
        EXPECT_THROW(GridShape::parse(bad), InputError) << bad;
    }
}

TEST(Grid, RefusesAShapeOfAnotherNumberOfRanks) {
    const Communicator world = Communicator::world();
    EXPECT_THROW((Grid{world, {world.size() + 1, 1}}), InputError);
}

TEST(Grid, SharersAndHoldersMakeUpTheGrid) {
    const Communicator world = Communicator::world();
    for (const GridShape shape : test::all_shapes(world.size())) {
        const Grid grid{world, shape};
        EXPECT_EQ(grid.sharers(Side::row).size(), shape.columns);
        EXPECT_EQ(grid.holders(Side::row).size(), shape.rows);
        EXPECT_EQ(grid.holders(Side::row).rank(), grid.part(Side::row).value);
        EXPECT_EQ(grid.sharers(Side::column).size(), shape.rows);
        EXPECT_EQ(grid.holders(Side::column).rank(), grid.part(Side::column).value);
    }
}

TEST(Redistribute, BringsEveryRankItsPartOfTheOtherDistribution) {
    const Communicator world = Communicator::world();
    for (const GridShape shape : test::all_shapes(world.size())) {
        const Grid grid{world, shape};
        for (const std::int64_t items : {0, 1, 2, 5, 29, 101}) {
            for (const std::int64_t width : {1, 3}) {
                for (const Side side : {Side::row, Side::column}) {
                    const Partition from = Partition::even(items, grid.parts(side));
                    const Partition to = Partition::even(items, grid.parts(other(side)));

                    const auto moved =
                        redistribute(grid, side, from, to, width, numbered(from.run(grid.part(side)), width));

                    EXPECT_EQ(moved, numbered(to.run(grid.part(other(side))), width));
                }
            }
        }
    }
}

TEST(JoinStripes, MakesWholePartsOfStripes) {
    const Communicator world = Communicator::world();
    for (const GridShape shape : test::all_shapes(world.size())) {
        const Grid grid{world, shape};
        for (const std::int64_t items : {0, 1, 3, 50}) {
            for (const Side side : {Side::row, Side::column}) {
                const Partition partition = Partition::even(items, grid.parts(side));

                const auto part = join_stripes(grid, side, partition, 2, numbered(my_stripe(grid, side, partition), 2));

                EXPECT_EQ(part, numbered(partition.run(grid.part(side)), 2));
            }
        }
    }
}

TEST(Regroup, BringsPiecesOfAnySizesToTheirPartsAndBack) {
    const Communicator world = Communicator::world();
    const int ranks = world.size();
    for (const GridShape shape : test::all_shapes(ranks)) {
        const Grid grid{world, shape};
        for (const Side side : {Side::row, Side::column}) {
            for (const std::int64_t items : {0, 1, 5, 50}) {
                // All at the first rank, at the last, even, and growing from rank to rank.
                std::vector<std::vector<std::int64_t>> cuts(
                    3, std::vector<std::int64_t>(static_cast<std::size_t>(ranks), 0));
                cuts[0].front() = items;
                cuts[1].back() = items;
                std::int64_t left = items;
                for (int rank = 0; rank + 1 < ranks; ++rank) {
                    cuts[2][static_cast<std::size_t>(rank)] = std::min<std::int64_t>(left, 3 * rank);
                    left -= cuts[2][static_cast<std::size_t>(rank)];
                }
                cuts[2].back() += left;
                for (const auto& counts : cuts) {
                    const Partition pieces = Partition::of_counts(counts);
                    const Partition to = Partition::even(items, grid.parts(side));

                    const auto part =
                        regroup(grid, side, pieces, to, 2, numbered(pieces.run(PartIndex{world.rank()}), 2));

                    EXPECT_EQ(part, numbered(to.run(grid.part(side)), 2));
                    EXPECT_EQ(cut_into_pieces(grid, side, to, pieces, 2, part),
                              numbered(pieces.run(PartIndex{world.rank()}), 2));
                }
            }
        }
    }
}

}  // namespace
}  // namespace convoy
