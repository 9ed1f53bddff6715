#include "io/row_filter.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "files.hpp"
#include "h5ad_files.hpp"
#include "io/conditions.hpp"
#include "io/hdf5_dataset.hpp"

namespace convoy::io {
namespace {

constexpr double none = std::numeric_limits<double>::quiet_NaN();
using Chosen = std::vector<std::int64_t>;

class RowFilter : public testing::TestWithParam<Generation> {
 protected:
    void SetUp() override {
        const Texts index{"a", "b", "c", "d", "e", "f", "g", "h"};
        columns_ = {
            {"day", Categories{{0, 1, 2, 1, -1, 0, 2, 2}, Doubles{10, 10.5, 11}}},
            {"type", Categories{{0, 1, 2, 0, 1, -1, 3, 4}, Texts{"T cell", "T cell, CD8", "B", "CD4", "B,CD4"}}},
            {"age(days)/x", Categories{{0, 0, 1, 1, 0, 0, 1, 1}, Texts{"12", "35"}}},
            {"count", Integers{1, 2, 3, 1000000000000001, 1000000000000000, 2, 1, -5}},
            {"score", Doubles{0.1, none, 0.3, 0.1, -0.0, 1e300, 0.25, none}},
            {"single", Singles{{0.1f, 0.2f, 0.3f, 0.1f, 16777216.f, 3, 4, 5}}},
            {"tissue", Booleans{{true, false, true, true, false, false, true, true}}},
            {"a=b", Texts{"x", "y", "x=1", "", "x", "y", "z", "x"}},
        };
        if (GetParam() == Generation::groups)
            columns_.push_back(
                {"masked", Masked{{1, 2, 1, 2, 1, 2, 1, 2}, {false, false, true, false, false, false, false, true}}});
        Hdf5 file = new_file(path_);
        if (GetParam() == Generation::compounds) columns_[2].name = "age(days)";  // no path is hidden in its name
        add_frame(file.get(), "obs", index, columns_, GetParam());
        file.close();
        file_ = open_hdf5_input(location_);
    }
    FilteredRows filter(const std::vector<std::string>& conditions) {
        return filter_rows(location_, *ObsFrame::open(location_, file_.get(), "obs"), conditions);
    }
    Chosen rows_of(const std::vector<std::string>& conditions) {
        const FilteredRows found = filter(conditions);
        Chosen rows;
        for (std::int64_t k = 0; k < found.rows.rows(); ++k) rows.push_back(found.rows.file_row(k));
        return rows;
    }
    Chosen rows(const std::string& condition) { return rows_of({condition}); }
    std::string refused(const std::string& condition) {
        return refusal([&] { filter({condition}); });
    }

