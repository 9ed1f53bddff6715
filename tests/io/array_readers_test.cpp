// Formats of arrays: what is read of them, and that none of them can be cut or changed anywhere without being refused
// or read, but never worse.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <cmath>
#include <numeric>

#include "files.hpp"
#include "io/number_type.hpp"
#include "io/pattern.hpp"
#include "io/selected_columns.hpp"

namespace convoy::io {
namespace {

const std::vector<double> one_to_six{1, 2, 3, 4, 5, 6};

std::string number(std::uint64_t value, int bytes, bool big_endian = false) {
    std::string text;
    for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i) & 255);
    return big_endian ? std::string{text.rbegin(), text.rend()} : text;
}

std::string idx(char type, const std::vector<std::uint64_t>& extents, const std::string& data) {
    std::string bytes{'\0', '\0', type, static_cast<char>(extents.size())};
    for (const std::uint64_t extent : extents) bytes += number(extent, 4, true);
    return bytes + data;
}

std::string safetensors(const std::string& header, const std::string& data) {
    return number(header.size(), 8) + header + data;
}

std::string deflated(const std::string& bytes) {
    z_stream stream{};
    deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
    std::string packed(bytes.size() + 100, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream.avail_in = static_cast<uInt>(bytes.size());
    stream.next_out = reinterpret_cast<Bytef*>(packed.data());
    stream.avail_out = static_cast<uInt>(packed.size());
    deflate(&stream, Z_FINISH);
    packed.resize(stream.total_out);
    deflateEnd(&stream);
    return packed;
}

// A zip archive of one member, as NumPy writes it; `large`: with 64-bit lengths throughout.
std::string zip(const std::string& name, const std::string& bytes, bool packed, bool large = false) {
    const std::string data = packed ? deflated(bytes) : bytes;
    const auto crc = crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size()));
    const auto length = [&](std::uint64_t value) { return number(large ? 0xFFFFFFFF : value, 4); };
    const std::string common = number(large ? 45 : 20, 2) + number(0, 2) + number(packed ? 8 : 0, 2) + number(0, 4) +
                               number(crc, 4) + length(data.size()) + length(bytes.size()) + number(name.size(), 2);
    const std::string lengths = number(bytes.size(), 8) + number(data.size(), 8);
    const std::string local_extra = large ? number(1, 2) + number(16, 2) + lengths : "";
    const std::string extra = large ? number(1, 2) + number(24, 2) + lengths + number(0, 8) : "";
    const std::string local = "PK\3\4" + common + number(local_extra.size(), 2) + name + local_extra;
    const std::string entry =
        "PK\1\2" + number(45, 2) + common + number(extra.size(), 2) + std::string(10, '\0') + length(0) + name + extra;
    const std::uint64_t at = local.size() + data.size();
    std::string end;
    if (large)
        end = "PK\6\6" + number(44, 8) + number(45, 2) + number(45, 2) + number(0, 8) + number(1, 8) + number(1, 8) +
              number(entry.size(), 8) + number(at, 8) + "PK\6\7" + number(0, 4) + number(at + entry.size(), 8) +
              number(1, 4);
    end += "PK\5\6" + number(0, 4) + number(large ? 0xFFFF : 1, 2) + number(large ? 0xFFFF : 1, 2) +
           (large ? number(0xFFFFFFFF, 4) : number(entry.size(), 4)) + (large ? number(0xFFFFFFFF, 4) : number(at, 4)) +
           number(0, 2);
    return local + data + entry + end;
}

struct File {
    std::string name, key, bytes;
};

// Every format, 3 x 2 numbers each.
std::vector<File> files() {
    const std::string doubles = raw(one_to_six), floats = raw<float>({1, 2, 3, 4, 5, 6});
    const std::string array = npy("<f8", "(3, 2)", doubles);
    return {
        {"a.idx", "", idx(0x0E, {3, 2}, raw(one_to_six, true))},
        {"b.idx", "", idx(0x08, {3, 2}, raw<std::uint8_t>({1, 2, 3, 4, 5, 6}))},
        {"c-ubyte", "", idx(0x0C, {3, 2}, raw<std::int32_t>({1, 2, 3, 4, 5, 6}, true))},
        {"a.npz", "x", zip("x.npy", array, false)},
        {"b.npz", "x", zip("x.npy", array, true)},
        {"c.npz", "x", zip("x.npy", array, false, true)},
        {"d.npz", "", zip("x.npy", array, true, true)},
        {"a.safetensors", "x", safetensors(R"({"x":{"dtype":"F32","shape":[3,2],"data_offsets":[0,24]}})", floats)},
        {"b.safetensors", "",
         safetensors(R"({"__metadata__":{"a":"b"},"x":{"dtype":"F64","shape":[3,2],"data_offsets":[0,48]}})", doubles)},
        {"a.raw", "float64:3x2", doubles},
        {"b.raw", "float32:3x2@3", "abc" + floats},
        {"c.bin", "float64be:3x2", raw(one_to_six, true)},
    };
}

