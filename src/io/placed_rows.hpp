#pragma once
// The second phase of our files: every rank writes its rows where they belong, with plain writes, since a portion that
// fails must not leave ranks waiting in HDF5.

#include <cstdint>
#include <span>
#include <string>

#include "io/hdf5_handles.hpp"

namespace convoy::io {

// Where a contiguous dataset's numbers begin in its file. \throws FatalFailure
std::int64_t offset_of(const std::string& out, hid_t dataset);

// All of it at this place, or a Failure that names `out`.
void write_at(const std::string& out, int file, std::int64_t offset, std::span<const std::byte> bytes);

}  // namespace convoy::io
