// Cells that are read once, in groups by a column: which pairs are asked for, and clouds made of what is held.

#include "io/held_cells.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "convoy/error.hpp"
#include "files.hpp"
#include "grids.hpp"
#include "h5ad_files.hpp"
#include "io/cell_pairs.hpp"

namespace convoy::io {
namespace {

constexpr std::int64_t n = 83, d = 3;
constexpr double plenty = 1e12;

using Words = std::vector<std::pair<std::string, std::string>>;

TEST(ParsePairs, ReadsWhatIsAskedFor) {
    EXPECT_EQ(parse_pairs("sequential").kind, PairRequest::Kind::sequential);
    EXPECT_EQ(parse_pairs("star:10.5").centre, "10.5");
    EXPECT_EQ(parse_pairs("star:B, naive").centre, "B, naive");
    EXPECT_EQ(parse_pairs("star:\"a:b\"").centre, "a:b");
    EXPECT_EQ(parse_pairs("10:10.5").listed, (Words{{"10", "10.5"}}));
    EXPECT_EQ(parse_pairs("a b:c,c:d").listed, (Words{{"a b", "c"}, {"c", "d"}}));
    EXPECT_EQ(parse_pairs("\"a,b\":\"c:d\",\"star\":x").listed, (Words{{"a,b", "c:d"}, {"star", "x"}}));
}

TEST(ParsePairs, RefusesWhatIsNone) {
    for (const char* bad :
         {"", "a", "sequentially", "star:", "a:", ":b", "a:b,", ",a:b", "a:b:c", "\"a:b", "\"a\"b:c", "a:\"b\"c"}) {
        EXPECT_THROW(parse_pairs(bad), InputError) << bad;
    }
}

class HeldCellsTest : public testing::Test {
 protected:
    HeldCellsTest() {
        Texts cells;
        for (std::int64_t i = 0; i < n; ++i) {
            cells.push_back("cell" + std::to_string(i));
            days_.push_back(i < 11 ? -1 : static_cast<int>(i * i % 7 % 3));
            types_.push_back(i % 4 == 0 ? "B, naive" : i % 4 == 1 ? "B" : i % 4 == 2 ? "naive" : "a/b");
            growth_.push_back(i % 9 == 0 ? 0.0 : static_cast<double>(i % 9) / 4);
            halves_.push_back(i / 41);
        }
        points_ = noise(n * d, 1);
        world_.barrier();
        if (world_.is_root()) {
            const Hdf5 file = new_file(path_);
            // Days in no order.
            add_frame(file.get(), "obs", cells,
                      {{"day", Categories{days_, Doubles{10.5, 11, 2}}},
                       {"stage", Categories{days_, Texts{"late", "early", "middle"}}},
                       {"word", Categories{days_, Texts{"10", "9", "none"}}},
                       {"number", Categories{days_, Texts{"10", "9", "1e1"}}},
                       {"type", types_},
                       {"growth", growth_},
                       {"half", halves_},
                       {"one", Integers(n, 7)},
                       {"each", noise(n, 2)}},
                      Generation::groups);
            add_group(file.get(), "obsm");
            add_dataset(file.get(), "obsm/X_pca", H5T_IEEE_F64LE, {n, d}, points_);
            Hdf5 creation{H5Pcreate(H5P_DATASET_CREATE), H5Pclose};
            const hsize_t chunk[2] = {16, 2};
            H5Pset_chunk(creation.get(), 2, chunk);
            H5Pset_deflate(creation.get(), 4);
            add_dataset(file.get(), "obsm/chunks", H5T_IEEE_F64LE, {n, d}, points_, creation.get());
        }
        world_.barrier();
    }
    CellPairs chosen(const std::string& request, std::vector<std::string> where = {}) const {
        return choose_pairs(world_, {.points = path_, .weights = {}, .scaling = "1", .where = std::move(where)},
                            request);
    }
    static Words in_words(const CellPairs& pairs) {
        Words words;
        for (const auto& [source, target] : pairs.pairs) words.emplace_back(pairs.values[source], pairs.values[target]);
        return words;
    }
    std::string refused(const std::string& request, std::vector<std::string> where = {}) {
        return agreed_error<InputError>(world_, [&] { chosen(request, std::move(where)); });
    }

