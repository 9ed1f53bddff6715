#pragma once
// What the results of pairs are called.

#include <string>

namespace convoy::app {

// A value as a piece of a file's name: letters, digits, bytes beyond ASCII and . + - , = @ stand for themselves, all
// else is written %XX, as is a dot in front. Different values give different pieces.
std::string in_file_name(const std::string& value);

// `pattern` with {a} and {b} replaced; without them PREFIX or PREFIX.h5 becomes PREFIX_{a}_{b}.h5.
// \throws InputError for other placeholders
std::string file_of_pair(const std::string& pattern, const std::string& a, const std::string& b);

}  // namespace convoy::app
