// Numbers without a header: the key says what they are.

#include <fmt/format.h>

#include <limits>
#include <utility>

#include "io/array_reader.hpp"
#include "io/formats.hpp"
#include "io/input_error.hpp"
#include "io/raw_header.hpp"

namespace convoy::io {

std::unique_ptr<Reader> open_raw(const Location& location) {
    RawHeader header = parse_raw_header(location);
    ByteFile file{location};
    if (header.skipped > file.size())
        refuse(location, fmt::format("{} bytes cannot be skipped", header.skipped),
               fmt::format("the file has {}", file.size()), "give a smaller number behind the @");
    if (header.extents[0] == 0) {
        const std::int64_t columns = header.extents[1], size = header.type.size;
        const std::int64_t bytes = file.size() - header.skipped;
        if (columns > std::numeric_limits<std::int64_t>::max() / 16 || bytes % (columns * size) != 0 || bytes == 0)
            refuse(location, fmt::format("the file holds no whole number of rows of {}", columns),
                   fmt::format("{} bytes, {} a row", bytes, fmt::format("{} x {}", columns, size)),
                   "check type and columns");
        header.extents[0] = bytes / (columns * size);
    }
    ArrayLayout layout;
    layout.type = header.type;
    layout.shape = array_shape(location, header.extents, "give ROWSxCOLUMNS");
    expect_size(location, header.extents, layout.shape, header.type, header.skipped, file.size());
    layout.shape.vector = layout.shape.columns == 1;
    layout.at = header.skipped;
    layout.place = "file";
    return open_array(std::move(file), std::move(layout));
}

std::unique_ptr<Reader> open_binary(const Location& location) {
    return location.key.find(':') == std::string::npos ? open_cifar(location) : open_raw(location);
}

}  // namespace convoy::io
