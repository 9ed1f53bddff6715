#pragma once
// The head of a .npy file (NumPy format 1.0 to 3.0).

#include <cstdint>
#include <string>
#include <vector>

#include "io/array_reader.hpp"
#include "io/reader.hpp"

namespace convoy::io {

struct NpyHeader {
    NumberType type;
    bool columns_first = false;  // Fortran order
    std::vector<std::int64_t> shape;
    std::int64_t data_at = 0;  // where the numbers begin, from the array's first byte
};

// It is looked for in the first so many bytes.
constexpr std::int64_t longest_npy_header = std::int64_t{1} << 20;

// From the first bytes of the array. Anything but plain numbers is refused in words.
NpyHeader parse_npy_header(const Location& location, const std::string& head);

// The array whose head this is, in a piece of `bytes` bytes that begins at `begin` of the file: a matrix that ends
// where the piece does, or InputError.
ArrayLayout npy_layout(const Location& location, const NpyHeader& header, std::int64_t begin, std::int64_t bytes);

}  // namespace convoy::io
