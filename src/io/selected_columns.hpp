#pragma once
// Some columns of another reader's matrix, and perhaps the other way round.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/reader.hpp"

namespace convoy::io {

// NumPy's slices, several with commas: `6:17` (columns 6 to 16, counted from 0), `3`, `:2`, `5:`, `0,2,5:9`. Columns
// come in the order given. \throws InputError
struct ColumnSlice {
    std::int64_t first = 0;
    std::optional<std::int64_t> end = {};  // nothing: all that follow
};
std::vector<ColumnSlice> parse_columns(const std::string& text);

// The matrix of another reader, transposed, some of its columns alone; without either it is that reader itself. What is
// not wanted is not read where the format allows that. \throws InputError where columns are not there, and where a
// format that is read in one go should be transposed
std::unique_ptr<Reader> select_columns(const Location& location, std::unique_ptr<Reader> reader, bool transposed,
                                       const std::string& columns);

}  // namespace convoy::io
