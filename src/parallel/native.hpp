#pragma once
// The MPI communicator behind a Communicator, for the one library that wants it (parallel HDF5). Not for collectives:
// those are Communicator's.

#include <mpi.h>

#include "convoy/communicator.hpp"

namespace convoy {

// MPI_COMM_SELF's stand-in for a serial communicator is MPI_COMM_NULL: no MPI call may be made with it.
MPI_Comm native(const Communicator& comm);

}  // namespace convoy
