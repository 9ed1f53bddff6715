#include "io/streamed_array.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "convoy/error.hpp"
#include "io/input_error.hpp"

namespace convoy::io {

namespace {

constexpr std::int64_t buffer_bytes = std::int64_t{1} << 20;

class StreamedArray final : public Reader {
 public:
    StreamedArray(const Location& location, std::unique_ptr<ByteStream> stream, StreamedLayout layout)
        : location_{location},
          stream_{std::move(stream)},
          layout_{std::move(layout)},
          convert_{converter(layout_.type)} {}

    std::int64_t rows() const override { return layout_.shape.rows; }
    std::int64_t columns() const override { return layout_.shape.columns; }
    bool is_vector() const override { return layout_.shape.vector; }
    bool sequential() const override { return true; }
    std::optional<ImageShape> image() const override { return layout_.shape.image; }
    std::string place() const override { return layout_.place; }

    void read(std::int64_t first, std::int64_t count, std::span<double> out) override {
        CONVOY_EXPECT(first >= next_ && first + count <= rows());
        CONVOY_EXPECT(static_cast<std::int64_t>(out.size()) == count * columns());
        numbers((first - next_) * columns(), nullptr);
        numbers(count * columns(), out.data());
        next_ = first + count;
        if (next_ < rows()) return;
        char more = 0;
        if (stream_->read(&more, 1) != 0)
            refuse(location_, "bytes follow the array", fmt::format("it has {} rows of {} numbers", rows(), columns()),
                   "write one array a file");
    }

 private:
    // The next ones; where `out` is null they are passed over.
    void numbers(std::int64_t count, double* out) {
        const std::int64_t size = layout_.type.size, step = buffer_bytes / size;
        buffer_.resize(static_cast<std::size_t>(std::min(count, step) * size));
        for (std::int64_t done = 0; done < count; done += step) {
            const std::int64_t some = std::min(step, count - done);
            if (stream_->read(buffer_.data(), some * size) != some * size)
                refuse(location_, "the file is truncated",
                       fmt::format("its header promises {} rows of {} numbers", rows(), columns()),
                       "copy or write it again");
            if (out != nullptr) convert_(buffer_.data(), some, 1, out + done);
        }
    }

    Location location_;
    std::unique_ptr<ByteStream> stream_;
    StreamedLayout layout_;
    Convert convert_;
    std::int64_t next_ = 0;  // the row that the stream stands at
    std::vector<char> buffer_;
};

}  // namespace

std::unique_ptr<Reader> open_streamed_array(const Location& location, std::unique_ptr<ByteStream> stream,
                                            StreamedLayout layout) {
    return std::make_unique<StreamedArray>(location, std::move(stream), std::move(layout));
}

}  // namespace convoy::io
