#include "io/number_type.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace convoy::io {

namespace {

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

struct Brain {
    std::uint16_t bits;
    explicit operator double() const { return std::bit_cast<float>(std::uint32_t{bits} << 16); }
};

struct Truth {
    std::uint8_t byte;
    explicit operator double() const { return byte != 0 ? 1 : 0; }
};

template <class T, bool swapped>
void convert(const char* raw, std::int64_t count, std::int64_t stride, double* out) {
    for (std::int64_t i = 0; i < count; ++i) {
        std::array<char, sizeof(T)> bytes;
        std::memcpy(bytes.data(), raw + i * static_cast<std::int64_t>(sizeof(T)), sizeof(T));
        if constexpr (swapped) std::ranges::reverse(bytes);
        out[i * stride] = static_cast<double>(std::bit_cast<T>(bytes));
    }
}

template <class T>
Convert in_order(const NumberType& type) {
    const bool here_big = std::endian::native == std::endian::big;
    return type.big_endian == here_big ? convert<T, false> : convert<T, true>;
}

struct Named {
    std::string_view name, code;
    char kind;
    int size;
};
constexpr std::array types{
    Named{"float64", "f8", 'f', 8}, Named{"float32", "f4", 'f', 4}, Named{"float16", "f2", 'f', 2},
    Named{"bfloat16", "", 'e', 2},  Named{"int64", "i8", 'i', 8},   Named{"int32", "i4", 'i', 4},
    Named{"int16", "i2", 'i', 2},   Named{"int8", "i1", 'i', 1},    Named{"uint64", "u8", 'u', 8},
    Named{"uint32", "u4", 'u', 4},  Named{"uint16", "u2", 'u', 2},  Named{"uint8", "u1", 'u', 1},
    Named{"bool", "b1", 'b', 1},
};

}  // namespace

std::string NumberType::name() const {
    const auto found = std::ranges::find_if(types, [&](const Named& t) { return t.kind == kind && t.size == size; });
    return fmt::format("{}{}", found == types.end() ? "?" : found->name, big_endian && size > 1 ? "be" : "");
}

std::optional<NumberType> NumberType::parse(std::string_view text) {
    NumberType type;
    const bool prefixed = !text.empty() && std::string_view{"<>|="}.find(text.front()) != std::string_view::npos;
    if (prefixed) {
        type.big_endian = text.front() == '>';
        text.remove_prefix(1);
    } else if (text.ends_with("be") || text.ends_with("le")) {
        type.big_endian = text.ends_with("be");
        text.remove_suffix(2);
    }
    const auto found = std::ranges::find_if(
        types, [&](const Named& t) { return t.name == text || (!t.code.empty() && t.code == text); });
    if (found == types.end()) return std::nullopt;
    type.kind = found->kind;
    type.size = found->size;
    return type;
}

Convert converter(const NumberType& type) {
    switch (type.kind) {
        case 'f':
            return type.size == 2   ? in_order<Half>(type)
                   : type.size == 4 ? in_order<float>(type)
                                    : in_order<double>(type);
        case 'e':
            return in_order<Brain>(type);
        case 'i':
            return type.size == 1   ? in_order<std::int8_t>(type)
                   : type.size == 2 ? in_order<std::int16_t>(type)
                   : type.size == 4 ? in_order<std::int32_t>(type)
                                    : in_order<std::int64_t>(type);
        case 'u':
            return type.size == 1   ? in_order<std::uint8_t>(type)
                   : type.size == 2 ? in_order<std::uint16_t>(type)
                   : type.size == 4 ? in_order<std::uint32_t>(type)
                                    : in_order<std::uint64_t>(type);
        default:
            return in_order<Truth>(type);
    }
}

}  // namespace convoy::io
