#include "io/npy_header.hpp"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <string_view>

#include "io/input_error.hpp"

namespace convoy::io {

namespace {

constexpr std::string_view magic{"\x93NUMPY", 6};
constexpr std::string_view rewrite = "write it again with numpy.save";

// What follows `'name':` in the dictionary, blanks skipped; empty if it is not there.
std::string_view value_of(std::string_view dictionary, std::string_view name) {
    for (const char quote : {'\'', '"'}) {
        const std::string key = fmt::format("{}{}{}", quote, name, quote);
        const auto at = dictionary.find(key);
        if (at == std::string_view::npos) continue;
        const auto value = dictionary.find_first_not_of(" :", at + key.size());
        return value == std::string_view::npos ? std::string_view{} : dictionary.substr(value);
    }
    return {};
}

void parse_type(const Location& location, std::string_view value, NpyHeader& header) {
    if (!value.empty() && value.front() == '[')
        refuse(location, "the array has named fields", "need plain numbers",
               "save one field: numpy.save(path, a['x'])");
    std::string_view type;
    if (value.size() > 1) type = value.substr(1, value.find(value.front(), 1) - 1);
    const std::optional<NumberType> number = NumberType::parse(type);
    if (!number)
        refuse(location, fmt::format("the array holds '{}'", type), "need real numbers of at most 64 bits",
               "convert it: numpy.save(path, a.astype('f8'))");
    header.type = *number;
}

void parse_shape(const Location& location, std::string_view value, NpyHeader& header) {
    const auto end = value.find(')');
    if (value.empty() || value.front() != '(' || end == std::string_view::npos)
        refuse(location, "the header names no shape", "damaged file", std::string{rewrite});
    const std::string_view items = value.substr(1, end - 1);
    for (std::size_t at = items.find_first_not_of(" ,"); at != std::string_view::npos;) {
        std::int64_t extent = 0;
        const auto [next, error] = std::from_chars(items.data() + at, items.data() + items.size(), extent);
        if (error != std::errc{} || extent < 0)
            refuse(location, fmt::format("the header has the shape '({})'", items), "damaged file",
                   std::string{rewrite});
        header.shape.push_back(extent);
        at = items.find_first_not_of(" ,L", static_cast<std::size_t>(next - items.data()));
    }
}

}  // namespace

NpyHeader parse_npy_header(const Location& location, const std::string& head) {
    if (head.size() < 10 || !head.starts_with(magic))
        refuse(location, "it is no .npy file", "the first bytes differ", std::string{rewrite});
    const int major = static_cast<unsigned char>(head[6]);
    if (major < 1 || major > 3)
        refuse(location, fmt::format("its .npy version is {}", major), "versions 1 to 3 are known",
               std::string{rewrite});
    const std::size_t start = major == 1 ? 10 : 12;
    std::size_t length = 0;
    for (std::size_t i = start; i > 8; --i)
        length = (length << 8) | static_cast<unsigned char>(i <= head.size() ? head[i - 1] : 0);
    if (start + length > head.size())
        refuse(location, "the file is truncated",
               fmt::format("its header needs {} bytes, {} are there or allowed", start + length, head.size()),
               "copy or write it again");

    NpyHeader header;
    const std::string_view dictionary{head.data() + start, length};
    parse_type(location, value_of(dictionary, "descr"), header);
    const std::string_view order = value_of(dictionary, "fortran_order");
    if (!order.starts_with("True") && !order.starts_with("False"))
        refuse(location, "the header names no order of rows", "damaged file", std::string{rewrite});
    header.columns_first = order.starts_with("True");
    parse_shape(location, value_of(dictionary, "shape"), header);
    header.data_at = static_cast<std::int64_t>(start + length);
    return header;
}

ArrayLayout npy_layout(const Location& location, const NpyHeader& header, std::int64_t begin, std::int64_t bytes) {
    const char* const reshape = "reshape it: numpy.save(path, a.reshape(len(a), -1))";
    ArrayLayout layout;
    layout.type = header.type;
    layout.shape = array_shape(location, header.shape, reshape);
    if (header.columns_first && header.shape.size() > 2)
        refuse(location, fmt::format("the array has {} dimensions in Fortran order", header.shape.size()),
               "need 2: points x features", "write it in C order: numpy.save(path, numpy.ascontiguousarray(a))");
    expect_size(location, header.shape, layout.shape, header.type, header.data_at, bytes);
    layout.at = begin + header.data_at;
    layout.columns_first = header.columns_first;
    return layout;
}

}  // namespace convoy::io
