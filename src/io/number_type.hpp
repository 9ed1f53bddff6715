#pragma once
// Numbers as they lie in files: their types, and how they become fp64.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace convoy::io {

struct NumberType {
    // f: IEEE floating point; e: bfloat16, the upper half of an fp32; i, u: integers; b: a byte that is 0 or not.
    char kind = 'f';
    int size = 8;  // bytes of a number
    bool big_endian = false;

    std::string name() const;  // float64, bfloat16, uint8, int32be

    // By its name (`float32`, `bfloat16`, `uint8`) or NumPy's code (`f4`, `u1`); big-endian as `float32be`, `>f4`.
    static std::optional<NumberType> parse(std::string_view text);
};

// `count` numbers from `raw`, without gaps, to out[0], out[stride], ... Integers beyond 2^53 are rounded.
using Convert = void (*)(const char* raw, std::int64_t count, std::int64_t stride, double* out);
Convert converter(const NumberType& type);

}  // namespace convoy::io
