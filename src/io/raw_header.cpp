#include "io/raw_header.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "io/input_error.hpp"

namespace convoy::io {

namespace {

std::optional<std::int64_t> whole_number(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < 0) return std::nullopt;
    return value;
}

}  // namespace

RawHeader parse_raw_header(const Location& location) {
    const auto remedy = [&] {
        return fmt::format("say what its numbers are, like: {}#{}", location.path, raw_example);
    };
    const std::string_view key = location.key;
    if (key.empty())
        refuse(location, "it is not said what the file holds", "it has no header: need a type and a shape", remedy());
    const auto colon = key.find(':');
    if (colon == std::string_view::npos)
        refuse(location, fmt::format("'{}' is no type and shape", key), "need TYPE:ROWSxCOLUMNS or TYPE:COLUMNS",
               remedy());
    const std::optional<NumberType> type = NumberType::parse(key.substr(0, colon));
    if (!type)
        refuse(
            location, fmt::format("'{}' is no type of numbers", key.substr(0, colon)),
            "need float64, float32, float16, bfloat16, int8 to int64, uint8 to uint64 or bool; big-endian: float32be",
            remedy());
    RawHeader header{*type, {}, 0};
    std::string_view shape = key.substr(colon + 1);
    if (const auto at = shape.find('@'); at != std::string_view::npos) {
        const auto skipped = whole_number(shape.substr(at + 1));
        if (!skipped)
            refuse(location, fmt::format("'{}' is no number of bytes to skip", shape.substr(at + 1)), "", remedy());
        header.skipped = *skipped;
        shape = shape.substr(0, at);
    }
    for (std::size_t at = 0; at <= shape.size();) {
        const std::size_t end = std::min(shape.find('x', at), shape.size());
        const auto extent = whole_number(shape.substr(at, end - at));
        if (!extent || *extent == 0)
            refuse(location, fmt::format("'{}' is no shape", shape), "need ROWSxCOLUMNS, or COLUMNS alone", remedy());
        header.extents.push_back(*extent);
        at = end + 1;
    }
    if (header.extents.size() == 1) header.extents.insert(header.extents.begin(), 0);
    return header;
}

}  // namespace convoy::io
