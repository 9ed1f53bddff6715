#pragma once
// "Did you mean ...?"

#include <string>
#include <vector>

namespace convoy::app {

// The candidate nearest to `word` (insert, delete, replace, swap), or empty if none is near enough to be meant.
std::string nearest(const std::string& word, const std::vector<std::string>& candidates);
// " Did you mean 'X'?", or nothing.
std::string suggestion(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace convoy::app
