#pragma once
// What was done with both clouds of a result before it was solved, read back.

#include <cstdint>
#include <optional>
#include <string>

#include "convoy/communicator.hpp"
#include "convoy/features.hpp"

namespace convoy::io {

// CRC-32C of all numbers that change a point.
std::uint32_t checksum_of(const Features& features);

// Of a complete result, on all ranks; nothing if it has none. \throws InputError where they are damaged. Collective.
std::optional<Features> read_features(const Communicator& world, const std::string& path);

}  // namespace convoy::io
