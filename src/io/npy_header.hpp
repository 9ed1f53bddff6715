#pragma once
// The head of a .npy file (NumPy format 1.0 to 3.0).

#include <cstdint>
#include <string>
#include <vector>

#include "io/reader.hpp"

namespace convoy::io {

struct NpyHeader {
    char kind = 'f';  // f, i, u or b
    int size = 8;     // bytes of a number
    bool big_endian = false;
    bool columns_first = false;  // Fortran order
    std::vector<std::int64_t> shape;
    std::int64_t data_at = 0;  // where the numbers begin
};

// From the first bytes of the file. Anything but plain numbers is refused in words.
NpyHeader parse_npy_header(const Location& location, const std::string& head);

}  // namespace convoy::io
