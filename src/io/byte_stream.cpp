#include "io/byte_stream.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "convoy/error.hpp"
#include "io/input_error.hpp"

namespace convoy::io {

namespace {

constexpr std::int64_t buffer_bytes = std::int64_t{1} << 18;

class GzipStream final : public ByteStream {
 public:
    explicit GzipStream(const Location& location) : location_{location}, file_{gzopen(location.path.c_str(), "rbe")} {
        if (file_ == nullptr) refuse(location, std::strerror(errno), "", "check the file and its permissions");
        gzbuffer(file_, static_cast<unsigned>(buffer_bytes));
    }
    ~GzipStream() override { gzclose_r(file_); }
    GzipStream(const GzipStream&) = delete;
    GzipStream& operator=(const GzipStream&) = delete;

    std::int64_t read(char* out, std::int64_t count) override {
        std::int64_t done = 0;
        while (done < count) {
            const auto wanted = static_cast<unsigned>(std::min(count - done, std::int64_t{1} << 30));
            const int got = gzread(file_, out + done, wanted);
            int code = Z_OK;
            const char* text = gzerror(file_, &code);
            if (code == Z_ERRNO)
                throw Failure{
                    fmt::format("reading '{}' failed ({}); check the disk", location_.name(), std::strerror(errno))};
            if (got < 0 || code == Z_DATA_ERROR || code == Z_BUF_ERROR)
                refuse(location_, code == Z_BUF_ERROR ? "the file is truncated" : "the file is damaged",
                       fmt::format("gzip: {}", code == Z_BUF_ERROR ? "unexpected end" : text),
                       "copy or write it again, test it with: gzip -t");
            if (got == 0) break;
            done += got;
        }
        return done;
    }

 private:
    Location location_;
    gzFile_s* file_;
};

class DeflatedStream final : public ByteStream {
 public:
    DeflatedStream(ByteFile file, const Deflated& piece)
        : file_{std::move(file)},
          piece_{piece},
          packed_(static_cast<std::size_t>(std::min(buffer_bytes, piece.packed))) {
        if (inflateInit2(&stream_, -MAX_WBITS) != Z_OK) throw Failure{"zlib has no memory; use more ranks or nodes"};
    }
    ~DeflatedStream() override { inflateEnd(&stream_); }
    DeflatedStream(const DeflatedStream&) = delete;
    DeflatedStream& operator=(const DeflatedStream&) = delete;

    std::int64_t read(char* out, std::int64_t count) override {
        std::int64_t done = 0;
        while (done < count && !ended_) {
            if (stream_.avail_in == 0) fill();
            const std::int64_t step = std::min(count - done, std::int64_t{1} << 30);
            stream_.next_out = reinterpret_cast<Bytef*>(out + done);
            stream_.avail_out = static_cast<uInt>(step);
            const int code = inflate(&stream_, Z_NO_FLUSH);
            const std::int64_t got = step - stream_.avail_out;
            crc_ = crc32(crc_, reinterpret_cast<const Bytef*>(out + done), static_cast<uInt>(got));
            done += got;
            given_ += got;
            if (code == Z_STREAM_END) {
                end();
            } else if (code == Z_BUF_ERROR && stream_.avail_in == 0 && taken_ == piece_.packed) {
                damaged("it ends early");
            } else if (code != Z_OK && code != Z_BUF_ERROR) {
                damaged(stream_.msg != nullptr ? stream_.msg : "no deflated stream");
            }
        }
        return done;
    }

 private:
    [[noreturn]] void damaged(const std::string& why) const {
        refuse(file_.location(), "the file is damaged", fmt::format("zip: {}", why),
               "copy or write it again, test it with: unzip -t");
    }

    void fill() {
        const std::int64_t count = std::min(static_cast<std::int64_t>(packed_.size()), piece_.packed - taken_);
        if (count == 0) return;
        file_.read(piece_.at + taken_, packed_.data(), count);
        taken_ += count;
        stream_.next_in = reinterpret_cast<Bytef*>(packed_.data());
        stream_.avail_in = static_cast<uInt>(count);
    }

    void end() {
        ended_ = true;
        if (given_ != piece_.bytes) damaged(fmt::format("{} bytes, {} are promised", given_, piece_.bytes));
        if (crc_ != piece_.crc) damaged("its checksum differs");
    }

    ByteFile file_;
    Deflated piece_;
    std::vector<char> packed_;
    z_stream stream_{};
    std::int64_t taken_ = 0, given_ = 0;
    uLong crc_ = 0;
    bool ended_ = false;
};

}  // namespace

std::unique_ptr<ByteStream> open_gzip(const Location& location) {
    return std::make_unique<GzipStream>(location);
}

std::unique_ptr<ByteStream> open_deflated(ByteFile file, const Deflated& piece) {
    return std::make_unique<DeflatedStream>(std::move(file), piece);
}

}  // namespace convoy::io
