#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "files.hpp"
#include "io/reader.hpp"

namespace convoy::io {
namespace {

const std::vector<double> one_to_six{1, 2, 3, 4, 5, 6};

template <class T>
void expect_both_orders_of_bytes(const std::string& type, const std::vector<T>& values) {
    const Folder folder;
    write_file(folder / "little.npy", npy("<" + type, "(3, 2)", raw(values)));
    write_file(folder / "big.npy", npy(">" + type, "(3, 2)", raw(values, true)));
    const std::vector<double> expected{values.begin(), values.end()};

    EXPECT_EQ(read_all(folder / "little.npy"), expected) << type;
    EXPECT_EQ(read_all(folder / "big.npy"), expected) << type;
}

TEST(Npy, ReadsEveryTypeInBothOrdersOfBytes) {
    expect_both_orders_of_bytes<double>("f8", {1.5, -2, 1e300, 4, 5e-324, 6});
    expect_both_orders_of_bytes<float>("f4", {1.5f, -2, 1e30f, 4, 5, 6});
    expect_both_orders_of_bytes<std::int8_t>("i1", {-128, 127, 0, 1, 2, 3});
    expect_both_orders_of_bytes<std::int16_t>("i2", {-32768, 32767, 0, 1, 2, 3});
    expect_both_orders_of_bytes<std::int32_t>("i4", {-2147483647, 2147483647, 0, 1, 2, 3});
    expect_both_orders_of_bytes<std::int64_t>("i8", {-(1LL << 52), 1LL << 52, 0, 1, 2, 3});
    expect_both_orders_of_bytes<std::uint8_t>("u1", {255, 0, 1, 2, 3, 4});
    expect_both_orders_of_bytes<std::uint16_t>("u2", {65535, 0, 1, 2, 3, 4});
    expect_both_orders_of_bytes<std::uint32_t>("u4", {4294967295u, 0, 1, 2, 3, 4});
    expect_both_orders_of_bytes<std::uint64_t>("u8", {1ULL << 53, 0, 1, 2, 3, 4});
}

TEST(Npy, ReadsHalfPrecisionAndBooleans) {
    const Folder folder;
    const std::vector<std::uint16_t> halves{0x3C00, 0xC000, 0x7BFF, 0x0001, 0x0400, 0x3555};
    write_file(folder / "half.npy", npy("<f2", "(3, 2)", raw(halves)));
    write_file(folder / "bool.npy", npy("|b1", "(2, 2)", raw<std::uint8_t>({1, 0, 0, 1})));
    write_file(folder / "infinite.npy", npy("<f2", "(2,)", raw<std::uint16_t>({0x7C00, 0x7E00})));

    EXPECT_EQ(read_all(folder / "half.npy"),
              (std::vector<double>{1, -2, 65504, std::ldexp(1, -24), std::ldexp(1, -14), 0.333251953125}));
    EXPECT_EQ(read_all(folder / "bool.npy"), (std::vector<double>{1, 0, 0, 1}));
    EXPECT_EQ(read_all(folder / "infinite.npy")[0], std::numeric_limits<double>::infinity());
    EXPECT_TRUE(std::isnan(read_all(folder / "infinite.npy")[1]));
}

TEST(Npy, ReadsFortranOrder) {
    const Folder folder;
    write_file(folder / "a.npy", npy("<f8", "(3, 2)", raw<double>({1, 3, 5, 2, 4, 6}), true));
    const auto reader = open_reader({folder / "a.npy", ""});
    std::vector<double> middle(2);

    reader->read(1, 1, middle);

    EXPECT_EQ(read_all(folder / "a.npy"), one_to_six);
    EXPECT_EQ(middle, (std::vector<double>{3, 4}));
}

TEST(Npy, ReadsAllVersionsOfTheHeader) {
    const Folder folder;
    for (const int version : {1, 2, 3}) {
        write_file(folder / "a.npy", npy("<f8", "(3, 2)", raw(one_to_six), false, version));
        EXPECT_EQ(read_all(folder / "a.npy"), one_to_six) << version;
    }
}

TEST(Npy, KnowsAVectorFromAMatrixOfOneColumn) {
    const Folder folder;
    write_file(folder / "vector.npy", npy("<f8", "(6,)", raw(one_to_six)));
    write_file(folder / "matrix.npy", npy("<f8", "(6, 1)", raw(one_to_six)));

    EXPECT_TRUE(open_reader({folder / "vector.npy", ""})->is_vector());
    EXPECT_FALSE(open_reader({folder / "matrix.npy", ""})->is_vector());
    EXPECT_EQ(open_reader({folder / "vector.npy", ""})->columns(), 1);
}

TEST(Npy, ReadsAnyRowsOfALargeArray) {
    const Folder folder;
    std::vector<double> values(700000);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
    write_file(folder / "a.npy", npy("<f8", "(100000, 7)", raw(values)));
    const auto reader = open_reader({folder / "a.npy", ""});
    std::vector<double> some(7 * 99990);

    reader->read(9, 99990, some);

    EXPECT_EQ(some.front(), 63);
    EXPECT_EQ(some.back(), 699992);
}

TEST(Npy, IsRefusedWhereverItIsTruncated) {
    const Folder folder;
    const std::string whole = npy("<f8", "(3, 2)", raw(one_to_six));
    for (std::size_t length = 1; length < whole.size(); ++length) {
        write_file(folder / "a.npy", whole.substr(0, length));
        const std::string message = refusal_of(folder / "a.npy");
        EXPECT_EQ(message.find("cannot read '"), 0u) << length << message;
        if (length >= 10) expect_words(message, {"truncated"});
    }
}

TEST(Npy, SaysWhatItCannotRead) {
    const Folder folder;
    const auto refused = [&](const std::string& bytes) {
        write_file(folder / "a.npy", bytes);
        return refusal_of(folder / "a.npy");
    };

    expect_words(refused(npy("<f8", "(1, 3, 2)", raw(one_to_six))), {"3 dimensions", "need 2", "reshape"});
    expect_words(refused(npy("<f8", "()", raw<double>({1}))), {"0 dimensions"});
    expect_words(refused(npy("<f8", "(0, 2)", "")), {"empty", "0 x 2"});
    expect_words(refused(npy("<c16", "(3,)", raw(one_to_six))), {"'<c16'", "real numbers"});
    expect_words(refused(npy("|O", "(3,)", raw(one_to_six))), {"'|O'"});
    expect_words(refused(npy("<U3", "(3,)", raw(one_to_six))), {"'<U3'"});
    expect_words(refused(npy("<f8", "(4611686018427387904, 4)", raw(one_to_six))), {"too large"});
    expect_words(refused(npy("<f8", "(-3, 2)", raw(one_to_six))), {"shape"});
    expect_words(refused(npy("<f8", "(3, 2)", raw(one_to_six) + "more")), {"4 bytes follow"});
    expect_words(refused("not numpy at all"), {"no .npy file"});
    expect_words(refused(npy("<f8", "(3, 2)", raw(one_to_six), false, 4)), {"version is 4"});
}

TEST(Npy, HasNoKey) {
    const Folder folder;
    write_file(folder / "a.npy", npy("<f8", "(3, 2)", raw(one_to_six)));
    expect_words(refusal_of(folder / "a.npy#x"), {"one array", "leave out '#x'"});
}

}  // namespace
}  // namespace convoy::io
