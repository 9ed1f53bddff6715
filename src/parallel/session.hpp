#pragma once
// MPI's life time. MPI is initialised only where a launcher (mpirun, srun) started this process: a lone `convoy` makes
// no MPI call at all.

#include <string>

namespace convoy {

class Session {
 public:
    Session(int& argc, char**& argv);
    // Finalizes, unless an exception is unwinding: the other ranks would wait for ever in their next collective.
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    [[noreturn]] static void abort(int code);

    static bool launched();            // by mpirun or srun, judged by the environment
    static std::string mpi_version();  // library version, first line; works without initialisation
    static int ranks_on_node();        // sharing memory with this one; collective
    static int rank_on_node();         // among those, from 0; collective

 private:
    int exceptions_;
};

}  // namespace convoy
