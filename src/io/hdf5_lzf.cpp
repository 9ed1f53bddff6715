// LZF for HDF5's own pipeline, where text is read: what lies elsewhere in the file, only HDF5 finds.

#include <hdf5.h>

#include <cstddef>
#include <span>

#include "io/hdf5_handles.hpp"
#include "io/lzf.hpp"

namespace convoy::io {

namespace {

constexpr H5Z_filter_t lzf = 32000;
constexpr std::size_t most_bytes = std::size_t{1} << 32;  // HDF5's limit for a chunk

// Decoding alone. Asked to pack, it says that nothing became smaller.
std::size_t filter(unsigned flags, std::size_t count, const unsigned* values, std::size_t bytes, std::size_t* room,
                   void** buffer) {
    if ((flags & H5Z_FLAG_REVERSE) == 0) return 0;
    static_cast<void>(count), static_cast<void>(values);
    const std::span in{static_cast<const std::byte*>(*buffer), bytes};
    const std::size_t length = length_of_lzf(in);
    if (length == 0 || length > most_bytes) return 0;
    void* decoded = H5allocate_memory(length, false);
    if (decoded == nullptr) return 0;
    if (!decode_lzf(in, {static_cast<std::byte*>(decoded), length})) {
        H5free_memory(decoded);
        return 0;
    }
    H5free_memory(*buffer);
    *buffer = decoded;
    *room = length;
    return length;
}

}  // namespace

void register_lzf() {
    static const H5Z_class2_t entry{H5Z_CLASS_T_VERS, lzf, 1, 1, "lzf", nullptr, nullptr, filter};
    H5Zregister(&entry);
}

}  // namespace convoy::io
