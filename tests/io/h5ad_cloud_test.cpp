// Cells of an .h5ad file on all ranks: chosen rows, weights from obs, names.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <limits>

#include "files.hpp"
#include "grids.hpp"
#include "h5ad_files.hpp"
#include "io/checksum.hpp"
#include "io/exact_sum.hpp"
#include "io/point_names.hpp"
#include "io/point_stream.hpp"
#include "io/reader.hpp"

namespace convoy::io {
namespace {

constexpr std::int64_t n = 83, d = 3;

class H5adCloud : public testing::Test {
 protected:
    H5adCloud() {
        for (std::int64_t i = 0; i < n; ++i) {
            cells_.push_back("cell" + std::to_string(i));
            days_.push_back(i < 11 ? -1 : static_cast<int>(i * i % 7 % 3));
            types_.push_back(i / 20 % 2 == 0 ? "a" : "b");
            growth_.push_back(i % 9 == 0 ? 0.0 : static_cast<double>(i % 9) / 4);
        }
        points_ = noise(n * d, 1);
        for (std::size_t k = 0; k < points_.size(); k += 2) points_[k] = 0;
        write();
    }
    void write() {
        world_.barrier();
        if (world_.is_root()) {
            Hdf5 file = new_file(path_);
            add_frame(file.get(), "obs", cells_,
                      {{"day", Categories{days_, Doubles{10, 10.5, 11}}}, {"type", types_}, {"growth", growth_}},
                      Generation::groups);
            add_frame(file.get(), "var", {"x", "y", "z"}, {}, Generation::groups);
            add_group(file.get(), "obsm");
            add_dataset(file.get(), "obsm/contiguous", H5T_IEEE_F64LE, {n, d}, points_);
            for (const hsize_t rows : {1, 5, 32, 83}) {
                Hdf5 creation{H5Pcreate(H5P_DATASET_CREATE), H5Pclose};
                const hsize_t chunk[2] = {rows, 2};
                H5Pset_chunk(creation.get(), 2, chunk);
                H5Pset_shuffle(creation.get());
                H5Pset_deflate(creation.get(), 4);
                add_dataset(file.get(), fmt::format("obsm/chunks{}", rows), H5T_IEEE_F64LE, {n, d}, points_,
                            creation.get());
            }
            add_sparse(file.get(), "X", points_, n, d, true);
            add_sparse(file.get(), "obsm/columns", points_, n, d, false);
            Hdf5 as_doubles{H5Dopen2(file.get(), "X/data", H5P_DEFAULT), H5Dclose};
        }
        world_.barrier();
    }
    std::vector<std::int64_t> rows_where(int day, const std::string& type) const {
        std::vector<std::int64_t> rows;
        for (std::int64_t i = 0; i < n; ++i) {
            const auto k = static_cast<std::size_t>(i);
            if ((day < 0 || days_[k] == day) && (type.empty() || types_[k] == type)) rows.push_back(i);
        }
        return rows;
    }
    template <class T>
    static std::vector<T> picked(const std::vector<T>& values, const std::vector<std::int64_t>& rows,
                                 std::int64_t width) {
        std::vector<T> out;
        for (const std::int64_t row : rows)
            out.insert(out.end(), values.begin() + row * width, values.begin() + (row + 1) * width);
        return out;
    }
    template <class Action>
    std::string refused(Action&& action) {
        return agreed_error<InputError>(world_, action);
    }

