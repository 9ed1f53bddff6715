// Chunks of any bytes: LZF alone, and what stands in a file under each set of filters. They decode exactly, or say why
// not.

#include <hdf5.h>

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <vector>

#include "io/hdf5_chunks.hpp"
#include "io/hdf5_handles.hpp"
#include "io/lzf.hpp"

namespace {

using convoy::io::ChunkDecoder;
using convoy::io::Hdf5;

// The bits of `filters` say which there are, in the order of writing.
std::optional<ChunkDecoder> decoder_of(unsigned filters) {
    const Hdf5 creation{H5Pcreate(H5P_DATASET_CREATE), H5Pclose};
    const hsize_t chunk = 16;
    H5Pset_chunk(creation.get(), 1, &chunk);
    if ((filters & 1) != 0) H5Pset_fletcher32(creation.get());
    if ((filters & 2) != 0) {
        const unsigned element = 1 + (filters >> 5);
        H5Pset_filter(creation.get(), H5Z_FILTER_SHUFFLE, H5Z_FLAG_OPTIONAL, 1, &element);
    }
    if ((filters & 4) != 0) H5Pset_filter(creation.get(), 32000, H5Z_FLAG_OPTIONAL, 0, nullptr);
    if ((filters & 8) != 0) H5Pset_deflate(creation.get(), 4);
    if ((filters & 16) != 0) H5Pset_fletcher32(creation.get());
    return ChunkDecoder::of(creation.get());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    convoy::io::prepare_hdf5();
    if (size < 4) return 0;
    const std::size_t length = data[0] | std::size_t{data[1]} << 8;
    const unsigned filters = data[2], skipped = data[3];
    const auto* bytes = reinterpret_cast<const std::byte*>(data + 4);
    std::vector<std::byte> stored(bytes, bytes + size - 4), out(length);

    if (convoy::io::decode_lzf(stored, out) && convoy::io::length_of_lzf(stored) != length) std::abort();
    // What a stream says of its length is right, whatever it holds.
    const std::size_t said = convoy::io::length_of_lzf(stored);
    if (said != 0 && said < (std::size_t{1} << 20)) {
        std::vector<std::byte> exact(said), longer(said + 1);
        convoy::io::decode_lzf(stored, exact);
        if (convoy::io::decode_lzf(stored, longer)) std::abort();
    }
    if (const auto decoder = decoder_of(filters)) decoder->decode(stored, skipped, out);
    return 0;
}
