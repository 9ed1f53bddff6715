#pragma once
// One answer as a small file: .npy for programs, .csv for people.

#include <string>

#include "app/query_answers.hpp"

namespace convoy::app {

// The answer as an array: match: the source's partners; pairs: N x 2. Collective.
void write_as_npy(const Communicator& world, const Asked& asked, const std::string& path, bool overwrite);

// The answer as lines of text, points by their names where they have some. Collective.
void write_as_csv(const Communicator& world, const Asked& asked, SideNames& names, const std::string& path,
                  bool overwrite);

}  // namespace convoy::app
