// safetensors: the length of a JSON header, the header (type, shape and place of each tensor), then the numbers,
// little-endian, row-major.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "io/array_reader.hpp"
#include "io/formats.hpp"
#include "io/input_error.hpp"

namespace convoy::io {

namespace {

using Json = nlohmann::json;

constexpr std::int64_t longest_header = std::int64_t{16} << 20;
constexpr std::size_t most_listed = 12;

[[noreturn]] void damaged(const Location& location, const std::string& why) {
    refuse(location, "it is no safetensors file, or damaged", why, "copy or write it again");
}

std::int64_t little_endian(const char* bytes) {
    std::uint64_t value = 0;
    for (int i = 7; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
    return value > static_cast<std::uint64_t>(longest_header) ? longest_header + 1 : static_cast<std::int64_t>(value);
}

// A list of whole numbers that fit, nothing if it is something else.
std::optional<std::vector<std::int64_t>> whole_numbers(const Json& tensor, const char* name) {
    const auto list = tensor.find(name);
    if (list == tensor.end() || !list->is_array()) return std::nullopt;
    std::vector<std::int64_t> numbers;
    for (const Json& item : *list) {
        if (!item.is_number_unsigned() || item.get<std::uint64_t>() > std::uint64_t{1} << 62) return std::nullopt;
        numbers.push_back(static_cast<std::int64_t>(item.get<std::uint64_t>()));
    }
    return numbers;
}

std::optional<NumberType> type_of(const std::string& name) {
    if (name == "BF16") return NumberType{'e', 2, false};
    if (name == "BOOL") return NumberType{'b', 1, false};
    if (name.empty()) return std::nullopt;
    const char kind = static_cast<char>(name[0] - 'A' + 'a');
    for (const int size : {1, 2, 4, 8})
        if (name.substr(1) == std::to_string(8 * size) && (kind == 'i' || kind == 'u' || (kind == 'f' && size > 1)))
            return NumberType{kind, size, false};
    return std::nullopt;
}

bool is_tensor(const std::string& name, const Json& value) {
    return name != "__metadata__" && value.is_object();
}

// "its tensors: encoder (1000 x 50 F32), ..."
std::string list_of(const Json& header) {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : header.items()) {
        if (!is_tensor(name, tensor)) continue;
        const auto extents = whole_numbers(tensor, "shape");
        const auto type = tensor.find("dtype");
        names.push_back(fmt::format("{} ({} {})", name, extents ? in_words(*extents) : "?",
                                    type != tensor.end() && type->is_string() ? type->get<std::string>() : "?"));
    }
    if (names.empty()) return "it holds none";
    const bool long_list = names.size() > most_listed;
    if (long_list) names.resize(most_listed);
    return fmt::format("its tensors: {}{}", fmt::join(names, ", "), long_list ? ", ..." : "");
}

// All of the file has to be there, not this tensor alone: another rank's or another run's may be missing.
void expect_whole(const Location& location, const Json& header, std::int64_t data) {
    for (const auto& [name, tensor] : header.items()) {
        if (!is_tensor(name, tensor)) continue;
        const auto offsets = whole_numbers(tensor, "data_offsets");
        if (!offsets || offsets->size() != 2) damaged(location, fmt::format("tensor '{}' has no place", name));
        if ((*offsets)[0] > (*offsets)[1] || (*offsets)[1] > data)
            refuse(location, "the file is truncated",
                   fmt::format("tensor '{}' is at bytes {} to {} of {}", name, (*offsets)[0], (*offsets)[1], data),
                   "copy or write it again");
    }
}

std::string first_name(const Json& header) {
    for (const auto& [name, tensor] : header.items())
        if (is_tensor(name, tensor)) return name;
    return "NAME";
}

// The tensor that the key names; without one, the only tensor.
std::string choose(const Location& location, const Json& header) {
    if (location.key.empty()) {
        int tensors = 0;
        for (const auto& [name, tensor] : header.items()) tensors += is_tensor(name, tensor) ? 1 : 0;
        if (tensors == 1) return first_name(header);
        refuse(location, "no tensor is named", list_of(header),
               fmt::format("name one, like: {}#{}", location.path, first_name(header)));
    }
    const auto found = header.find(location.key);
    if (found == header.end() || !is_tensor(location.key, *found))
        refuse(location, fmt::format("it has no tensor '{}'", location.key), list_of(header),
               fmt::format("name one, like: {}#{}", location.path, first_name(header)));
    return location.key;
}

Json read_header(const ByteFile& file, std::int64_t& data_at) {
    const Location& location = file.location();
    char length_bytes[8];
    if (file.size() < 8) damaged(location, fmt::format("{} bytes", file.size()));
    file.read(0, length_bytes, 8);
    const std::int64_t length = little_endian(length_bytes);
    if (length > longest_header || length > file.size() - 8)
        damaged(location,
                fmt::format("its header would be longer than {}", length > longest_header ? "16 MiB" : "the file"));
    std::string text(static_cast<std::size_t>(length), '\0');
    file.read(8, text.data(), length);
    // What lies deeper than a tensor's lists is dropped while it is read: nesting costs far more memory than text.
    const auto shallow = [](int depth, Json::parse_event_t, Json&) { return depth <= 3; };
    Json header = Json::parse(text, shallow, false);
    if (!header.is_object()) damaged(location, "its header is no JSON object");
    data_at = 8 + length;
    return header;
}

}  // namespace

std::unique_ptr<Reader> open_safetensors(const Location& location) {
    ByteFile file{location};
    std::int64_t data_at = 0;
    const Json header = read_header(file, data_at);
    const std::string name = choose(location, header);
    const Json& tensor = header[name];
    const auto dtype = tensor.find("dtype");
    const std::string type_name = dtype != tensor.end() && dtype->is_string() ? dtype->get<std::string>() : "nothing";
    const std::optional<NumberType> type = type_of(type_name);
    if (!type)
        refuse(location, fmt::format("tensor '{}' holds {}", name, type_name),
               "need F64, F32, F16, BF16, I8 to I64, U8 to U64 or BOOL", "convert it");
    expect_whole(location, header, file.size() - data_at);
    const auto extents = whole_numbers(tensor, "shape"), offsets = whole_numbers(tensor, "data_offsets");
    if (!extents) damaged(location, fmt::format("tensor '{}' has no shape", name));
    ArrayLayout layout;
    layout.type = *type;
    layout.shape = array_shape(location, *extents, "reshape the tensor and write it again");
    layout.place = fmt::format("tensor '{}'", name);
    const std::int64_t begin = (*offsets)[0], end = (*offsets)[1];
    if (end - begin != layout.shape.numbers() * type->size)
        damaged(location, fmt::format("tensor '{}' is {} numbers of {} bytes and has {} bytes", name,
                                      in_words(*extents), type->size, end - begin));
    layout.at = data_at + begin;
    return open_array(std::move(file), std::move(layout));
}

}  // namespace convoy::io