    Communicator world_ = Communicator::world();
    Folder folder_{world_};
    std::string path_ = folder_ / "cells.h5ad";
    Texts cells_, types_;
    std::vector<int> days_;
    Doubles growth_, points_;
};

std::vector<float> as_single(const Doubles& values) {
    return {values.begin(), values.end()};
}

TEST_F(H5adCloud, GivesEveryRankItsPartOfTheChosenRowsOnEveryGrid) {
    struct Case {
        std::vector<std::string> where;
        std::vector<std::int64_t> rows;
        std::int64_t without_value;
    };
    const std::vector<Case> cases{{{}, rows_where(-1, ""), 0},
                                  {{"day=10.5"}, rows_where(1, ""), 11},
                                  {{"type=b"}, rows_where(-1, "b"), 0},
                                  {{"day=11", "type=a"}, rows_where(2, "a"), 11},
                                  {{"cell names=cell82"}, {82}, 0}};
    for (const Case& one : cases) {
        ASSERT_FALSE(one.rows.empty());
        const Doubles points = picked(points_, one.rows, d), growth = picked(growth_, one.rows, 1);
        const auto m = std::ssize(one.rows);
        ExactSum sum;
        sum.add(growth);
        if (sum.value() == 0) sum.add(1.0);  // not used
        for (const GridShape shape : shapes_of(world_.size())) {
            const Grid grid{world_, shape};
            for (const Side side : {Side::row, Side::column}) {
                const Partition partition = Partition::even(m, grid.parts(side));
                for (const char* key : {"obsm/contiguous", "obsm/chunks1", "obsm/chunks5", "obsm/chunks32",
                                        "obsm/chunks83", "X", "obsm/columns"}) {
                    SCOPED_TRACE(fmt::format("grid {}, {}, {} rows", shape.name(), key, m));
                    InputIdentity identity;
                    const bool weighted = m > 1;
                    const InputOptions options{path_ + "#" + key, weighted ? "obs:growth" : "", "1", one.where};

                    const Shape found = shape_of(world_, options);
                    const DistributedCloud cloud = read_cloud(grid, side, partition, options, identity);

                    EXPECT_EQ(found.rows, m);
                    EXPECT_EQ(found.columns, d);
                    EXPECT_EQ(as_single(cloud.local.points), as_single(part_of(grid, side, partition, d, points)));
                    EXPECT_EQ(identity.rows, m);
                    EXPECT_EQ(identity.file_rows, n);
                    EXPECT_EQ(identity.rows_without_value, one.without_value);
                    EXPECT_EQ(identity.key, key);
                    if (std::string_view{key}.starts_with("obsm/c") && key != std::string_view{"obsm/columns"}) {
                        EXPECT_EQ(identity.checksum, crc32c(points));
                    }
                    if (!weighted) continue;
                    Doubles weights = part_of(grid, side, partition, 1, growth);
                    for (double& weight : weights) weight /= sum.value();
                    EXPECT_EQ(cloud.local.weights, weights);
                    EXPECT_EQ(identity.weights_key, "obs:growth");
                    EXPECT_EQ(identity.weights_checksum, crc32c(growth));
                }
            }
        }
    }
}

TEST_F(H5adCloud, TakesWeightsOfAllRowsOrOfTheChosenOnes) {
    const std::vector<std::int64_t> rows = rows_where(1, "");
    const Doubles chosen = picked(growth_, rows, 1);
    if (world_.is_root()) {
        write_file(folder_ / "all.npy", npy("<f8", fmt::format("({},)", n), raw(growth_)));
        write_file(folder_ / "chosen.npy", npy("<f8", fmt::format("({},)", rows.size()), raw(chosen)));
        write_file(folder_ / "short.npy", npy("<f8", "(5,)", raw(Doubles(5, 1.0))));
        std::string lines;
        for (const double value : growth_) lines += fmt::format("{}\n", value);
        write_file(folder_ / "all.csv", lines);
    }
    world_.barrier();
    const Grid grid{world_, {world_.size(), 1}};
    const Partition partition = Partition::even(std::ssize(rows), world_.size());
    const auto read = [&](const std::string& weights) {
        InputIdentity identity;
        return read_cloud(grid, Side::row, partition, {path_ + "#X", weights, "1", {"day=10.5"}}, identity)
            .local.weights;
    };

    const Doubles expected = read("obs:growth");
    for (const char* name : {"all.npy", "chosen.npy", "all.csv"}) EXPECT_EQ(read(folder_ / name), expected) << name;
    EXPECT_EQ(read(path_ + "#obs:growth"), expected);
    expect_words(refused([&] { read(folder_ / "short.npy"); }), {"it holds 5 x 1 numbers", "one weight a point"});
    expect_words(refused([&] { read("obs:type"); }), {"column 'type' of 'obs' holds no numbers"});
    expect_words(refused([&] { read("obs:nothing"); }), {"'obs' has no column 'nothing'", "day, type, growth"});
}

TEST_F(H5adCloud, NamesTheRowOfTheFileThatIsNotFinite) {
    const std::vector<std::int64_t> rows = rows_where(2, "");
    const std::int64_t bad = rows[rows.size() / 2];
    points_[static_cast<std::size_t>(bad * d + 1)] = std::numeric_limits<double>::quiet_NaN();
    growth_[static_cast<std::size_t>(bad)] = std::numeric_limits<double>::quiet_NaN();
    write();
    const Grid grid{world_, {1, world_.size()}};
    const Partition partition = Partition::even(std::ssize(rows), world_.size());
    const auto read = [&](const std::string& key, const std::string& weights) {
        return refused([&] {
            InputIdentity identity;
            read_cloud(grid, Side::column, partition, {path_ + "#" + key, weights, "1", {"day=11"}}, identity);
        });
    };

    for (const char* key : {"obsm/contiguous", "obsm/chunks5"})
        expect_words(read(key, ""), {"has 1 value that is not finite", fmt::format("nan in row {}, column 1", bad)});
    points_[static_cast<std::size_t>(bad * d + 1)] = 0;
    write();
    expect_words(read("X", "obs:growth"), {"column 'growth' of 'obs' has 1 value that is not finite and at least 0",
                                           fmt::format("first: nan in row {}", bad)});
}

TEST_F(H5adCloud, RefusesOnAllRanksAlike) {
    const auto shape = [&](const std::string& text, const std::vector<std::string>& where) {
        return refused([&] { shape_of(world_, {text, "", "1", where}); });
    };
    expect_words(shape(path_ + "#X", {"day=12"}), {"no row has day=12", "10: ", "10.5: ", "11 rows have none"});
    expect_words(shape(path_ + "#X", {"day=10", "day=11"}), {"no row is left"});
    expect_words(shape(path_ + "#Y", {}), {"no matrix 'Y'"});
    if (world_.is_root()) write_file(folder_ / "x.npy", npy("<f8", "(2, 2)", raw(counted(4))));
    world_.barrier();
    expect_words(shape(folder_ / "x.npy", {"day=10"}), {"rows cannot be chosen by 'day=10'", ".h5ad"});
}

TEST_F(H5adCloud, StreamsChosenRows) {
    const std::vector<std::int64_t> rows = rows_where(1, "");
    const Doubles expected = picked(points_, rows, d);
    for (const char* key : {"obsm/contiguous", "obsm/chunks32", "X"}) {
        PointStream stream{world_, {path_ + "#" + key, "", "2", {"day=10.5"}}};
        ASSERT_EQ(stream.rows(), std::ssize(rows));
        const Partition portions = Partition::even(stream.rows(), 3);
        for (std::int64_t p = 0; p < 3; ++p) {
            const GlobalRun portion = portions.run(PartIndex{p});
            const GlobalRun stripe = Partition::even(portion.count, world_.size()).run(PartIndex{world_.rank()});
            const GlobalRun mine{GlobalIndex{portion.first.value + stripe.first.value}, stripe.count};
            const Doubles read = stream.read(portion, mine);
            Doubles wanted(expected.begin() + mine.first.value * d,
                           expected.begin() + (mine.first.value + mine.count) * d);
            for (double& x : wanted) x *= 2;
            EXPECT_EQ(as_single(read), as_single(wanted)) << key;
        }
        EXPECT_EQ(stream.identity().where, "day=10.5");
        EXPECT_EQ(stream.identity().file_rows, n);
    }
}

TEST_F(H5adCloud, KnowsTheNamesOfItsPoints) {
    const std::vector<std::int64_t> rows = rows_where(1, "");
    auto names = PointNames::open(world_, {path_ + "#X", "", "1", {"day=10.5"}});
    ASSERT_TRUE(names.has_value());
    ASSERT_EQ(names->points(), std::ssize(rows));
    // Each rank its own stripe.
    const GlobalRun mine = Partition::even(names->points(), world_.size()).run(PartIndex{world_.rank()});
    Texts cells, types, days;
    for (std::int64_t k = mine.first.value; k < mine.first.value + mine.count; ++k) {
        const auto row = static_cast<std::size_t>(rows[static_cast<std::size_t>(k)]);
        cells.push_back(cells_[row]);
        types.push_back(types_[row]);
        days.emplace_back("10.5");
    }

    EXPECT_EQ(names->read(mine.first.value, mine.count), cells);
    EXPECT_EQ(names->read("type", mine.first.value, mine.count), types);
    EXPECT_EQ(names->read("day", mine.first.value, mine.count), days);
    EXPECT_EQ(names->columns(), (Texts{"x", "y", "z"}));
    expect_words(refusal([&] { names->read("nothing", 0, 1); }), {"obs has no column 'nothing'"});
    EXPECT_EQ(PointNames::open(world_, {path_ + "#obsm/contiguous", "", "1"})->columns(), Texts{});
    if (world_.is_root()) write_file(folder_ / "x.npy", npy("<f8", "(2, 2)", raw(counted(4))));
    world_.barrier();
    EXPECT_FALSE(PointNames::open(world_, {folder_ / "x.npy", "", "1"}).has_value());
}

TEST_F(H5adCloud, IsRefusedBeforeMemoryIsTakenForIt) {
    if (world_.is_root()) {
        Hdf5 file = new_file(folder_ / "huge.h5ad");
        Hdf5 group{H5Gcreate2(file.get(), "X", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose};
        add_text_attribute(group.get(), "encoding-type", "csr_matrix");
        constexpr std::int64_t rows = 1000, columns = std::int64_t{1} << 40;
        add_shape_attribute(group.get(), "shape", rows, columns);
        add_values(group.get(), "data", H5T_IEEE_F32LE, H5T_NATIVE_DOUBLE, Doubles{1});
        add_values(group.get(), "indices", H5T_STD_I64LE, H5T_NATIVE_INT64, Integers{5});
        add_values(group.get(), "indptr", H5T_STD_I32LE, H5T_NATIVE_INT64, Integers(rows + 1, 1));
    }
    world_.barrier();
    const Grid grid{world_, {world_.size(), 1}};
    InputIdentity identity;

    expect_words(refused([&] {
                     read_cloud(grid, Side::row, Partition::even(1000, world_.size()),
                                {folder_ / "huge.h5ad#X", "", "1"}, identity);
                 }),
                 {"sparse matrix 'X' made dense takes", "GB on one rank", "are there", "obsm/X_pca"});
}

}  // namespace
}  // namespace convoy::io
