#include <fmt/format.h>
#include <gtest/gtest.h>

#include <limits>
#include <numeric>

#include "files.hpp"
#include "grids.hpp"
#include "hdf5_files.hpp"
#include "io/checksum.hpp"
#include "io/exact_sum.hpp"
#include "io/reader.hpp"

namespace convoy::io {
namespace {

std::string csv(const std::vector<double>& values, std::int64_t columns) {
    std::string text;
    for (std::size_t i = 0; i < values.size(); ++i)
        text += fmt::format("{}{}", values[i], (static_cast<std::int64_t>(i) + 1) % columns == 0 ? "\n" : ",");
    return text;
}

class ReadCloud : public testing::Test {
 protected:
    // 23 points in the plane and their weights, in three formats.
    void write(std::int64_t rows) {
        rows_ = rows;
        points_ = noise(2 * rows, 1);
        weights_ = noise(rows, 1.5);
        for (double& weight : weights_) weight = weight < -0.5 ? 0 : 1 + weight;
        if (world_.is_root()) {
            Hdf5 file = new_file(folder_ / "x.h5");
            const auto n = static_cast<hsize_t>(rows);
            add_dataset(file.get(), "X", H5T_IEEE_F64LE, {n, 2}, points_);
            add_dataset(file.get(), "w", H5T_IEEE_F64LE, {n}, weights_);
            file.close();
            const std::string shape = fmt::format("({}, 2)", rows);
            write_file(folder_ / "x.npy", npy("<f8", shape, raw(points_)));
            write_file(folder_ / "w.npy", npy("<f8", fmt::format("({},)", rows), raw(weights_)));
            write_file(folder_ / "x.csv", csv(points_, 2));
            write_file(folder_ / "w.csv", csv(weights_, 1));
        }
        world_.barrier();
    }
    DistributedCloud read(const Grid& grid, Side side, const Partition& partition, const std::string& points,
                          const std::string& weights = "", const std::string& scaling = "1") {
        return read_cloud(grid, side, partition, {folder_ / points, weights.empty() ? "" : folder_ / weights, scaling},
                          identity_);
    }
    // Reads with even parts on a grid of one row.
    std::string refused(const std::string& points, const std::string& weights = "") {
        const Grid grid{world_, {1, world_.size()}};
        return agreed_error<InputError>(
            world_, [&] { read(grid, Side::column, Partition::even(rows_, world_.size()), points, weights); });
    }

