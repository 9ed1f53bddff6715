#include "io/lzf.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "lzf_encoder.hpp"

namespace convoy::io {
namespace {

std::vector<std::byte> bytes_of_text(const std::string& text) {
    const auto* from = reinterpret_cast<const std::byte*>(text.data());
    return {from, from + text.size()};
}

std::string decoded(const std::string& stream, std::size_t length) {
    std::vector<std::byte> out(length);
    if (!decode_lzf(bytes_of_text(stream), out)) return "refused";
    return {reinterpret_cast<const char*>(out.data()), length};
}

TEST(Lzf, DecodesLiteralsAndCopies) {
    EXPECT_EQ(decoded("", 0), "");
    EXPECT_EQ(decoded(std::string{"\x02"} + "abc", 3), "abc");
    EXPECT_EQ(decoded(std::string{"\x02"} + "abc" + std::string{"\x20\x02", 2}, 6), "abcabc");
    // A copy may overlap what it writes.
    EXPECT_EQ(decoded(std::string{"\x00x", 2} + std::string{"\xe0\x01\x00", 3}, 11), "xxxxxxxxxxx");
    // The distance's high bits are in the first byte.
    EXPECT_EQ(decoded(std::string{"\x01"} + "ab" + std::string{"\x20\x01", 2} + std::string{"\x40\x04", 2}, 9),
              "ababaabab");
}

TEST(Lzf, RefusesWhatDoesNotFillExactlyOrLooksBeyond) {
    const std::string abc = std::string{"\x02"} + "abc";
    EXPECT_EQ(decoded(abc, 2), "refused");  // too long
    EXPECT_EQ(decoded(abc, 4), "refused");  // too short
    EXPECT_EQ(decoded("\x02"
                      "ab",
                      3),
              "refused");                                                // ends in literals
    EXPECT_EQ(decoded(std::string{"\x20"}, 3), "refused");               // ends in a copy
    EXPECT_EQ(decoded(std::string{"\xe0\x01", 2}, 10), "refused");       // ends in a long copy
    EXPECT_EQ(decoded(std::string{"\xe0"}, 10), "refused");              //
    EXPECT_EQ(decoded(std::string{"\x20\x00", 2}, 3), "refused");        // copies from before the beginning
    EXPECT_EQ(decoded(abc + std::string{"\x20\x03", 2}, 6), "refused");  //
    EXPECT_EQ(decoded(abc + std::string{"\x20\x00", 2}, 5), "refused");  // a copy runs over the end
    EXPECT_EQ(decoded(abc + std::string{"\xff\xff\xff", 3}, 300), "refused");
}

TEST(Lzf, GivesBackWhatWasEncoded) {
    std::mt19937_64 random{1};
    for (const std::size_t length : {1, 2, 3, 31, 32, 33, 263, 264, 265, 8191, 8192, 8193, 100000}) {
        for (const int letters : {1, 2, 4, 256}) {
            std::vector<std::byte> text(length);
            for (std::byte& byte : text) byte = static_cast<std::byte>(random() % static_cast<unsigned>(letters));
            const std::vector<std::byte> stream = encode_lzf(text);
            std::vector<std::byte> out(length);

            EXPECT_TRUE(decode_lzf(stream, out)) << length << " " << letters;

            EXPECT_EQ(out, text) << length << " " << letters;
            EXPECT_EQ(length_of_lzf(stream), length);
            for (const std::size_t other : {length - 1, length + 1}) {
                out.resize(other);
                EXPECT_FALSE(decode_lzf(stream, out));
            }
        }
    }
}

TEST(Lzf, StaysInsideItsBuffersOnAnyInput) {
    // The address sanitizer watches; every length is one allocation of exactly that size.
    std::mt19937_64 random{2};
    for (int k = 0; k < 20000; ++k) {
        std::vector<std::byte> stream(random() % 64), out(random() % 512);
        for (std::byte& byte : stream) byte = static_cast<std::byte>(random());
        if (decode_lzf(stream, out)) {
            EXPECT_EQ(length_of_lzf(stream), out.size());
        }
    }
}

}  // namespace
}  // namespace convoy::io
