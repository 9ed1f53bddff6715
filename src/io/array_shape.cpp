#include "io/array_shape.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>

#include "io/input_error.hpp"

namespace convoy::io {

namespace {

constexpr std::int64_t most_channels = 4;

std::optional<ImageShape> image_of(const std::vector<std::int64_t>& extents) {
    if (extents.size() == 3) return ImageShape{extents[1], extents[2], 1, false};
    if (extents.size() != 4) return std::nullopt;
    if (extents[3] <= most_channels) return ImageShape{extents[1], extents[2], extents[3], false};
    if (extents[1] <= most_channels) return ImageShape{extents[2], extents[3], extents[1], extents[1] > 1};
    return std::nullopt;
}

}  // namespace

std::string in_words(const std::vector<std::int64_t>& extents) {
    return fmt::format("{}", fmt::join(extents, " x "));
}

ArrayShape array_shape(const Location& location, const std::vector<std::int64_t>& extents, const std::string& remedy) {
    const std::size_t dimensions = extents.size();
    if (dimensions == 0 || dimensions > 4)
        refuse(location, fmt::format("the array has {} dimensions", dimensions), "need 2: points x features", remedy);
    if (std::ranges::find(extents, 0) != extents.end())
        refuse(location, "the array is empty", dimensions == 1 ? "0 numbers" : in_words(extents), "write it again");
    // Below this, sizes in bytes are numbers, too.
    std::int64_t numbers = std::numeric_limits<std::int64_t>::max() / 16;
    for (const std::int64_t extent : extents) {
        if (extent < 0 || extent > numbers)
            refuse(location, "the array is too large", in_words(extents),
                   "the header seems damaged: copy or write it again");
        numbers /= extent;
    }
    if (dimensions == 3 && extents[2] <= most_channels)
        refuse(location, "the array has 3 dimensions",
               fmt::format("need 2: points x features; {} is one picture in colour, or images {} wide",
                           in_words(extents), extents[2]),
               remedy);
    ArrayShape shape{extents[0], 1, dimensions == 1, image_of(extents)};
    for (std::size_t k = 1; k < dimensions; ++k) shape.columns *= extents[k];
    return shape;
}

void expect_size(const Location& location, const std::vector<std::int64_t>& extents, const ArrayShape& shape,
                 const NumberType& type, std::int64_t at, std::int64_t bytes) {
    const std::int64_t needed = at + shape.numbers() * type.size;
    const std::string sizes =
        fmt::format("{} numbers of {} bytes need {} bytes, it has {}", in_words(extents), type.size, needed, bytes);
    if (bytes < needed) refuse(location, "the file is truncated", sizes, "copy or write it again");
    if (bytes > needed)
        refuse(location, fmt::format("{} bytes follow the array", bytes - needed), sizes, "write one array a file");
}

}  // namespace convoy::io