    Folder folder_;
    std::string path_ = folder_ / "cells.h5ad";
    Location location_{path_, "X"};
    std::vector<ObsColumnOf> columns_;
    Hdf5 file_;
};

INSTANTIATE_TEST_SUITE_P(OfEveryGeneration, RowFilter,
                         testing::Values(Generation::compounds, Generation::references, Generation::groups),
                         [](const auto& info) { return std::string{name_of(info.param)}; });

TEST_P(RowFilter, ComparesNumbersAsNumbers) {
    EXPECT_EQ(rows("day=10"), (Chosen{0, 5}));
    EXPECT_EQ(rows("day=10.0"), (Chosen{0, 5}));
    EXPECT_EQ(rows("day=+1e1"), (Chosen{0, 5}));
    EXPECT_EQ(rows("day=10.5"), (Chosen{1, 3}));
    EXPECT_EQ(rows("day=10.5, 11"), (Chosen{1, 2, 3, 6, 7}));
    EXPECT_EQ(rows("count=1"), (Chosen{0, 6}));
    EXPECT_EQ(rows("count=2.0,-5"), (Chosen{1, 5, 7}));
    EXPECT_EQ(rows("count=1000000000000001"), (Chosen{3}));
    EXPECT_EQ(rows("count=1e15"), (Chosen{4}));
    EXPECT_EQ(rows("score=0.1"), (Chosen{0, 3}));
    EXPECT_EQ(rows("score=1e-1,0"), (Chosen{0, 3, 4}));
    EXPECT_EQ(rows("single=0.1"), (Chosen{0, 3}));  // as fp32 has it
    EXPECT_EQ(rows("single=16777216"), (Chosen{4}));
}

TEST_P(RowFilter, ComparesTextAsText) {
    EXPECT_EQ(rows("type=B"), (Chosen{2}));
    EXPECT_EQ(rows("a=b=x"), (Chosen{0, 4, 7}));
    EXPECT_EQ(rows("a=b=x=1"), (Chosen{2}));
    EXPECT_EQ(rows("a=b="), (Chosen{3}));
    EXPECT_EQ(rows("a=b!=x"), (Chosen{1, 2, 3, 5, 6}));
    EXPECT_EQ(rows(GetParam() == Generation::compounds ? "age(days)=12" : "age(days)/x=12"), (Chosen{0, 1, 4, 5}));
    EXPECT_EQ(rows(GetParam() == Generation::compounds ? "index=c,d" : "cell names=c,d"), (Chosen{2, 3}));
}

TEST_P(RowFilter, TakesBooleansInAnyForm) {
    for (const char* text : {"tissue=true", "tissue=True", "tissue=TRUE", "tissue=1", "tissue!=false", "tissue!=0"})
        EXPECT_EQ(rows(text), (Chosen{0, 2, 3, 6, 7})) << text;
    EXPECT_EQ(rows("tissue=false"), (Chosen{1, 4, 5}));
    EXPECT_EQ(std::ssize(rows("tissue=true,false")), 8);
}

TEST_P(RowFilter, ValuesWithCommasAreFoundOrQuoted) {
    EXPECT_EQ(rows("type=T cell"), (Chosen{0, 3}));
    EXPECT_EQ(rows("type=T cell, CD8,B"), (Chosen{1, 2, 4}));
    EXPECT_EQ(rows("type=B, T cell,CD4"), (Chosen{0, 2, 3, 6}));
    EXPECT_EQ(rows("type=\"T cell, CD8\""), (Chosen{1, 4}));
    EXPECT_EQ(rows("type=\"B\",\"CD4\""), (Chosen{2, 6}));
    EXPECT_EQ(rows("type=\"B,CD4\""), (Chosen{7}));
    expect_words(refused("type=B,CD4"), {"'B,CD4' can be read in more than one way", "double quotes"});
    expect_words(refused("type=\"B"), {"does not end before a comma"});
    expect_words(refused("type=\"B\"x"), {"does not end before a comma"});
}

TEST_P(RowFilter, MissingValuesAreInNoSelectionAndCounted) {
    EXPECT_EQ(rows("day!=10"), (Chosen{1, 2, 3, 6, 7}));
    EXPECT_EQ(filter({"day!=10"}).without_value, 1);
    EXPECT_EQ(rows("score!=0.1"), (Chosen{2, 4, 5, 6}));
    EXPECT_EQ(filter({"score=0.1"}).without_value, 2);
    EXPECT_EQ(filter({"count=1"}).without_value, 0);
    EXPECT_EQ(filter({"day=10", "type=T cell"}).without_value, 2);
    expect_words(refused("score=nan"), {"no row has score=nan", "2 rows have none"});
    if (GetParam() != Generation::groups) return;
    EXPECT_EQ(rows("masked=1"), (Chosen{0, 4, 6}));
    EXPECT_EQ(rows("masked!=1"), (Chosen{1, 3, 5}));
    EXPECT_EQ(filter({"masked!=1"}).without_value, 2);
}

TEST_P(RowFilter, AllConditionsHold) {
    EXPECT_EQ(rows_of({"day=10.5,11", "tissue=true"}), (Chosen{2, 3, 6, 7}));
    EXPECT_EQ(rows_of({"day=10.5,11", "tissue=true", "type!=CD4"}), (Chosen{2, 3, 7}));
    EXPECT_EQ(rows_of({"day=10", "day!=11"}), (Chosen{0, 5}));
    EXPECT_EQ(std::ssize(rows_of({})), 8);
    expect_words(refusal([&] {
                     filter({"day=10", "type=B"});
                 }),
                 {"no row is left", "of 8, one condition after the other leaves day=10: 2, type=B: 0"});
}

TEST_P(RowFilter, SaysWhatThereIs) {
    expect_words(refused("day=12"),
                 {"cells.h5ad#X': no row has day=12", "'day', category, has 10: 2, 10.5: 2, 11: 3; 1 rows have none",
                  "choose one of its values"});
    expect_words(refused("day=10,ten,11"), {"no row has day=ten"});
    expect_words(refused("day!=12"), {"no row has day=12"});
    expect_words(refused("type=b"), {"T cell: 2, T cell, CD8: 2, B: 1, CD4: 1, B,CD4: 1"});
    expect_words(refused("count=7"), {"'count', int64, has -5: 1, 1: 2, 2: 2, 3: 1, 1000000000000000: 1"});
    expect_words(refused("count=1.5"), {"no row has count=1.5"});
    expect_words(refused("count=x"), {"no row has count=x"});
    expect_words(refused("tissue=maybe"), {"no row has tissue=maybe", "'tissue', boolean, has false: 3, true: 5"});
    expect_words(refused("days=10"),
                 {"obs has no column 'days'", "day (3 categories)", "count (int64)", "tissue (boolean)"});
    expect_words(refused("days!=10"), {"obs has no column 'days'"});
    expect_words(refused("day"), {"'day' is no condition", "COLUMN=VALUE", "day (3 categories)"});
    expect_words(refused("=10"), {"'=10' is no condition"});
    expect_words(refused(""), {"'' is no condition"});
}

TEST(RowFilterOfManyValues, ListsAFew) {
    const Folder folder;
    const std::string path = folder / "cells.h5ad";
    const Location location{path, ""};
    Texts index, words;
    Doubles numbers;
    for (int k = 0; k < 30000; ++k) {
        index.push_back(std::to_string(k));
        words.push_back(k % 3 == 0 ? "often" : "w" + std::to_string(k));
        numbers.push_back(k + 0.5);
    }
    std::vector<ObsColumnOf> columns{{"word", words}, {"number", numbers}};
    for (int k = 0; k < 40; ++k) columns.push_back({"more" + std::to_string(k), Integers(30000, k)});
    Hdf5 made = new_file(path);
    add_frame(made.get(), "obs", index, columns, Generation::groups);
    made.close();
    const Hdf5 file = open_hdf5_input(location);
    const auto obs = ObsFrame::open(location, file.get(), "obs");
    const auto refused = [&](const std::string& text) { return refusal([&] { filter_rows(location, *obs, {text}); }); };

    for (const char* text : {"word=nothing", "number=7", "more=1"}) EXPECT_LT(refused(text).size(), 700U) << text;
    expect_words(refused("word=nothing"), {"often: 10000", "and over 9987 more"});
    expect_words(refused("more=1"), {"more9 (int64), and 30 more"});
    // Beyond what is listed, values are found all the same.
    EXPECT_EQ(filter_rows(location, *obs, {"word=w29999"}).rows.file_row(0), 29999);
    EXPECT_EQ(filter_rows(location, *obs, {"number=29998.5"}).rows.file_row(0), 29998);
    EXPECT_EQ(filter_rows(location, *obs, {"word!=often"}).rows.rows(), 20000);
    std::string many = "number=0.5";
    for (int k = 1; k <= 1000; ++k) many += "," + std::to_string(k) + ".5";
    expect_words(refused(many), {"lists 1001 values (1000 at most)"});
}

TEST(Conditions, AreOneTextAndBack) {
    const std::vector<std::string> two{"day=10,11", "type!=a b"};
    EXPECT_EQ(split_conditions(joined_conditions(two)), two);
    EXPECT_EQ(split_conditions(joined_conditions({})), std::vector<std::string>{});
    EXPECT_EQ(split_conditions("a="), std::vector<std::string>{"a="});
    EXPECT_THROW(joined_conditions({"a=b\nc"}), InputError);
}

}  // namespace
}  // namespace convoy::io
