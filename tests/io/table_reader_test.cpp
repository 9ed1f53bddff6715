#include <gtest/gtest.h>
#include <zlib.h>

#include "files.hpp"
#include "io/reader.hpp"

namespace convoy::io {
namespace {

const std::vector<double> one_to_four{1, 2, 3, 4};

class Table : public testing::Test {
 protected:
    std::string with(const std::string& text, const std::string& name = "a.csv") {
        write_file(folder_ / name, text);
        return folder_ / name;
    }
    std::string zipped(const std::string& text) {
        const std::string path = folder_ / "a.csv.gz";
        const gzFile file = gzopen(path.c_str(), "wb");
        gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
        gzclose(file);
        return path;
    }
    Folder folder_;
};

TEST_F(Table, FindsItsSeparator) {
    for (const char* text : {"1,2\n3,4\n", "1\t2\n3\t4\n", "1;2\n3;4\n", "1 2\n3 4\n", "  1   2  \n 3 \t 4\n",
                             "1, 2\n3, 4\n", "1 ,\t2\n3 , 4\n"})
        EXPECT_EQ(read_all(with(text)), one_to_four) << text;
}

TEST_F(Table, TakesCrLfBlankLinesAndAMissingLastLineEnd) {
    EXPECT_EQ(read_all(with("x,y\r\n1,2\r\n3,4\r\n\r\n\r\n")), one_to_four);
    EXPECT_EQ(read_all(with("1,2\n3,4")), one_to_four);
    EXPECT_EQ(read_all(with("\xEF\xBB\xBFx,y\n1,2\n3,4\n \n")), one_to_four);
}

TEST_F(Table, SkipsUpToTwoHeaderLines) {
    const std::string path = with("NAME,X,Y\nTYPE,numeric,numeric\ncell_0,1,2\ncell_1,3,4\n");

    EXPECT_EQ(read_all(path + "#X,Y"), one_to_four);
    expect_words(refusal_of(with("a\nb\nc\n1\n")), {"line 3", "2 header lines at most"});
    expect_words(refusal_of(with("a,b\nc,d\n")), {"no row of numbers"});
}

TEST_F(Table, PicksColumnsByNameNumberAndRange) {
    const std::string path = with("id,x,y,z,\"the, w\"\nA,1,2,3,4\nB,5,6,7,8\n");

    EXPECT_EQ(read_all(path + "#y,x"), (std::vector<double>{2, 1, 6, 5}));
    EXPECT_EQ(read_all(path + "#1,3"), (std::vector<double>{1, 3, 5, 7}));
    EXPECT_EQ(read_all(path + "#1:4"), (std::vector<double>{1, 2, 3, 5, 6, 7}));
    EXPECT_EQ(read_all(path + "#z,1:3"), (std::vector<double>{3, 1, 2, 7, 5, 6}));
    EXPECT_EQ(read_all(path + "#4"), (std::vector<double>{4, 8}));
    for (const char* key : {"#q", "#1:9", "#5", "#3:3", "#,", "#-1"})
        expect_words(refusal_of(path + key), {"has no column", "id,x,y,z", "#x,y,z"});
}

TEST_F(Table, SaysWhichColumnsHaveNumbers) {
    expect_words(refusal_of(with("name,x,y\nA,1,2\n")), {"column 'name' holds no numbers", "'A' in line 2", "#x,y"});
    expect_words(refusal_of(with("A,1,2\n")), {"column 0 holds no numbers", "#1,2"});
    expect_words(refusal_of(with("x,x\n1,2\n") + "#x"), {"more than one column is called 'x'"});
}

TEST_F(Table, TakesATableThatIsVeryWide) {
    const std::size_t columns = 200000;
    std::string line = "1";
    for (std::size_t i = 1; i < columns; ++i) line += ",1";

    EXPECT_EQ(read_all(with(line + "\n")), std::vector<double>(columns, 1.0));
}

TEST_F(Table, ReadsQuotedFields) {
    const std::string path = with("\"the name\",x,y\n\"Doe, \"\"J\"\"\",\"1\",2\n\"\",3,\"4\"\n");
    EXPECT_EQ(read_all(path + "#x,y"), one_to_four);
    expect_words(refusal_of(with("1,2\n\"3,4\n")), {"quoted field does not end", "line 2"});
}

TEST_F(Table, ReadsRemarksAboveTheData) {
    EXPECT_EQ(read_all(with("# made by hand\n# x y\n1 2\n3 4\n", "a.txt") + "#x,y"), one_to_four);
    expect_words(refusal_of(with("#ff0000,1\n#00ff00,2\n")), {"column 0 holds no numbers", "#ff0000"});
}

TEST_F(Table, NamesLineColumnAndText) {
    expect_words(refusal_of(with("x,y\n1,2\n3,four\n")), {"line 3, column 'y' is 'four'", "need a number"});
    expect_words(refusal_of(with("x,y\n1,2\n\n3,nan\n")), {"line 4, column 'y' is 'nan'", "finite"});
    expect_words(refusal_of(with("1,2\n3,inf\n")), {"line 2, column 1 is 'inf'"});
    expect_words(refusal_of(with("1,2\n3,1e999\n")), {"line 2, column 1 is '1e999'"});
    expect_words(refusal_of(with("x,y\n1,2\n3,\n")), {"line 3, column 'y' is empty"});
    expect_words(refusal_of(with("x,y\n1,2\n3\n")), {"line 3 has 1 columns", "line 2 has 2"});
    expect_words(refusal_of(with("1,2\n3,4,5\n")), {"line 2 has 3 columns"});
    expect_words(refusal_of(with("1;2,5\n3;4,5\n")), {"column 1 holds no numbers", "'2,5' in line 1"});
}

TEST_F(Table, QuotesNothingThatMovesTheCursor) {
    expect_words(refusal_of(with("1,2\n3,\x1b[2J\r4\n")), {"is '?[2J?4'"});
}

TEST_F(Table, ReadsNumbersAsCWould) {
    EXPECT_EQ(read_all(with("+1,-2.5e3,.5,1e-400\n")), (std::vector<double>{1, -2500, .5, 0}));
}

TEST_F(Table, ReadsGzippedText) {
    std::string text = "x,y\n";
    for (int i = 0; i < 200000; ++i) text += std::to_string(i) + "," + std::to_string(-i) + "\n";
    const std::vector<double> values = read_all(zipped(text));

    ASSERT_EQ(values.size(), 400000u);
    EXPECT_EQ(values[399998], 199999);
    EXPECT_EQ(values[399999], -199999);
}

TEST_F(Table, NoticesATruncatedOrDamagedArchive) {
    std::string text;
    for (int i = 0; i < 5000; ++i) text += std::to_string(i * 7919 % 10007) + "\n";
    const std::string path = zipped(text);
    const std::string whole = bytes_of(path);

    for (const std::size_t length : {std::size_t{12}, whole.size() / 2, whole.size() - 9, whole.size() - 3}) {
        write_file(path, whole.substr(0, length));
        expect_words(refusal_of(path), {"truncated", "gzip"});
    }
    std::string flipped = whole;
    flipped[whole.size() / 2] = static_cast<char>(flipped[whole.size() / 2] ^ 0x55);
    write_file(path, flipped);
    EXPECT_EQ(refusal_of(path).find("cannot read '"), 0u) << refusal_of(path);
}

TEST_F(Table, GivesRowsInPiecesAndKnowsTheirLines) {
    const auto reader = open_reader({with("x\n0\n\n1\n2\n3\n\n4\n"), ""});
    std::vector<double> two(2);
    ASSERT_EQ(reader->rows(), 5);
    EXPECT_TRUE(reader->sequential());

    reader->read(1, 2, two);
    EXPECT_EQ(two, (std::vector<double>{1, 2}));
    EXPECT_EQ(reader->row_name(1), "line 4");
    reader->read(3, 2, two);

    EXPECT_EQ(two, (std::vector<double>{3, 4}));
    EXPECT_EQ(reader->row_name(4), "line 8");
}

TEST_F(Table, RefusesWhatIsNoText) {
    expect_words(refusal_of(with(std::string(100, '\0'))), {"cannot read"});
    expect_words(refusal_of(with("\n\n \n")), {"no row of numbers"});
}

}  // namespace
}  // namespace convoy::io
