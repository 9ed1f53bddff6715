#pragma once
// The lines of a text file, gzipped or not, one after the other in bounded memory.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/reader.hpp"

struct gzFile_s;

namespace convoy::io {

class TextLines {
 public:
    explicit TextLines(const Location& location);
    ~TextLines();
    TextLines(TextLines&& from) noexcept;
    TextLines& operator=(TextLines&&) = delete;

    // The next line without its end (LF or CRLF), valid until the next call; nothing at the end of the file.
    std::optional<std::string_view> next();
    // Number of the line that next() gave last, from 1.
    std::int64_t number() const { return number_; }

 private:
    bool fill();

    Location location_;
    gzFile_s* file_ = nullptr;
    std::vector<char> buffer_;
    std::size_t at_ = 0, end_ = 0;
    std::string carried_;  // the beginning of a line that the buffer's end cut
    std::int64_t number_ = 0;
};

}  // namespace convoy::io
