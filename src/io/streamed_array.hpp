#pragma once
// Matrices within compressed streams: one rank reads them, row after row.

#include <memory>
#include <string>

#include "io/array_shape.hpp"
#include "io/byte_stream.hpp"

namespace convoy::io {

struct StreamedLayout {
    NumberType type;
    ArrayShape shape;
    std::string place = "array";
};

// The stream stands at the first number, row-major. That nothing follows the last is checked when it is read.
std::unique_ptr<Reader> open_streamed_array(const Location& location, std::unique_ptr<ByteStream> stream,
                                            StreamedLayout layout);

}  // namespace convoy::io
