#include <gtest/gtest.h>
#include <mpi.h>

TEST(OneRank, LeavesTheOthersWaiting) {
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (rank == 1) return;
    MPI_Barrier(MPI_COMM_WORLD);
}
