#include <gtest/gtest.h>
#include <mpi.h>

#include <stdexcept>

TEST(OneRank, Throws) {
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (rank == 1) throw std::runtime_error{"rank 1 gives up"};
    MPI_Barrier(MPI_COMM_WORLD);
}
