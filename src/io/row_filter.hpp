#pragma once
// Rows by what a table says of them: COLUMN=VALUE[,VALUE...] or COLUMN!=VALUE[,VALUE...].

#include <cstdint>
#include <string>
#include <vector>

#include "io/obs_frame.hpp"
#include "io/row_selection.hpp"

namespace convoy::io {

// "obs has day (3 categories), type (text)": what a message answers an unknown name with.
std::string list_of_columns(const ObsFrame& table);

// Rows for which all conditions hold, as many as the table has. Values are compared as numbers in columns of numbers
// (day=10.5; 10 is 10.0), else as text; a value with a comma may be written as it is, or in double quotes.
// \throws InputError that lists what there is, also where no row is left
FilteredRows filter_rows(const Location& location, const ObsFrame& table, const std::vector<std::string>& conditions);

}  // namespace convoy::io
