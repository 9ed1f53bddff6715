#include "io/checksum.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <vector>

namespace convoy::io {

static_assert(std::endian::native == std::endian::little, "checksums are those of little-endian files");

namespace {

constexpr std::uint32_t polynomial = 0x82F63B78u;  // Castagnoli's, bits reversed

using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

// tables[k][b]: what byte b does to the CRC when k more bytes follow it, so that 8 bytes are taken in one step.
constexpr Tables make_tables() {
    Tables tables{};
    for (std::uint32_t b = 0; b < 256; ++b) {
        std::uint32_t crc = b;
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1u) != 0 ? polynomial : 0u);
        tables[0][b] = crc;
    }
    for (std::size_t k = 1; k < 8; ++k)
        for (std::size_t b = 0; b < 256; ++b)
            tables[k][b] = (tables[k - 1][b] >> 8) ^ tables[0][tables[k - 1][b] & 0xFFu];
    return tables;
}
constexpr Tables tables = make_tables();

// A linear map of 32-bit vectors over GF(2); column i is the image of bit i.
using Matrix = std::array<std::uint32_t, 32>;

std::uint32_t times(const Matrix& matrix, std::uint32_t vector) {
    std::uint32_t product = 0;
    for (std::size_t i = 0; vector != 0; ++i, vector >>= 1)
        if ((vector & 1u) != 0) product ^= matrix[i];
    return product;
}

Matrix squared(const Matrix& matrix) {
    Matrix square{};
    for (std::size_t i = 0; i < 32; ++i) square[i] = times(matrix, matrix[i]);
    return square;
}

}  // namespace

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t crc) {
    crc = ~crc;
    const std::byte* at = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= 8; left -= 8, at += 8) {
        std::uint64_t word;
        std::memcpy(&word, at, 8);
        word ^= crc;
        crc = 0;
        for (std::size_t k = 0; k < 8; ++k) crc ^= tables[7 - k][(word >> (8 * k)) & 0xFFu];
    }
    for (; left > 0; --left, ++at) crc = (crc >> 8) ^ tables[0][(crc ^ static_cast<std::uint32_t>(*at)) & 0xFFu];
    return ~crc;
}

std::uint32_t crc32c_combine(std::uint32_t crc_a, std::uint32_t crc_b, std::uint64_t length_b) {
    // Appending zero bytes is linear in the CRC: the map of one zero bit, raised to 8 length_b by squaring.
    Matrix zeros{};
    zeros[0] = polynomial;
    for (std::size_t i = 1; i < 32; ++i) zeros[i] = 1u << (i - 1);
    zeros = squared(squared(squared(zeros)));
    for (; length_b != 0; length_b >>= 1, zeros = squared(zeros))
        if ((length_b & 1u) != 0) crc_a = times(zeros, crc_a);
    return crc_a ^ crc_b;
}

std::uint32_t crc32c_of_all(const Communicator& comm, std::uint32_t mine, std::int64_t length, std::int64_t offset) {
    // 32-bit sums and lengths below 2^53 are exact as doubles.
    struct Piece {
        double offset, length, crc;
    };
    const std::array<double, 3> sent{static_cast<double>(offset), static_cast<double>(length),
                                     static_cast<double>(mine)};
    const std::vector<double> received = comm.gather_all(sent);
    std::vector<Piece> pieces;
    for (std::size_t i = 0; i + 2 < received.size(); i += 3)
        if (received[i + 1] > 0) pieces.push_back({received[i], received[i + 1], received[i + 2]});
    std::ranges::sort(pieces, {}, &Piece::offset);
    std::uint32_t crc = 0;
    for (const Piece& piece : pieces)
        crc = crc32c_combine(crc, static_cast<std::uint32_t>(piece.crc), static_cast<std::uint64_t>(piece.length));
    return crc;
}

}  // namespace convoy::io
