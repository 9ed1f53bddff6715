#pragma once
// LZF, the small compressor that h5py calls 'lzf' (format of Marc Lehmann's liblzf): decoding only.

#include <cstddef>
#include <span>

namespace convoy::io {

// Fills `out` to its last byte from the whole of `in`. False if `in` is no such stream; `out` is garbage then.
bool decode_lzf(std::span<const std::byte> in, std::span<std::byte> out);

// How long the decoded stream is, as far as its lengths say; 0 if it ends too early.
std::size_t length_of_lzf(std::span<const std::byte> in);

}  // namespace convoy::io
