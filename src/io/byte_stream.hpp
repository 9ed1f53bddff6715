#pragma once
// Bytes that can only be read one after the other, since they are compressed.

#include <cstdint>
#include <memory>

#include "io/byte_file.hpp"

namespace convoy::io {

class ByteStream {
 public:
    virtual ~ByteStream() = default;
    // The next bytes: as many as asked for, fewer only at the end. \throws InputError where the file is damaged
    virtual std::int64_t read(char* out, std::int64_t count) = 0;
};

// zlib makes at most 1,032 bytes of one: a header that promises more lies.
constexpr std::int64_t largest_expansion = 1032;

// A gzipped file; one that is not compressed is read as it is.
std::unique_ptr<ByteStream> open_gzip(const Location& location);

// A piece of a file that is one deflated stream (RFC 1951) of `bytes` bytes when it is inflated, with this CRC-32.
struct Deflated {
    std::int64_t at = 0, packed = 0, bytes = 0;
    std::uint32_t crc = 0;
};
std::unique_ptr<ByteStream> open_deflated(ByteFile file, const Deflated& piece);

}  // namespace convoy::io
