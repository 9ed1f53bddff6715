#include "solvers/duplicates.hpp"

#include <gtest/gtest.h>

#include <map>

namespace convoy {
namespace {

std::vector<GridShape> shapes_of(int ranks) {
    std::vector<GridShape> shapes;
    for (int rows = 1; rows <= ranks; ++rows)
        if (ranks % rows == 0) shapes.push_back({rows, ranks / rows});
    return shapes;
}

// Rows of a small alphabet, so that many are equal, -0 among the letters.
std::vector<double> cloud(std::int64_t rows, std::int64_t d, std::uint64_t kinds) {
    std::vector<double> points;
    std::uint64_t state = 12345;
    for (std::int64_t i = 0; i < rows * d; ++i) {
        state = state * 6364136223846793005 + 1442695040888963407;
        const auto letter = static_cast<double>((state >> 33) % kinds);
        points.push_back(letter == 0 && i % 2 == 1 ? -0.0 : letter / 255);
    }
    return points;
}

// What is to be found, by the book.
struct Expected {
    std::vector<std::int64_t> point_of_row, first_row;
};
Expected expected_of(const std::vector<double>& points, std::int64_t d) {
    Expected expected;
    std::map<std::vector<double>, std::int64_t> known;
    for (std::int64_t i = 0; i < std::ssize(points) / d; ++i) {
        std::vector<double> row(points.begin() + i * d, points.begin() + (i + 1) * d);
        for (double& x : row) x += 0.0;
        const auto [found, fresh] = known.emplace(row, std::ssize(expected.first_row));
        if (fresh) expected.first_row.push_back(i);
        expected.point_of_row.push_back(found->second);
    }
    return expected;
}

DuplicateSearch search_in(const Communicator& world, const std::vector<double>& points, std::int64_t d,
                          std::int64_t at_once) {
    DuplicateSearch search{world, d};
    const std::int64_t rows = std::ssize(points) / d;
    for (std::int64_t first = 0; first < rows; first += at_once) {
        const std::int64_t count = std::min(at_once, rows - first);
        const GlobalRun share = Partition::even(count, world.size()).run(PartIndex{world.rank()});
        const GlobalRun mine{GlobalIndex{first + share.first.value}, share.count};
        const auto begin = points.begin() + mine.first.value * d;
        search.add({GlobalIndex{first}, count}, mine, std::vector<double>{begin, begin + mine.count * d});
    }
    return search;
}

template <class T>
std::vector<T> part(const std::vector<T>& whole, const GlobalRun& run, std::int64_t width = 1) {
    return {whole.begin() + run.first.value * width, whole.begin() + (run.first.value + run.count) * width};
}

class Duplicates : public testing::Test {
 protected:
    Communicator world_ = Communicator::world();
};

TEST_F(Duplicates, AreFoundExactlyOnEveryGridAndInAnyPortions) {
    for (const auto& [rows, d, kinds] :
         {std::tuple{1L, 1L, 2UL}, {7L, 3L, 1UL}, {200L, 2L, 9UL}, {501L, 5L, 2UL}, {130L, 2L, 100000UL}}) {
        const std::vector<double> points = cloud(rows, d, kinds);
        const Expected expected = expected_of(points, d);
        const auto distinct = std::ssize(expected.first_row);
        for (const GridShape shape : shapes_of(world_.size())) {
            const Grid grid{world_, shape};
            for (const Side side : {Side::row, Side::column}) {
                for (const std::int64_t at_once : {3L, 64L, 1000L}) {
                    DuplicateSearch search = search_in(world_, points, d, at_once);
                    MergedRows merged;

                    EXPECT_EQ(search.finish(), distinct);
                    const DistributedCloud found = search.distribute(grid, side, merged);

                    const GlobalRun run = found.partition.run(grid.part(side));
                    EXPECT_EQ(found.partition, Partition::even(distinct, grid.parts(side)));
                    EXPECT_EQ(merged.first_row, part(expected.first_row, run));
                    EXPECT_EQ(merged.point_of_row, part(expected.point_of_row, merged.rows.run(grid.part(side))));
                    std::vector<double> wanted;
                    for (const std::int64_t row : merged.first_row)
                        wanted.insert(wanted.end(), points.begin() + row * d, points.begin() + (row + 1) * d);
                    EXPECT_EQ(found.local.points, wanted);
                }
            }
        }
    }
}

TEST_F(Duplicates, GiveNumbersBackToTheirRows) {
    const std::int64_t rows = 211, d = 2;
    const std::vector<double> points = cloud(rows, d, 6);
    const Expected expected = expected_of(points, d);
    std::vector<double> of_rows, weights, sums(expected.first_row.size(), 0.0);
    for (std::int64_t i = 0; i < rows; ++i) {
        of_rows.push_back(static_cast<double>(expected.point_of_row[static_cast<std::size_t>(i)]) + 0.25);
        weights.push_back(0.1 * static_cast<double>(i % 4));
        sums[static_cast<std::size_t>(expected.point_of_row[static_cast<std::size_t>(i)])] += weights.back();
    }
    for (const GridShape shape : shapes_of(world_.size())) {
        const Grid grid{world_, shape};
        for (const Side side : {Side::row, Side::column}) {
            DuplicateSearch search = search_in(world_, points, d, 50);
            MergedRows merged;
            search.finish();
            const DistributedCloud found = search.distribute(grid, side, merged);
            const GlobalRun here = merged.rows.run(grid.part(side)), points_here = merged.points.run(grid.part(side));
            merged.weights = part(weights, here);

            // In the order of the rows: the same bits on every grid.
            const std::vector<double> masses = merged.sum(grid, merged.weights);
            EXPECT_EQ(masses, part(sums, points_here));
            const std::vector<double> contracted = merged.contract(grid, 1, part(of_rows, here));
            EXPECT_EQ(contracted.size(), static_cast<std::size_t>(points_here.count));
            EXPECT_EQ(merged.expand(grid, 1, contracted), part(of_rows, here));
            EXPECT_EQ(merged.expand(grid, d, found.local.points).size(), static_cast<std::size_t>(here.count * d));
            // What is shared by mass adds up again.
            const std::vector<double> shared = merged.share(grid, 1, contracted, masses);
            const std::vector<double> together = merged.sum(grid, shared);
            for (std::size_t k = 0; k < together.size(); ++k)
                EXPECT_NEAR(together[k], masses[k] > 0 ? contracted[k] : 0, 1e-12 * contracted[k]);
        }
    }
}

}  // namespace
}  // namespace convoy
