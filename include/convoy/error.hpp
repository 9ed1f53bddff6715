#pragma once
/// \file
/// What can go wrong, and the four checks.
///
/// CONVOY_VALIDATE is for what users give us: always on, throws InputError, and its message follows one grammar:
/// problem, why it is one (in brackets), what to do. EXPECT, ASSERT and ENSURE are for programmers' errors before,
/// within and after a function; they vanish in release builds.

#include <cassert>
#include <stdexcept>
#include <string>

namespace convoy {

/// The input or the command line is not usable: exit code 2, nothing is written.
class InputError : public std::runtime_error {
 public:
    using std::runtime_error::runtime_error;
};

/// Something failed that is not the user's input (disk, memory, numbers): exit code 1.
class Failure : public std::runtime_error {
 public:
    using std::runtime_error::runtime_error;
};

/// A Failure after which collective calls on open files could hang: the caller leaves by MPI_Abort.
class FatalFailure : public Failure {
 public:
    using Failure::Failure;
};

}  // namespace convoy

#define CONVOY_VALIDATE(condition, message)                      \
    do {                                                         \
        if (!(condition)) throw ::convoy::InputError{(message)}; \
    } while (false)
#define CONVOY_EXPECT(condition) assert((condition) && "precondition")
#define CONVOY_ASSERT(condition) assert((condition) && "invariant")
#define CONVOY_ENSURE(condition) assert((condition) && "postcondition")
