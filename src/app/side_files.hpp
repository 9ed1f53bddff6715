#pragma once
// Small text files beside a result: --summary, --trace.

#include <string>

#include "convoy/communicator.hpp"

namespace convoy::app {

// Rank 0 writes `text` to `path`: whole, or not at all. \throws Failure on all ranks. Collective.
void write_text(const Communicator& world, const std::string& path, const std::string& text, bool overwrite);

}  // namespace convoy::app
