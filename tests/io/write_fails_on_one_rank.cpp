// A disk that fails one rank while the parallel file is open: every rank must come out with FatalFailure, none may
// wait. Ends by MPI_Abort, as the program does.

#include <mpi.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdio>

#include "results.hpp"

int main(int argc, char** argv) {
    using namespace convoy;
    MPI_Init(&argc, &argv);
    const Communicator world = Communicator::world();
    const io::Folder folder{world};
    io::Problem problem;
    problem.n = 50000;
    problem.f = problem.a = io::noise(problem.n, 1);
    problem.x = io::noise(problem.n * problem.d, 2);
    const io::Written written{problem, Grid{world, {world.size(), 1}}};
    std::signal(SIGXFSZ, SIG_IGN);
    if (world.rank() == 1) {
        const rlimit limit{100000, RLIM_INFINITY};
        ::setrlimit(RLIMIT_FSIZE, &limit);
    }

    const char* end = "no error";
    std::string message;
    try {
        written.write(folder / "out.h5");
    } catch (const FatalFailure& error) {
        end = "fatal failure";
        message = error.what();
    } catch (const std::exception& error) {
        end = "another error";
        message = error.what();
    }
    world.barrier();  // rank 0 has removed the part file
    const bool clean = folder.names().empty();
    // All ranks got here, or the next line would wait for ever.
    const double fatal = world.ordered_sum(message.find("rank 1 could not write") != std::string::npos && clean);
    if (world.is_root()) {
        std::error_code none;
        std::filesystem::remove_all(folder.path(), none);
        std::printf("%s on %.0f of %d ranks: %s\n", end, fatal, world.size(), message.c_str());
        std::fflush(stdout);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Abort(MPI_COMM_WORLD, 1);
}
