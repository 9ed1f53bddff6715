#pragma once
// Matrices that lie in a file as plain numbers: whatever their header was, they are read in one way.

#include <memory>
#include <string>

#include "io/array_shape.hpp"
#include "io/byte_file.hpp"

namespace convoy::io {

struct ArrayLayout {
    NumberType type;
    ArrayShape shape;
    std::int64_t at = 0;          // the first number's place in the file
    std::int64_t row_stride = 0;  // bytes from one row to the next; 0: rows lie without gaps
    bool columns_first = false;   // Fortran order, without gaps
    std::string place = "array";  // for messages
};

// The layout fits the file: whoever makes it has checked that.
std::unique_ptr<Reader> open_array(ByteFile file, ArrayLayout layout);

}  // namespace convoy::io
