#pragma once
// A last line in a file that says how long it is and what its bytes sum to. Whoever opens a sealed file knows that all
// of it is as it was written before any library looks into it; HDF5 takes no notice of what follows its own end.

#include <cstdint>
#include <functional>
#include <string>

#include "convoy/communicator.hpp"

namespace convoy::io {

// The checksum (CRC-32C) of a run of an open file's bytes, on all ranks; each rank reads a share. Collective.
// \param fail throws what is to be thrown on all ranks where bytes cannot be read
std::uint32_t checksum_of_bytes(const Communicator& world, int file, std::int64_t begin, std::int64_t bytes,
                                const std::function<void(const char* why)>& fail);

// Ends the part file of `out` with its seal; on disk afterwards. \throws Failure on all ranks. Collective.
void seal(const Communicator& world, const std::string& out, const std::string& part);

// \throws InputError on all ranks unless the file is sealed and unchanged since. Collective; ranks read a share each.
void expect_sealed(const Communicator& world, const std::string& path);

}  // namespace convoy::io
