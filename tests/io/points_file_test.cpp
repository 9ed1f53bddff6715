#include "io/points_file.hpp"

#include <gtest/gtest.h>

#include <map>

#include "convoy/error.hpp"
#include "files.hpp"
#include "grids.hpp"

namespace convoy::io {
namespace {

class PointsFileTest : public testing::Test {
 protected:
    static constexpr std::int64_t n = 41, d = 3, m = 11;

    PointsHead head() const {
        PointsHead head;
        head.root = {{"program", std::string{"convoy"}}, {"status", std::string{"converged"}}};
        head.model = {{"path", std::string{"run.h5"}}, {"epsilon", 0.125}};
        head.run = {{"ranks", std::int64_t{3}}};
        head.phases = {"read", "map", "total"};
        head.rows = n;
        head.columns = d;
        head.input.path = "new.npy";
        head.input.absolute_path = "/data/new.npy";
        head.self = &self_;
        head.self_points = m;
        return head;
    }

    void write(const Grid& grid, std::int64_t portion_rows, bool overwrite = true) {
        const Partition columns = Partition::even(m, grid.parts(Side::column));
        SelfPotential self = self_;
        self.f = part_of(grid, Side::column, columns, 1, f_);
        PointsFile file{grid.world(), head(), path_};
        file.write_self(grid, columns, self);
        for (std::int64_t at = 0; at < n; at += portion_rows) {
            const GlobalRun portion{GlobalIndex{at}, std::min(portion_rows, n - at)};
            GlobalRun mine = Partition::even(portion.count, grid.world().size()).run(PartIndex{grid.world().rank()});
            mine.first.value += at;
            file.write(portion, mine,
                       std::span{points_}.subspan(static_cast<std::size_t>(mine.first.value * d),
                                                  static_cast<std::size_t>(mine.count * d)));
        }
        file.finish(77, {{"read", 1, 2, 3}, {"map", 4, 5, 6}, {"total", 7, 8, 9}}, overwrite);
    }

    Communicator world_ = Communicator::world();
    Folder folder_{world_};
    std::string path_ = folder_ / "out.h5";
    std::vector<double> points_ = noise(n * d, 1), f_ = noise(m, 2);
    SelfPotential self_{.f = {},
                        .epsilon = 0.125,
                        .marginal_error = 1e-4,
                        .tolerance = 1e-3,
                        .status = "converged",
                        .points_checksum = 0xFFFFFFFFu,
                        .weights_checksum = 6,
                        .scaling = "1/2"};
};

TEST_F(PointsFileTest, IsTheSameToTheByteOnEveryGridAndInAnyPortions) {
    if (world_.is_root()) write(Grid{}, n);
    world_.barrier();
    const std::string expected = bytes_of(path_);
    world_.barrier();

    for (const GridShape shape : shapes_of(world_.size())) {
        for (const std::int64_t portion : {1, 7, 41}) {
            write(Grid{world_, shape}, portion);

            EXPECT_TRUE(bytes_of(path_) == expected) << shape.name() << " in portions of " << portion;
            world_.barrier();
        }
    }
    EXPECT_EQ(folder_.names(), std::vector<std::string>{"out.h5"});
}

TEST_F(PointsFileTest, HoldsAndTellsWhatWasGiven) {
    write(Grid{world_, {world_.size(), 1}}, 10);

    const Description description = describe(path_);

    std::map<std::string, std::string> text{description.attributes.begin(), description.attributes.end()};
    EXPECT_TRUE(description.complete);
    EXPECT_EQ(text["/format"], "convoy-points");
    EXPECT_EQ(text["/format_version"], "1");
    EXPECT_EQ(text["/model/epsilon"], "0.125");
    EXPECT_EQ(text["/inputs/points/path"], "new.npy");
    EXPECT_EQ(text["/inputs/points/checksum"], "77");
    EXPECT_EQ(text["/points/checksum"], std::to_string(crc32c(points_)));
    EXPECT_EQ(text["/self/f/checksum"], std::to_string(crc32c(f_)));
    EXPECT_EQ(read_all(path_ + "#points"), points_);
    EXPECT_EQ(read_all(path_ + "#/points"), points_);
    EXPECT_EQ(read_all(path_ + "#self/f"), f_);
    EXPECT_EQ(read_all(path_ + "#timing/mean"), (std::vector<double>{2, 5, 8}));
}

TEST_F(PointsFileTest, GivesTheSelfPotentialBackOnEveryGrid) {
    write(Grid{world_, {world_.size(), 1}}, 10);

    for (const GridShape shape : shapes_of(world_.size())) {
        const Grid grid{world_, shape};
        const Partition columns = Partition::even(m, shape.columns);
        const SelfPotential self = read_self(grid, columns, path_);

        EXPECT_EQ(self.f, part_of(grid, Side::column, columns, 1, f_)) << shape.name();
        EXPECT_EQ(self.epsilon, 0.125);
        EXPECT_EQ(self.points_checksum, 0xFFFFFFFFu);
        EXPECT_EQ(self.weights_checksum, 6u);
        EXPECT_EQ(self.scaling, "1/2");
        EXPECT_EQ(self.status, "converged");
    }
    const Grid grid{world_, {world_.size(), 1}};
    expect_words(agreed_error<InputError>(world_, [&] { read_self(grid, Partition::even(m + 1, 1), path_); }),
                 {"out.h5", "11", "12", "--self"});
}

TEST_F(PointsFileTest, LeavesNothingWhereItIsNotFinished) {
    {
        PointsFile file{world_, head(), path_};
        EXPECT_EQ(folder_.names().size(), 1u);
        world_.barrier();
    }
    world_.barrier();
    EXPECT_TRUE(folder_.names().empty());
}

TEST_F(PointsFileTest, KeepsAFileThatAppearedMeanwhile) {
    if (world_.is_root()) write_file(path_, "precious");
    world_.barrier();

    const std::string message = agreed_error<Failure>(world_, [&] {
        write(Grid{world_, {world_.size(), 1}}, 10, false);
    });

    EXPECT_NE(message.find("another file of this name has appeared"), std::string::npos) << message;
    EXPECT_EQ(bytes_of(path_), "precious");
}

}  // namespace
}  // namespace convoy::io
