// IDX, the format of MNIST: two zero bytes, the type, the number of dimensions, the extents as big-endian 32-bit
// numbers, then the numbers themselves, big-endian, too.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "io/array_reader.hpp"
#include "io/formats.hpp"
#include "io/input_error.hpp"
#include "io/streamed_array.hpp"

namespace convoy::io {

namespace {

constexpr std::string_view again = "copy or write it again";
constexpr std::size_t longest_head = 4 + 4 * 4;  // of what can be a matrix

struct IdxHeader {
    NumberType type;
    std::vector<std::int64_t> extents;
    std::int64_t bytes() const { return static_cast<std::int64_t>(4 + 4 * extents.size()); }
};

std::int64_t big_endian(const char* at) {
    std::int64_t value = 0;
    for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(at[i]);
    return value;
}

// \param head the first bytes of the file, unpacked
IdxHeader parse_header(const Location& location, std::string_view head) {
    struct Type {
        char code;
        NumberType type;
    };
    static constexpr std::array types{
        Type{0x08, {'u', 1, true}}, Type{0x09, {'i', 1, true}}, Type{0x0B, {'i', 2, true}},
        Type{0x0C, {'i', 4, true}}, Type{0x0D, {'f', 4, true}}, Type{0x0E, {'f', 8, true}},
    };
    if (head.size() < 4 || head[0] != 0 || head[1] != 0)
        refuse(location, "it is no IDX file", "the first bytes differ", std::string{again});
    const auto found = std::ranges::find_if(types, [&](const Type& t) { return t.code == head[2]; });
    if (found == types.end())
        refuse(location, fmt::format("its type {} is not known", int{static_cast<unsigned char>(head[2])}),
               "damaged, or no IDX file", std::string{again});
    const int dimensions = static_cast<unsigned char>(head[3]);
    if (dimensions < 1 || dimensions > 4)
        refuse(location, fmt::format("the array has {} dimensions", dimensions), "need 1 to 4: images, rows, columns",
               std::string{again});
    IdxHeader header{found->type, {}};
    if (static_cast<std::int64_t>(head.size()) < 4 + 4 * dimensions)
        refuse(location, "the file is truncated", "within its header", std::string{again});
    for (int k = 0; k < dimensions; ++k) header.extents.push_back(big_endian(head.data() + 4 + 4 * k));
    return header;
}

// All arrays of three dimensions are images here, however narrow.
ArrayShape shape_of(const Location& location, const IdxHeader& header) {
    const std::vector<std::int64_t>& extents = header.extents;
    if (extents.size() != 3) return array_shape(location, extents, "");
    ArrayShape shape = array_shape(location, {extents[0], extents[1], extents[2], 1}, "");
    return shape;
}

std::unique_ptr<Reader> open_packed(const Location& location) {
    auto stream = open_gzip(location);
    std::string head(longest_head, '\0');
    // The extents say how long the header is, and what follows it cannot be put back.
    const std::int64_t begun = stream->read(head.data(), 4);
    const auto more = begun == 4 ? std::min<std::int64_t>(4 * static_cast<unsigned char>(head[3]), 16) : 0;
    const std::int64_t got = begun + stream->read(head.data() + 4, more);
    const IdxHeader header = parse_header(location, std::string_view{head}.substr(0, static_cast<std::size_t>(got)));
    const ArrayShape shape = shape_of(location, header);
    const std::int64_t packed = ByteFile{location}.size();
    if (shape.numbers() * header.type.size > packed * largest_expansion)
        refuse(location, "the array is too large",
               fmt::format("{} numbers cannot be in {} packed bytes", in_words(header.extents), packed),
               "the file is damaged: copy it again");
    return open_streamed_array(location, std::move(stream), {header.type, shape, "array"});
}

}  // namespace

std::unique_ptr<Reader> open_idx(const Location& location) {
    if (!location.key.empty())
        refuse(location, fmt::format("an IDX file holds one array and no '{}'", location.key), "",
               fmt::format("leave out '#{}'", location.key));
    if (location.path.ends_with(".gz") || location.path.ends_with(".GZ")) return open_packed(location);
    ByteFile file{location};
    std::string head(std::min(longest_head, static_cast<std::size_t>(file.size())), '\0');
    file.read(0, head.data(), std::ssize(head));
    const IdxHeader header = parse_header(location, head);
    const ArrayShape shape = shape_of(location, header);
    expect_size(location, header.extents, shape, header.type, header.bytes(), file.size());
    return open_array(std::move(file), {header.type, shape, header.bytes()});
}

}  // namespace convoy::io
