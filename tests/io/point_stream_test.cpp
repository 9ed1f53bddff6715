#include "io/point_stream.hpp"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "files.hpp"
#include "grids.hpp"
#include "hdf5_files.hpp"

namespace convoy::io {
namespace {

class Stream : public testing::Test {
 protected:
    static constexpr std::int64_t rows = 53, columns = 3;

    void SetUp() override {
        if (!world_.is_root()) return world_.barrier();
        write_file(folder_ / "p.npy", npy("<f8", "(53, 3)", raw(values_)));
        std::string table = "a,b,c\n";
        for (std::size_t i = 0; i < values_.size(); i += 3)
            table += fmt::format("{},{},{}\n", values_[i], values_[i + 1], values_[i + 2]);
        write_file(folder_ / "p.csv", table);
        add_dataset(new_file(folder_ / "p.h5").get(), "p", H5T_IEEE_F64LE, {53, 3}, values_);
        world_.barrier();
    }

    // All rows through portions of this many, ranks taking theirs in turn from the last to the first.
    std::vector<double> read_in(PointStream& stream, std::int64_t portion_rows) {
        std::vector<double> all(static_cast<std::size_t>(rows * columns), 0.0);
        for (std::int64_t at = 0; at < rows; at += portion_rows) {
            const GlobalRun portion{GlobalIndex{at}, std::min(portion_rows, rows - at)};
            const Partition parts = Partition::even(portion.count, world_.size());
            GlobalRun mine = parts.run(PartIndex{world_.size() - 1 - world_.rank()});
            mine.first.value += at;
            const std::vector<double> points = stream.read(portion, mine);
            EXPECT_EQ(std::ssize(points), mine.count * columns);
            std::copy(points.begin(), points.end(), all.begin() + mine.first.value * columns);
        }
        world_.sum(std::span<double>{all});
        return all;
    }

    Communicator world_ = Communicator::world();
    Folder folder_{world_};
    std::vector<double> values_ = noise(rows * columns, 3);
};

TEST_F(Stream, GivesAllRowsInAnyPortions) {
    for (const char* name : {"p.npy", "p.csv", "p.h5#p"}) {
        for (const std::int64_t portion : {1, 5, 52, 53, 100}) {
            PointStream stream{world_, {.points = folder_ / name, .weights = {}, .scaling = "1"}};
            EXPECT_EQ(stream.rows(), rows);
            EXPECT_EQ(stream.columns(), columns);

            EXPECT_EQ(read_in(stream, portion), values_) << name << " by " << portion;
            EXPECT_EQ(stream.identity().checksum, crc32c(values_)) << name << " by " << portion;
            EXPECT_EQ(stream.identity().rows, rows);
        }
    }
}

TEST_F(Stream, ScalesAfterTheChecksum) {
    PointStream stream{world_, {.points = folder_ / "p.npy", .weights = {}, .scaling = "1/4"}};
    std::vector<double> expected = values_;
    for (double& value : expected) value *= 0.25;

    EXPECT_EQ(read_in(stream, 10), expected);
    EXPECT_EQ(stream.identity().checksum, crc32c(values_));
    EXPECT_EQ(stream.identity().scaling, "1/4");
}

TEST_F(Stream, RefusesWhatIsNotFiniteWhereItComes) {
    if (world_.is_root()) {
        values_[3 * 17 + 1] = std::nan("");
        write_file(folder_ / "bad.npy", npy("<f8", "(53, 3)", raw(values_)));
        write_file(folder_ / "bad.csv", "1,2,3\n4,x,6\n");
    }
    world_.barrier();
    PointStream stream{world_, {.points = folder_ / "bad.npy", .weights = {}, .scaling = "1"}};
    const std::string message = agreed_error<InputError>(world_, [&] { read_in(stream, 10); });
    expect_words(message, {"bad.npy", "row 17", "column 1", "nan"});

    PointStream text{world_, {.points = folder_ / "bad.csv", .weights = {}, .scaling = "1"}};
    const GlobalRun all{GlobalIndex{0}, 2};
    expect_words(agreed_error<InputError>(world_,
                                          [&] {
                                              text.read(all, world_.is_root() ? all : GlobalRun{GlobalIndex{2}, 0});
                                          }),
                 {"bad.csv", "line 2", "'x'"});
}

}  // namespace
}  // namespace convoy::io
