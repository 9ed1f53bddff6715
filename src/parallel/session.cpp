#include "parallel/session.hpp"

#include <mpi.h>

#include <cstdio>
#include <cstdlib>
#include <exception>

namespace convoy {

namespace {

bool initialised() {
    int yes = 0;
    MPI_Initialized(&yes);
    return yes != 0;
}

}  // namespace

bool Session::launched() {
    for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_SIZE"}) {
        if (std::getenv(name) != nullptr) return true;
    }
    return false;
}

Session::Session(int& argc, char**& argv) : exceptions_{std::uncaught_exceptions()} {
    if (!launched()) return;
    int provided = MPI_THREAD_SINGLE;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
    if (provided < MPI_THREAD_FUNNELED) {
        std::fputs("error: this MPI cannot be used together with threads (needs MPI_THREAD_FUNNELED)\n", stderr);
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
}

Session::~Session() {
    if (!initialised() || std::uncaught_exceptions() > exceptions_) return;
    MPI_Finalize();
}

void Session::abort(int code) {
    if (initialised()) MPI_Abort(MPI_COMM_WORLD, code);
    std::_Exit(code);
}

std::string Session::mpi_version() {
    char text[MPI_MAX_LIBRARY_VERSION_STRING];
    int length = 0;
    MPI_Get_library_version(text, &length);
    const std::string whole(text, static_cast<std::size_t>(length));
    return whole.substr(0, whole.find_first_of(",\n"));
}

namespace {

// Ranks that share memory with this one, from MPI: under mpirun SLURM's variables say nothing of it.
template <class Ask>
int of_node(int alone, const Ask& ask) {
    if (!initialised()) return alone;
    MPI_Comm node = MPI_COMM_NULL;
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
    int answer = alone;
    ask(node, &answer);
    MPI_Comm_free(&node);
    return answer;
}

}  // namespace

int Session::ranks_on_node() {
    return of_node(1, MPI_Comm_size);
}

int Session::rank_on_node() {
    return of_node(0, MPI_Comm_rank);
}

}  // namespace convoy