std::string with_key(const std::string& path, const std::string& key) {
    return key.empty() ? path : path + "#" + key;
}

TEST(ArrayFormats, HoldTheSameMatrix) {
    const Folder folder;
    for (const File& file : files()) {
        write_file(folder / file.name, file.bytes);
        EXPECT_EQ(read_all(with_key(folder / file.name, file.key)), one_to_six) << file.name;
    }
}

TEST(ArrayFormats, AreRefusedWhereverTheyAreTruncated) {
    const Folder folder;
    for (const File& file : files()) {
        for (std::size_t length = 0; length < file.bytes.size(); ++length) {
            write_file(folder / file.name, file.bytes.substr(0, length));
            const std::string message = refusal_of(with_key(folder / file.name, file.key));
            EXPECT_EQ(message.find("cannot read '"), 0u) << file.name << ", " << length << ": " << message;
        }
    }
}

// Any byte may be anything: the file is refused in words, or it holds numbers, but what it promises is never believed.
TEST(ArrayFormats, SurviveAnyByteChanged) {
    const Folder folder;
    for (const File& file : files()) {
        int refused = 0;
        for (std::size_t at = 0; at < file.bytes.size(); ++at) {
            for (const int value : {0x00, 0xFF, file.bytes[at] ^ 0x01, file.bytes[at] ^ 0x80}) {
                std::string bytes = file.bytes;
                bytes[at] = static_cast<char>(value);
                write_file(folder / file.name, bytes);
                if (refusal_of(with_key(folder / file.name, file.key)) != "accepted") ++refused;
            }
        }
        if (!file.name.ends_with(".raw") && !file.name.ends_with(".bin")) {
            EXPECT_GT(refused, 20) << file.name;
        }
    }
}

TEST(ArrayFormats, GiveBlocksOfRowsAndColumns) {
    const Folder folder;
    // 700 x 900 numbers: rows with gaps are read many at once, a few columns one by one.
    std::vector<float> values(700 * 900);
    std::iota(values.begin(), values.end(), 0.0f);
    write_file(folder / "a.raw", raw(values));
    std::vector<float> columns_first(values.size());
    for (std::size_t i = 0; i < 700; ++i)
        for (std::size_t j = 0; j < 900; ++j) columns_first[j * 700 + i] = values[i * 900 + j];
    write_file(folder / "a.npy", npy("<f4", "(700, 900)", raw(columns_first), true));
    for (const std::string& name : {folder / "a.raw#f4:900", folder / "a.npy"}) {
        const auto reader = open_reader(Location::parse(name));
        struct Block {
            std::int64_t first_row, rows;
            ColumnRun columns;
        };
        for (const Block& block : {Block{0, 700, {0, 900}}, Block{13, 600, {5, 890}}, Block{699, 1, {899, 1}},
                                   Block{3, 650, {880, 3}}, Block{10, 0, {0, 900}}, Block{5, 7, {100, 0}}}) {
            const std::int64_t width = block.columns.count;
            std::vector<double> out(static_cast<std::size_t>(block.rows * width));

            const GlobalRun rows{GlobalIndex{block.first_row}, block.rows};
            reader->read_runs({&rows, 1}, block.columns, out);

            for (std::int64_t i = 0; i < block.rows; ++i)
                for (std::int64_t j = 0; j < width; ++j)
                    ASSERT_EQ(out[static_cast<std::size_t>(i * width + j)],
                              static_cast<double>((block.first_row + i) * 900 + block.columns.first + j))
                        << name;
        }
    }
}

