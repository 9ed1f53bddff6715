#pragma once
// Which numbers of a matrix are wanted, and which way round they lie.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/reader.hpp"

namespace convoy::io {

// A run of columns, [first, end); end -1: all that follow.
struct ColumnRun {
    std::int64_t first = 0, end = -1;
};

// NumPy's slices, several with commas: `6:17` (columns 6 to 16, counted from 0), `3`, `:2`, `5:`, `0,2,5:9`. Columns
// come in the order given. \throws InputError
std::vector<ColumnRun> parse_columns(const std::string& text);

// The matrix of another reader, transposed, some of its columns alone; without either it is that reader itself. What is
// not wanted is not read where the format allows that. \throws InputError where columns are not there, and where a
// format that is read in one go should be transposed
std::unique_ptr<Reader> select(const Location& location, std::unique_ptr<Reader> reader, bool transposed,
                               const std::string& columns);

}  // namespace convoy::io