    Communicator world_ = Communicator::world();
    Folder folder_{world_};
    std::int64_t rows_ = 0;
    std::vector<double> points_, weights_;
    InputIdentity identity_;
};

TEST_F(ReadCloud, GivesEveryRankItsPartOnEveryGrid) {
    for (const std::int64_t rows : {1, 2, 23}) {
        write(rows);
        ExactSum sum;
        sum.add(weights_);
        std::vector<double> normalised = weights_;
        for (double& weight : normalised) weight /= sum.value();
        for (const GridShape shape : shapes_of(world_.size())) {
            const Grid grid{world_, shape};
            for (const Side side : {Side::row, Side::column}) {
                const Partition partition = Partition::even(rows, grid.parts(side));
                for (const auto& [points, weights] : std::vector<std::pair<std::string, std::string>>{
                         {"x.h5#X", "x.h5#w"}, {"x.npy", "w.npy"}, {"x.csv", "w.csv"}, {"x.npy", "w.csv"}}) {
                    SCOPED_TRACE(fmt::format("{} rows, grid {}, {}", rows, shape.name(), points));

                    const DistributedCloud cloud = read(grid, side, partition, points, weights);

                    EXPECT_EQ(cloud.partition, partition);
                    EXPECT_EQ(cloud.local.dimension, 2);
                    EXPECT_EQ(cloud.local.rows, partition.count(grid.part(side)));
                    EXPECT_EQ(cloud.local.points, part_of(grid, side, partition, 2, points_));
                    EXPECT_EQ(cloud.local.weights, part_of(grid, side, partition, 1, normalised));
                    EXPECT_EQ(identity_.checksum, crc32c(points_));
                    EXPECT_EQ(identity_.weights_checksum, crc32c(weights_));
                }
            }
        }
    }
}

TEST_F(ReadCloud, TakesUnevenAndEmptyParts) {
    write(23);
    std::vector<std::int64_t> counts(static_cast<std::size_t>(world_.size()), 0);
    counts.back() = 22;
    counts.front() += 1;
    const Partition partition = Partition::of_counts(counts);
    rows_ = partition.items();
    const Grid grid{world_, {world_.size(), 1}};
    if (partition.items() != 23) GTEST_FAIL();

    for (const char* points : {"x.h5#X", "x.csv"})
        EXPECT_EQ(read(grid, Side::row, partition, points).local.points,
                  part_of(grid, Side::row, partition, 2, points_));
}

TEST_F(ReadCloud, ScalesPointsAndSharesMassEquallyByDefault) {
    write(23);
    const Grid grid{world_, {world_.size(), 1}};
    const Partition partition = Partition::even(23, world_.size());

    const DistributedCloud cloud = read(grid, Side::row, partition, "x.npy", "", "1/4");

    std::vector<double> expected = part_of(grid, Side::row, partition, 2, points_);
    for (double& x : expected) x /= 4;
    EXPECT_EQ(cloud.local.points, expected);
    EXPECT_EQ(cloud.local.weights, std::vector<double>(static_cast<std::size_t>(cloud.local.rows), 1.0 / 23));
    EXPECT_EQ(identity_.scaling, "1/4");
    EXPECT_EQ(identity_.checksum, crc32c(points_));
    EXPECT_EQ(identity_.path, folder_ / "x.npy");
    EXPECT_EQ(identity_.rows, 23);
    EXPECT_EQ(identity_.columns, 2);
    EXPECT_EQ(identity_.weights_path, "");
}

TEST_F(ReadCloud, RefusesAScaleThatMakesPointsInfinite) {
    write(23);
    const auto refused_on = [&](Side side, const GridShape& shape) {
        const Grid grid{world_, shape};
        return agreed_error<InputError>(
            world_, [&] { read(grid, side, Partition::even(23, world_.size()), "large.npy", "", "1e308"); });
    };
    if (world_.is_root()) write_file(folder_ / "large.npy", npy("<f8", "(23, 2)", raw(std::vector<double>(46, 2.5))));
    world_.barrier();

    expect_words(refused_on(Side::row, {world_.size(), 1}),
                 {"large.npy", "2.5 times 1e308 is infinite", "give a smaller --source-scale"});
    expect_words(refused_on(Side::column, {1, world_.size()}), {"give a smaller --target-scale"});
}

TEST_F(ReadCloud, TellsAllRanksTheShape) {
    write(23);
    EXPECT_EQ(shape_of(world_, {folder_ / "x.h5#X", "", "1"}).rows, 23);
    EXPECT_EQ(shape_of(world_, {folder_ / "x.csv#1", "", "1"}).columns, 1);
    expect_words(agreed_error<InputError>(world_,
                                          [&] {
                                              shape_of(world_, {folder_ / "y.h5#X", "", "1"});
                                          }),
                 {"y.h5", "no such file"});
}

TEST_F(ReadCloud, NamesTheFirstValueThatIsNotFinite) {
    write(23);
    points_[2 * 17 + 1] = std::numeric_limits<double>::quiet_NaN();
    points_[2 * 9] = std::numeric_limits<double>::infinity();
    if (world_.is_root()) {
        write_file(folder_ / "x.npy", npy("<f8", "(23, 2)", raw(points_)));
        Hdf5 file = new_file(folder_ / "x.h5");
        add_dataset(file.get(), "X", H5T_IEEE_F32LE, {23, 2}, points_);
    }
    world_.barrier();

    expect_words(refused("x.npy"), {"array has 2 values that are not finite", "first: inf in row 9, column 0"});
    expect_words(refused("x.h5#X"), {"dataset 'X' has 2 values", "first: inf in row 9, column 0"});
}

TEST_F(ReadCloud, RefusesWeightsThatAreNone) {
    write(23);
    const auto with = [&](const std::vector<double>& weights) {
        world_.barrier();
        if (world_.is_root()) {
            write_file(folder_ / "w.npy", npy("<f8", fmt::format("({},)", weights.size()), raw(weights)));
            write_file(folder_ / "w.csv", csv(weights, 1));
        }
        world_.barrier();
    };
    weights_[20] = -0.25;
    with(weights_);
    expect_words(refused("x.npy", "w.npy"), {"w.npy", "not finite and at least 0", "first: -0.25 in row 20"});
    expect_words(refused("x.npy", "w.csv"), {"w.csv", "first: -0.25 in line 21"});

    with(std::vector<double>(23, 0.0));
    expect_words(refused("x.npy", "w.npy"), {"all weights are 0"});
    with(std::vector<double>(23, 1e308));
    expect_words(refused("x.npy", "w.npy"), {"the sum of the weights overflows", "scale the weights down"});
    with(std::vector<double>(22, 1.0));
    expect_words(refused("x.npy", "w.npy"), {"22 x 1 numbers", "23 points"});
    expect_words(refused("x.npy", "x.npy"), {"23 x 2 numbers", "one weight a point"});
}

TEST_F(ReadCloud, SaysThatThereIsNotEnoughMemory) {
#ifdef __SANITIZE_ADDRESS__
    GTEST_SKIP() << "the address sanitizer ends a program that asks for too much";
#endif
    rows_ = std::int64_t{1} << 55;
    if (world_.is_root()) {
        Hdf5 file = new_file(folder_ / "x.h5");
        Hdf5 creation{H5Pcreate(H5P_DATASET_CREATE), H5Pclose};
        const hsize_t chunk = 1000, one = 1, none = 0;
        H5Pset_chunk(creation.get(), 1, &chunk);
        const Hdf5 dataset =
            make_dataset(file.get(), "X", H5T_IEEE_F64LE, {static_cast<hsize_t>(rows_)}, creation.get());
        const Hdf5 in_file{H5Dget_space(dataset.get()), H5Sclose},
            in_memory{H5Screate_simple(1, &one, nullptr), H5Sclose};
        H5Sselect_hyperslab(in_file.get(), H5S_SELECT_SET, &none, nullptr, &one, nullptr);
        const double zero = 0;
        H5Dwrite(dataset.get(), H5T_NATIVE_DOUBLE, in_memory.get(), in_file.get(), H5P_DEFAULT, &zero);
    }
    world_.barrier();
    const Grid grid{world_, {1, world_.size()}};

    const std::string message = agreed_error<Failure>(
        world_, [&] { read(grid, Side::column, Partition::even(rows_, world_.size()), "x.h5#X"); });

    expect_words(message, {"not enough memory", "x.h5#X", "more ranks"});
}

TEST_F(ReadCloud, NoRankWaitsWhenATableBreaksFarDown) {
    // Long enough for several pieces of 4 MiB.
    rows_ = 400000;
    if (world_.is_root()) {
        std::string text;
        for (std::int64_t i = 0; i < rows_; ++i) text += i == 390000 ? "1,oops\n" : fmt::format("{},1\n", i);
        write_file(folder_ / "x.csv", text);
    }
    world_.barrier();

    expect_words(refused("x.csv"), {"line 390001, column 1 is 'oops'"});
}

TEST_F(ReadCloud, ReadsALongTable) {
    rows_ = 400000;
    if (world_.is_root()) {
        std::string text;
        for (std::int64_t i = 0; i < rows_; ++i) text += fmt::format("{},1\n", i);
        write_file(folder_ / "x.csv", text);
    }
    world_.barrier();
    const Grid grid{world_, {world_.size(), 1}};
    const Partition partition = Partition::even(rows_, world_.size());

    const DistributedCloud cloud = read(grid, Side::row, partition, "x.csv");

    for (std::int64_t i = 0; i < cloud.local.rows; ++i)
        ASSERT_EQ(cloud.local.point(i)[0], static_cast<double>(partition.first(grid.part(Side::row)).value + i));
}

}  // namespace
}  // namespace convoy::io
