#pragma once
// A last line in a file that says how long it is and what its bytes sum to. Whoever opens a sealed file knows that all
// of it is as it was written before any library looks into it; HDF5 takes no notice of what follows its own end.

#include <string>

#include "convoy/communicator.hpp"

namespace convoy::io {

// Ends the part file of `out` with its seal; on disk afterwards. \throws Failure on all ranks. Collective.
void seal(const Communicator& world, const std::string& out, const std::string& part);

// \throws InputError on all ranks unless the file is sealed and unchanged since. Collective; ranks read a share each.
void expect_sealed(const Communicator& world, const std::string& path);

}  // namespace convoy::io
