#pragma once
// Opening files of ours that somebody gives back to us, and reading their large datasets, checked.

#include <cstdint>
#include <string>
#include <vector>

#include "io/hdf5_handles.hpp"
#include "io/reader.hpp"

namespace convoy::io {

// Any file of Convoy's; `format` is what it says it is. \throws InputError
Hdf5 open_convoy_file(const Location& location, std::string& format);
// One of this format, of a version that this program reads, complete. \throws InputError
Hdf5 open_complete_file(const Location& location, std::string_view format, std::int64_t newest_version);

// The checksum that is stored with a dataset. \throws InputError
std::uint32_t checksum_of(const Location& location, hid_t dataset, const std::string& path);

// This rank's part of a dataset of fp64 rows: every rank reads its stripe, which must be finite; ranks that share the
// part exchange them. The checksum of the whole must be the given one. Collective; the same InputError on all ranks.
std::vector<double> read_rows(const Grid& grid, Side side, const Partition& partition, const Location& location,
                              std::int64_t width, std::uint32_t checksum);
// This rank's stripe alone, likewise checked.
std::vector<double> read_stripe(const Grid& grid, Side side, const Partition& partition, const Location& location,
                                std::int64_t width, std::uint32_t checksum);

}  // namespace convoy::io
