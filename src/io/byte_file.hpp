#pragma once
// The bytes of a file, any of them at any time.

#include <cstdint>

#include "io/file_handle.hpp"
#include "io/reader.hpp"

namespace convoy::io {

class ByteFile {
 public:
    // Opens it. \throws InputError
    explicit ByteFile(const Location& location);

    const Location& location() const { return location_; }
    // When it was opened. Headers are held against this before anything is allocated for what they promise.
    std::int64_t size() const { return size_; }
    // Bytes [offset, offset + count). \throws InputError where the file has become shorter, Failure where the disk
    // fails
    void read(std::int64_t offset, char* out, std::int64_t count) const;

 private:
    Location location_;
    FileHandle file_;
    std::int64_t size_ = 0;
};

}  // namespace convoy::io
