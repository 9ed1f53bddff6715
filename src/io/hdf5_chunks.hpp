#pragma once
// Chunks of HDF5 datasets, decoded here: HDF5's own pipeline takes what a decoder gives for a whole chunk, and reads
// beyond it where a damaged file makes it shorter. Here a chunk is as long as it has to be, or an error.

#include <hdf5.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace convoy::io {

class ChunkDecoder {
 public:
    // For a dataset's creation properties: gzip, shuffle, LZF and Fletcher's checksum, in any order, one compressor at
    // most. Nothing where there is another filter.
    static std::optional<ChunkDecoder> of(hid_t creation);

    // No filters: what is stored is the chunk.
    bool plain() const { return steps_.empty(); }
    // What is stored becomes the chunk, to its last byte. `skipped` has a bit for each filter that was left out when
    // the chunk was written. Returns what is wrong with it; empty: nothing. `stored` is used up.
    std::string decode(std::vector<std::byte>& stored, std::uint32_t skipped, std::span<std::byte> chunk) const;

 private:
    enum class Kind { deflate, shuffle, fletcher32, lzf };
    struct Step {
        Kind kind;
        std::size_t element = 1;  // bytes of one, for shuffle; 0: not known
    };
    std::vector<Step> steps_;  // in the order of writing
};

}  // namespace convoy::io
