#include <gtest/gtest.h>
#include <mpi.h>

TEST(AllRanks, AddUp) {
    int rank = 0, size = 0, sum = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);

    MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);

    EXPECT_EQ(sum, size * (size - 1) / 2);
}
