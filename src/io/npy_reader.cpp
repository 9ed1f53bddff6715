// NumPy's .npy: a short text header, then the numbers as they lie in memory.

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "convoy/error.hpp"
#include "io/file_handle.hpp"
#include "io/formats.hpp"
#include "io/input_error.hpp"
#include "io/npy_header.hpp"

namespace convoy::io {

namespace {

constexpr std::int64_t longest_header = std::int64_t{1} << 20;
constexpr std::int64_t buffer_bytes = std::int64_t{4} << 20;

double half_to_double(std::uint16_t bits) {
    const int exponent = (bits >> 10) & 31;
    const int fraction = bits & 1023;
    double value = 0;
    if (exponent == 0) {
        value = std::ldexp(fraction, -24);
    } else if (exponent == 31) {
        value = fraction == 0 ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
    } else {
        value = std::ldexp(1024 + fraction, exponent - 25);
    }
    return (bits & 0x8000) != 0 ? -value : value;
}

struct Half {
    std::uint16_t bits;
    explicit operator double() const { return half_to_double(bits); }
};

template <class T>
void convert(const char* raw, std::int64_t count, bool swap, std::int64_t stride, double* out) {
    for (std::int64_t i = 0; i < count; ++i) {
        char bytes[sizeof(T)];
        std::memcpy(bytes, raw + i * static_cast<std::int64_t>(sizeof(T)), sizeof(T));
        if (swap) std::reverse(bytes, bytes + sizeof(T));
        T number;
        std::memcpy(&number, bytes, sizeof(T));
        out[i * stride] = static_cast<double>(number);
    }
}

using Convert = void (*)(const char*, std::int64_t, bool, std::int64_t, double*);

Convert converter(const NpyHeader& header) {
    switch (header.kind) {
        case 'f':
            return header.size == 2 ? convert<Half> : header.size == 4 ? convert<float> : convert<double>;
        case 'i':
            return header.size == 1   ? convert<std::int8_t>
                   : header.size == 2 ? convert<std::int16_t>
                   : header.size == 4 ? convert<std::int32_t>
                                      : convert<std::int64_t>;
        default:
            return header.size == 1   ? convert<std::uint8_t>
                   : header.size == 2 ? convert<std::uint16_t>
                   : header.size == 4 ? convert<std::uint32_t>
                                      : convert<std::uint64_t>;
    }
}

class NpyReader final : public Reader {
 public:
    explicit NpyReader(const Location& location) : location_{location} {
        if (!location.key.empty())
            refuse(location, fmt::format("a .npy file holds one array and no '{}'", location.key), "",
                   fmt::format("leave out '#{}'", location.key));
        file_ = FileHandle{::open(location.path.c_str(), O_RDONLY | O_CLOEXEC)};
        struct stat status {};
        if (!file_ || ::fstat(file_.get(), &status) != 0)
            refuse(location, std::strerror(errno), "", "check the file and its permissions");

        std::string head(static_cast<std::size_t>(std::min<std::int64_t>(status.st_size, longest_header)), '\0');
        read_bytes(0, head.data(), static_cast<std::int64_t>(head.size()));
        header_ = parse_npy_header(location, head);
        convert_ = converter(header_);
        check_shape(status.st_size);
    }

    std::int64_t rows() const override { return rows_; }
    std::int64_t columns() const override { return columns_; }
    bool is_vector() const override { return header_.shape.size() == 1; }
    std::string place() const override { return "array"; }

    void read(std::int64_t first, std::int64_t count, std::span<double> out) override {
        CONVOY_EXPECT(first >= 0 && first + count <= rows_);
        CONVOY_EXPECT(static_cast<std::int64_t>(out.size()) == count * columns_);
        if (header_.columns_first) {
            for (std::int64_t j = 0; j < columns_; ++j) read_numbers(j * rows_ + first, count, columns_, &out[j]);
        } else {
            read_numbers(first * columns_, count * columns_, 1, out.data());
        }
    }

 private:
    void check_shape(std::int64_t file_bytes) {
        const auto& shape = header_.shape;
        if (shape.empty() || shape.size() > 2)
            refuse(location_, fmt::format("the array has {} dimensions", shape.size()), "need 2: points x features",
                   "reshape it: numpy.save(path, a.reshape(len(a), -1))");
        rows_ = shape[0];
        columns_ = shape.size() == 2 ? shape[1] : 1;
        if (rows_ == 0 || columns_ == 0)
            refuse(location_, "the array is empty", fmt::format("{} x {}", rows_, columns_), "write it again");
        if (rows_ > std::numeric_limits<std::int64_t>::max() / 16 / columns_)
            refuse(location_, "the array is too large", fmt::format("{} x {}", rows_, columns_),
                   "the header seems damaged: write it again");
        const std::int64_t needed = header_.data_at + rows_ * columns_ * header_.size;
        if (file_bytes < needed)
            refuse(location_, "the file is truncated",
                   fmt::format("{} x {} numbers need {} bytes, it has {}", rows_, columns_, needed, file_bytes),
                   "copy or write it again");
        if (file_bytes > needed)
            refuse(location_, fmt::format("{} bytes follow the array", file_bytes - needed),
                   fmt::format("{} x {} numbers need {} bytes, it has {}", rows_, columns_, needed, file_bytes),
                   "write one array a file");
    }

    // `count` numbers from number `first` of the file on, to out[0], out[stride], ...
    void read_numbers(std::int64_t first, std::int64_t count, std::int64_t stride, double* out) {
        const std::int64_t step = buffer_bytes / header_.size;
        std::string raw(static_cast<std::size_t>(std::min(count, step) * header_.size), '\0');
        for (std::int64_t at = 0; at < count; at += step) {
            const std::int64_t numbers = std::min(step, count - at);
            read_bytes(header_.data_at + (first + at) * header_.size, raw.data(), numbers * header_.size);
            convert_(raw.data(), numbers, header_.big_endian, stride, out + at * stride);
        }
    }

    void read_bytes(std::int64_t offset, char* out, std::int64_t count) {
        for (std::int64_t done = 0; done < count;) {
            const ssize_t got = ::pread(file_.get(), out + done, static_cast<std::size_t>(count - done), offset + done);
            if (got < 0 && errno == EINTR) continue;
            if (got < 0)
                throw Failure{fmt::format("reading '{}' failed ({} at byte {}); check the disk", location_.name(),
                                          std::strerror(errno), offset + done)};
            if (got == 0)
                refuse(location_, "the file is truncated", fmt::format("it ended at byte {} while read", offset + done),
                       "do not change inputs during a run");
            done += got;
        }
    }

    Location location_;
    FileHandle file_;
    NpyHeader header_;
    Convert convert_ = nullptr;
    std::int64_t rows_ = 0, columns_ = 0;
};

}  // namespace

std::unique_ptr<Reader> open_npy(const Location& location) {
    return std::make_unique<NpyReader>(location);
}

}  // namespace convoy::io
