#pragma once
// How messages about inputs are worded: problem, why it is one (in brackets), what to do.

#include <string>

#include "io/reader.hpp"

namespace convoy::io {

// `cannot read 'PATH#KEY': problem (why); remedy`, always one line. Why and remedy may be empty.
[[noreturn]] void refuse(const Location& location, const std::string& problem, const std::string& why = {},
                         const std::string& remedy = {});

// InputError unless `location.path` is a file that we may read.
void expect_readable_file(const Location& location);

}  // namespace convoy::io
