#pragma once
// How a text table is laid out: its separator, its header, which of its columns are wanted.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "io/reader.hpp"

namespace convoy::io {

// Splits a line at `separator` (' ': runs of blanks), quoted fields kept whole, blanks around a field and its quotes
// taken off. False if a quote does not end on the line.
bool split_fields(std::string_view line, char separator, std::vector<std::string_view>& fields);

struct TableLayout {
    char separator = ',';
    std::int64_t columns = 0;           // of the file
    std::vector<std::string> names;     // of the columns; empty without a header
    std::vector<std::int64_t> numeric;  // columns that hold a number in the first row
    std::vector<std::int64_t> wanted;   // columns to be read, in the order of the key
    std::int64_t first_line = 0;        // of the first row of numbers, from 1

    std::string column_name(std::int64_t column) const;  // "column 'X'" or "column 2" (from 0)
};

// From the first lines of the file: rows without any number are headers (two at most), lines that begin with "# " are
// remarks; the first row with a number begins the data. Key: `X,Y`, `0,2`, `0:3` (columns 0 1 2), empty: all.
TableLayout lay_out_table(const Location& location);

}  // namespace convoy::io