TEST(NumberType, IsNamedInBothWays) {
    for (const char* name : {"float64", "float32", "float16", "bfloat16", "int64", "int8", "uint32", "uint8", "bool",
                             "float32be", "bfloat16be", "int16be"})
        EXPECT_EQ(NumberType::parse(name).value_or(NumberType{}).name(), name);
    EXPECT_EQ(NumberType::parse("<f4").value_or(NumberType{}).name(), "float32");
    EXPECT_EQ(NumberType::parse(">i8").value_or(NumberType{}).name(), "int64be");
    EXPECT_EQ(NumberType::parse("|u1").value_or(NumberType{}).name(), "uint8");
    EXPECT_EQ(NumberType::parse("f4le").value_or(NumberType{}).name(), "float32");
    for (const char* name : {"", "f", "f3", "f16", "c8", ">", "be", "float", "i4bele", "O", "U3", "complex64"})
        EXPECT_FALSE(NumberType::parse(name)) << name;
}

TEST(NumberType, ConvertsBrainFloatsAndHalves) {
    const auto converted = [](const char* type, const std::string& bytes) {
        double value = 0;
        converter (*NumberType::parse(type))(bytes.data(), 1, 1, &value);
        return value;
    };
    EXPECT_EQ(converted("bfloat16", number(0x3FC0, 2)), 1.5);
    EXPECT_EQ(converted("bfloat16be", number(0x3FC0, 2, true)), 1.5);
    EXPECT_EQ(converted("bfloat16", number(0xFF80, 2)), -INFINITY);
    EXPECT_TRUE(std::isnan(converted("bfloat16", number(0x7FC0, 2))));
    EXPECT_EQ(converted("float16be", number(0x3E00, 2, true)), 1.5);
    EXPECT_EQ(converted("bool", "\7"), 1);
}

TEST(Columns, AreSlicesFromZeroWithoutTheirEnd) {
    const auto text_of = [](const std::string& text) {
        std::string result;
        for (const ColumnSlice& slice : parse_columns(text))
            result += fmt::format("{}-{} ", slice.first, slice.end.value_or(-1));
        return result;
    };
    EXPECT_EQ(text_of("6:17"), "6-17 ");
    EXPECT_EQ(text_of("3"), "3-4 ");
    EXPECT_EQ(text_of(":2,5:,0"), "0-2 5--1 0-1 ");
    for (const char* text : {"", ",", "1,", "a", "2:1", "3:3", "-1", "1:-1", "1:2:3", " 1", "1.5"})
        EXPECT_THROW(parse_columns(text), InputError) << text;
}

TEST(Columns, AreNamedAsTheFileHasThem) {
    const Folder folder;
    const auto position = [&](const std::string& name, bool transposed, const std::string& columns, std::int64_t row,
                              std::int64_t column) {
        const Location location = Location::parse(folder / name);
        return select_columns(location, open_reader(location), transposed, columns)->position(row, column);
    };
    write_file(folder / "a.npy", npy("<f8", "(3, 2)", raw(one_to_six)));
    write_file(folder / "b.npy", npy("<f8", "(1, 2)", raw<double>({1, 2})));

    EXPECT_EQ(position("a.npy", false, "1", 2, 0), "row 2, column 1");
    EXPECT_EQ(position("a.npy", true, "2,0", 1, 1), "row 0, column 1");
    EXPECT_EQ(position("?.npy", false, "", 3, 1), fmt::format("row 0, column 1 of '{}'", folder / "b.npy"));
    const auto pattern = open_pattern({folder / "?.npy", ""}, [](const Location& file) {
        return select_columns(file, open_reader(file), true, "0");
    });
    EXPECT_EQ(pattern->rows(), 4);
    EXPECT_EQ(pattern->position(3, 0), fmt::format("row 0, column 1 of '{}'", folder / "b.npy"));
}

TEST(Pattern, ListsFilesByTheirBytes) {
    const Folder folder;
    for (const char* name : {"p_10.npy", "p_2.npy", "p_B.npy", "p_a.npy", "q.npy"}) write_file(folder / name, "x");

    EXPECT_EQ(files_named(folder / "p_*.npy"), (std::vector<std::string>{folder / "p_10.npy", folder / "p_2.npy",
                                                                         folder / "p_B.npy", folder / "p_a.npy"}));
    EXPECT_EQ(files_named(folder / "p_[ab].npy"), (std::vector<std::string>{folder / "p_a.npy"}));
    EXPECT_TRUE(files_named(folder / "r*").empty());
    EXPECT_EQ(files_named(folder / "absent.npy"), (std::vector<std::string>{folder / "absent.npy"}));
}

}  // namespace
}  // namespace convoy::io