    Communicator world_ = Communicator::world();
    Folder folder_{world_};
    std::string path_ = folder_ / "cells.h5ad";
    std::vector<int> days_;
    Texts types_;
    Doubles growth_, points_;
    Integers halves_;
};

TEST_F(HeldCellsTest, SequentialPairsFollowNumbersElseTheFilesCategoriesElseTheAlphabet) {
    EXPECT_EQ(in_words(chosen("day=sequential")), (Words{{"2", "10.5"}, {"10.5", "11"}}));
    EXPECT_EQ(in_words(chosen("stage=sequential")), (Words{{"late", "early"}, {"early", "middle"}}));
    EXPECT_EQ(in_words(chosen("word=sequential")), (Words{{"10", "9"}, {"9", "none"}}));
    EXPECT_EQ(in_words(chosen("number=10:9")), (Words{{"10", "9"}}));
    EXPECT_EQ(in_words(chosen("type=sequential")), (Words{{"B", "B, naive"}, {"B, naive", "a/b"}, {"a/b", "naive"}}));
    EXPECT_EQ(in_words(chosen("half=sequential")), (Words{{"0", "1"}, {"1", "2"}}));
}

TEST_F(HeldCellsTest, StarsAndListedPairsAreAsAsked) {
    EXPECT_EQ(in_words(chosen("day=star:10.50")), (Words{{"10.5", "2"}, {"10.5", "11"}}));
    EXPECT_EQ(in_words(chosen("day=11:2,2:11,11:11")), (Words{{"11", "2"}, {"2", "11"}, {"11", "11"}}));
    EXPECT_EQ(in_words(chosen("type=\"B, naive\":a/b")), (Words{{"B, naive", "a/b"}}));
}

TEST_F(HeldCellsTest, OnlyValuesThatTheConditionsLeaveTakePart) {
    const CellPairs pairs = chosen("half=sequential", {"half!=1", "day!=2"});

    EXPECT_EQ(in_words(pairs), (Words{{"0", "2"}}));
    std::int64_t left = 0;
    for (std::int64_t i = 82; i < n; ++i) left += days_[static_cast<std::size_t>(i)] != 2 ? 1 : 0;
    EXPECT_EQ(pairs.cells[1], left);
    EXPECT_EQ(std::ssize(pairs.group_of_cell), pairs.cells[0] + pairs.cells[1]);
}

TEST_F(HeldCellsTest, WhatIsNotThereIsAnsweredWithWhatIs) {
    EXPECT_NE(refused("day=10:2").find("no cell has day=10 ('day', category, has 10.5: "), std::string::npos);
    EXPECT_NE(refused("dya=sequential").find("no column 'dya'"), std::string::npos);
    EXPECT_NE(refused("sequential").find("names no column"), std::string::npos);
    EXPECT_NE(refused("one=sequential").find("there is no pair"), std::string::npos);
    EXPECT_NE(refused("day=2:11,2.0:11").find("listed twice"), std::string::npos);
    EXPECT_NE(refused("day=2:11", {"day=11"}).find("no cell has day=2"), std::string::npos);
    const std::string npy = folder_ / "points.npy";
    EXPECT_NE(agreed_error<InputError>(world_,
                                       [&] {
                                           choose_pairs(world_, {npy, "", "1", {}}, "day=sequential");
                                       })
                  .find("no table of labels"),
              std::string::npos);
}

TEST_F(HeldCellsTest, CloudsAreWhatIsReadForTheirConditions) {
    for (const char* key : {"", "#obsm/chunks"}) {
        for (const char* request : {"day=sequential", "type=star:B, naive", "half=0:2", "each=sequential"}) {
            const std::vector<std::string> where{"cell names!=cell60"};
            const InputOptions source{path_ + key, "obs:growth", "1/3", where}, target{path_ + key, "", "1/3", where};
            const HeldCells held{world_, source, target, choose_pairs(world_, source, request), plenty};
            const CellPairs& pairs = held.pairs();
            const std::size_t step = pairs.values.size() > 10 ? 40 : 1;
            for (std::size_t group = 0; group < pairs.values.size(); group += step) {
                const std::string condition = pairs.condition(group);
                for (const GridShape shape : shapes_of(world_.size())) {
                    for (const Side side : {Side::row, Side::column}) {
                        SCOPED_TRACE(fmt::format("{}{}, grid {}, {}", path_, key, shape.name(), condition));
                        const Grid grid{world_, shape};
                        InputOptions alone = side == Side::row ? source : target;
                        alone.where.push_back(condition);
                        // A single cell whose weight is 0 has none.
                        if (side == Side::row && pairs.cells[group] == 1) continue;
                        const Partition partition = Partition::even(pairs.cells[group], grid.parts(side));
                        InputIdentity expected_identity, identity;
                        const DistributedCloud expected = read_cloud(grid, side, partition, alone, expected_identity);

                        const DistributedCloud cloud = held.cloud(grid, side, partition, group, identity);

                        EXPECT_EQ(cloud.local.points, expected.local.points);
                        EXPECT_EQ(cloud.local.weights, expected.local.weights);
                        EXPECT_EQ(cloud.local.rows, expected.local.rows);
                        EXPECT_EQ(identity.where, expected_identity.where);
                        EXPECT_EQ(identity.checksum, expected_identity.checksum);
                        EXPECT_EQ(identity.weights_checksum, expected_identity.weights_checksum);
                        EXPECT_EQ(identity.weights_path, expected_identity.weights_path);
                        EXPECT_EQ(identity.weights_key, expected_identity.weights_key);
                        EXPECT_EQ(identity.key, expected_identity.key);
                        EXPECT_EQ(identity.rows, expected_identity.rows);
                        EXPECT_EQ(identity.columns, expected_identity.columns);
                        EXPECT_EQ(identity.file_rows, expected_identity.file_rows);
                        EXPECT_EQ(identity.rows_without_value, expected_identity.rows_without_value);
                        EXPECT_EQ(identity.scaling, expected_identity.scaling);
                    }
                }
            }
        }
    }
}

TEST_F(HeldCellsTest, WhatDoesNotFitIsRefusedBeforeItIsRead) {
    const InputOptions input{path_, "", "1", {}};
    const CellPairs pairs = choose_pairs(world_, input, "day=sequential");
    const HeldCells held{world_, input, input, pairs, plenty};

    const std::string error = agreed_error<InputError>(world_, [&] {
        HeldCells{world_, input, input, pairs, held.bytes() * 0.99};
    });

    EXPECT_NE(error.find("the cells of all pairs take"), std::string::npos) << error;
}

TEST_F(HeldCellsTest, WeightsBelowZeroAreRefused) {
    const InputOptions good{path_, "", "1", {}}, bad{path_, "obs:each", "1", {}};
    const CellPairs pairs = choose_pairs(world_, good, "day=sequential");

    const std::string error = agreed_error<InputError>(world_, [&] { HeldCells{world_, good, bad, pairs, plenty}; });

    EXPECT_NE(error.find("a weight is -"), std::string::npos) << error;
}

}  // namespace
}  // namespace convoy::io
