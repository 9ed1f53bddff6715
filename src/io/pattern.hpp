#pragma once
// Patterns that name several files, like 'data/batch_*.bin': read one after the other as one matrix.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/reader.hpp"

namespace convoy::io {

// A path with * ? or [...] that is no file's own name.
bool is_pattern(const std::string& path);

// The files that a path names: itself, or what a pattern matches, sorted by name byte by byte, so that all machines
// agree (part_10 comes before part_2). Empty: the pattern matches nothing.
std::vector<std::string> files_named(const std::string& path);

// All of them, each opened by `open_one`, below each other. \throws InputError where there are none, or where they
// differ in their columns
using OpenOne = std::function<std::unique_ptr<Reader>(const Location&)>;
std::unique_ptr<Reader> open_pattern(const Location& location, OpenOne open_one = open_reader);

}  // namespace convoy::io
