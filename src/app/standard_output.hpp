#pragma once
// What the program is asked for and says on stdout, by rank 0. A full disk behind it is an error like any other.

#include <string>

#include "convoy/communicator.hpp"

namespace convoy::app {

// Collective. \throws Failure if the text cannot be written; a reader that has gone (`| head`) has had enough.
void print(const Communicator& world, const std::string& text);

}  // namespace convoy::app
