#pragma once
// What is in a zip archive (PKWARE's APPNOTE, with the 64-bit extensions), as far as NumPy writes them.

#include <cstdint>
#include <string>
#include <vector>

#include "io/byte_file.hpp"

namespace convoy::io {

struct ZipMember {
    std::string name;
    int method = 0;  // 0: stored, 8: deflated
    bool encrypted = false;
    std::uint32_t crc = 0;
    std::int64_t packed = 0, bytes = 0;  // its length in the file, and unpacked
    std::int64_t header_at = 0;          // its local header
};

// From the archive's end; every length is held against the file's. \throws InputError
std::vector<ZipMember> zip_members(const ByteFile& file);

// Where the member's bytes begin; all of them lie in the file. \throws InputError
std::int64_t data_of(const ByteFile& file, const ZipMember& member);

}  // namespace convoy::io
