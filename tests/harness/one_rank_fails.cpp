#include <gtest/gtest.h>
#include <mpi.h>

TEST(OneRank, Fails) {
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    EXPECT_NE(rank, 2);
}

TEST(OneRank, AllAreStillInStep) {
    MPI_Barrier(MPI_COMM_WORLD);
}
