#pragma once
// How messages about inputs are worded: problem, why it is one (in brackets), what to do.

#include <fmt/format.h>

#include <string>

#include "convoy/error.hpp"
#include "io/reader.hpp"

namespace convoy::io {

// `cannot read 'PATH#KEY': problem (why); remedy`. Why and remedy may be empty.
[[noreturn]] inline void refuse(const Location& location, const std::string& problem, const std::string& why = {},
                                const std::string& remedy = {}) {
    throw InputError{fmt::format("cannot read '{}': {}{}{}", location.name(), problem,
                                 why.empty() ? "" : fmt::format(" ({})", why),
                                 remedy.empty() ? "" : fmt::format("; {}", remedy))};
}

// InputError unless `location.path` is a file that we may read.
void expect_readable_file(const Location& location);

}  // namespace convoy::io
