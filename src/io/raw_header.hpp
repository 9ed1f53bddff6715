#pragma once
// What a file without a header holds, said in the key: TYPE:SHAPE[@BYTES].

#include <cstdint>
#include <string>
#include <vector>

#include "io/number_type.hpp"
#include "io/reader.hpp"

namespace convoy::io {

constexpr const char* raw_example = "float32:60000x1024";

struct RawHeader {
    NumberType type;
    std::vector<std::int64_t> extents;  // the first is 0 where the file's length says it
    std::int64_t skipped = 0;           // bytes before the first number
};

// `float32:60000x1024`, `uint8:60000x28x28`, `float64be:3` (three columns, as many rows as there are), `float32:8@512`
// (512 bytes are skipped). Row-major, little-endian if not said otherwise. \throws InputError
RawHeader parse_raw_header(const Location& location);

}  // namespace convoy::io
