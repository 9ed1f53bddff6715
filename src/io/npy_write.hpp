#pragma once
// An array whose rows the ranks have, as one .npy file.

#include <string>

#include "io/array_file.hpp"

namespace convoy::io {

// Complete or absent. \throws Failure. Collective.
void write_npy(const Communicator& world, const FileArray& array, const std::string& path, bool overwrite);

}  // namespace convoy::io
