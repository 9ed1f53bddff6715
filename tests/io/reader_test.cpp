#include "io/reader.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "files.hpp"

namespace convoy::io {
namespace {

TEST(Location, IsCutAtTheHash) {
    EXPECT_EQ(Location::parse("a.h5#/x/y").path, "a.h5");
    EXPECT_EQ(Location::parse("a.h5#/x/y").key, "/x/y");
    EXPECT_EQ(Location::parse("a.npy").key, "");
    EXPECT_EQ(Location::parse("a.h5#x").name(), "a.h5#x");
}

TEST(Location, KeepsAHashThatIsPartOfAnExistingFile) {
    const Folder folder;
    write_file(folder / "a#b.csv", "1,2\n");

    EXPECT_EQ(Location::parse(folder / "a#b.csv").path, folder / "a#b.csv");
    EXPECT_EQ(Location::parse(folder / "a#b.csv#0").path, folder / "a#b.csv");
    EXPECT_EQ(Location::parse(folder / "a#b.csv#0").key, "0");
}

TEST(Reader, NamesWhatIsWrongWithThePath) {
    const Folder folder;
    std::filesystem::create_directory(folder / "folder.csv");
    write_file(folder / "empty.npy", "");
    write_file(folder / "points.xyz", "1 2 3\n");

    expect_words(refusal_of(folder / "absent.csv"), {"absent.csv", "no such file", "check the path"});
    expect_words(refusal_of(folder / "folder.csv"), {"it is a folder"});
    expect_words(refusal_of(folder / "empty.npy"), {"empty"});
    expect_words(refusal_of(folder / "points.xyz"), {"format is not known", ".h5", ".npy", ".csv", ".txt.gz"});
    expect_words(refusal_of("/dev/null"), {"not a regular file"});
    expect_words(refusal_of(""), {"empty"});
}

TEST(Reader, SaysThatAFileMayNotBeRead) {
    if (::geteuid() == 0) GTEST_SKIP() << "root reads everything";
    const Folder folder;
    write_file(folder / "secret.csv", "1,2\n");
    std::filesystem::permissions(folder / "secret.csv", std::filesystem::perms::none);

    expect_words(refusal_of(folder / "secret.csv"), {"Permission denied"});
}

TEST(Scaling, IsANumberOrAFraction) {
    EXPECT_EQ(parse_scaling("1"), (Scaling{1, 0}));
    EXPECT_EQ(parse_scaling("1/255"), (Scaling{1.0 / 255, 0}));
    EXPECT_EQ(parse_scaling("1e-3"), (Scaling{1e-3, 0}));
}

TEST(Scaling, MayHaveAnOffset) {
    EXPECT_EQ(parse_scaling("1/127.5-1"), (Scaling{1 / 127.5, -1}));
    EXPECT_EQ(parse_scaling("2+3e-2"), (Scaling{2, 3e-2}));
    EXPECT_EQ(parse_scaling("1E+2-1e+1"), (Scaling{100, -10}));
}

TEST(Scaling, RefusesWhatIsNotPositive) {
    for (const char* text : {"", "0", "-1", "nan", "inf", "1/0", "0/1", "two", "1/2/3", "/2", "1e999", "1-", "1+-2",
                             "1+nan", "1-inf", "1-1-1", "-1+1"})
        expect_words(refusal([&] { parse_scaling(text); }), {"cannot scale", "positive"});
}

}  // namespace
}  // namespace convoy::io
