#include "io/text_lines.hpp"
#include "convoy/error.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "io/input_error.hpp"

namespace convoy::io {

namespace {
constexpr std::size_t buffer_bytes = std::size_t{1} << 18;
constexpr std::size_t longest_line = std::size_t{1} << 26;
}  // namespace

// zlib reads plain text as it is.
TextLines::TextLines(const Location& location) : location_{location}, buffer_(buffer_bytes) {
    file_ = gzopen(location.path.c_str(), "rbe");
    if (file_ == nullptr) refuse(location, std::strerror(errno), "", "check the file and its permissions");
    gzbuffer(file_, static_cast<unsigned>(buffer_bytes));
}

TextLines::~TextLines() {
    if (file_ != nullptr) gzclose_r(file_);
}

TextLines::TextLines(TextLines&& from) noexcept
    : location_{std::move(from.location_)},
      file_{std::exchange(from.file_, nullptr)},
      buffer_{std::move(from.buffer_)},
      at_{from.at_},
      end_{from.end_},
      carried_{std::move(from.carried_)},
      number_{from.number_} {}

bool TextLines::fill() {
    const int got = gzread(file_, buffer_.data(), static_cast<unsigned>(buffer_.size()));
    int code = Z_OK;
    const char* text = gzerror(file_, &code);
    // A stream that ends early may still give bytes first; the error comes with them or with the next call.
    if (code == Z_ERRNO)
        throw Failure{fmt::format("reading '{}' failed ({} after line {}); check the disk", location_.name(),
                                  std::strerror(errno), number_)};
    if (got < 0 || code == Z_DATA_ERROR || code == Z_BUF_ERROR)
        refuse(location_, code == Z_BUF_ERROR ? "the file is truncated" : "the file is damaged",
               fmt::format("gzip: {} after line {}", code == Z_BUF_ERROR ? "unexpected end" : text, number_),
               "copy or write it again, test it with: gzip -t");
    at_ = 0;
    end_ = static_cast<std::size_t>(got);
    return got > 0;
}

std::optional<std::string_view> TextLines::next() {
    carried_.clear();
    std::string_view line;
    for (;;) {
        if (at_ == end_ && !fill()) {
            if (carried_.empty()) return std::nullopt;
            line = carried_;
            break;
        }
        const char* start = buffer_.data() + at_;
        const char* stop = static_cast<const char*>(std::memchr(start, '\n', end_ - at_));
        const std::size_t length = stop != nullptr ? static_cast<std::size_t>(stop - start) : end_ - at_;
        at_ += length + (stop != nullptr ? 1 : 0);
        if (stop != nullptr && carried_.empty()) {
            line = {start, length};
            break;
        }
        carried_.append(start, length);
        if (carried_.size() > longest_line)
            refuse(location_, fmt::format("line {} is longer than {} MiB", number_ + 1, longest_line >> 20),
                   "is it a text file?", "check the file");
        if (stop != nullptr) {
            line = carried_;
            break;
        }
    }
    ++number_;
    if (number_ == 1 && line.starts_with("\xEF\xBB\xBF")) line.remove_prefix(3);  // byte order mark
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

}  // namespace convoy::io
