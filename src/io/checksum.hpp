#pragma once
// CRC-32C (Castagnoli, as in iSCSI and Python's crc32c package) and the CRC of two pieces joined: every rank sums its
// rows, and the sums are combined by length, so the result does not depend on the grid.

#include <cstddef>
#include <cstdint>
#include <span>

#include "convoy/communicator.hpp"

namespace convoy::io {

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t crc = 0);
inline std::uint32_t crc32c(std::span<const double> values, std::uint32_t crc = 0) {
    return crc32c(std::as_bytes(values), crc);
}
// CRC of A followed by B, from crc(A), crc(B) and B's length in bytes.
std::uint32_t crc32c_combine(std::uint32_t crc_a, std::uint32_t crc_b, std::uint64_t length_b);
// The CRC of all ranks' pieces in the order of their offsets (any unit), on all ranks. Pieces do not overlap; empty
// ones may lie anywhere. Collective.
std::uint32_t crc32c_of_all(const Communicator& comm, std::uint32_t mine, std::int64_t length, std::int64_t offset);

}  // namespace convoy::io
