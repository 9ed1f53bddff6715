#pragma once
// What a result file looks like, and its first phase: everything but the large datasets' numbers.

#include <span>
#include <string>
#include <vector>

#include "io/result.hpp"

namespace convoy::io {

// A dataset that all ranks write: a row of `width` numbers for each point of one side.
struct LargeDataset {
    std::string path;
    Side side;
    std::int64_t rows = 0, width = 1;  // of the whole; width 1: a vector
    std::span<const double> local;     // this rank's part
    bool matrix = false;
};

std::vector<LargeDataset> large_datasets(const DistributedCloud& source, const DistributedCloud& target,
                                         const Result& result);

// An upper bound of the file's length.
std::int64_t bytes_needed(const Result& result, const std::vector<LargeDataset>& large);

// Fills the (existing, empty) file `part`: groups, attributes, small datasets, and space for the large ones, which is
// reserved on the disk. One rank, serial driver. Throws Failure; FatalFailure where HDF5 itself could not write: it
// then holds a file that it cannot close, and crashes when MPI is finalized.
void lay_out_result(const std::string& out, const std::string& part, const Result& result,
                    const std::vector<LargeDataset>& large);

// Fills in the checksums, in the order of `large`, and the mark `complete`.
void mark_complete(const std::string& out, const std::string& part, const std::vector<LargeDataset>& large,
                   const std::vector<std::uint32_t>& checksums);

}  // namespace convoy::io
