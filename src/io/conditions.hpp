#pragma once
// Conditions on rows (see row_filter.hpp) as one text, a line each: how results keep them.

#include <string>
#include <vector>

namespace convoy::io {

// \throws InputError for a condition that has line breaks itself
std::string joined_conditions(const std::vector<std::string>& conditions);
std::vector<std::string> split_conditions(const std::string& text);

}  // namespace convoy::io
