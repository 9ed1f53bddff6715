#pragma once
// The commands of the program: one file each, one line in the table of main.cpp.

#include <string>
#include <vector>

#include "convoy/communicator.hpp"

namespace convoy::app {

// What every command is given.
struct Invocation {
    const Communicator& world;
    std::vector<std::string> arguments;  // after the command's name
    std::string line;                    // the whole command line, quoted for a shell
};

struct Command {
    std::string name, summary;
    // Returns the exit code, the same on all ranks. Throws InputError and Failure on all ranks alike (see agree()).
    int (*run)(const Invocation&);
};

int solve(const Invocation& invocation);
int divergence(const Invocation& invocation);
int progot(const Invocation& invocation);
int map(const Invocation& invocation);
int query(const Invocation& invocation);
int score(const Invocation& invocation);
int check(const Invocation& invocation);
int info(const Invocation& invocation);

}  // namespace convoy::app
