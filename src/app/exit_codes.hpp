#pragma once
// What the program says to the shell; the same on every rank.

namespace convoy::app {

enum ExitCode : int {
    done = 0,           // and converged
    failed = 1,         // something failed, or a signal ended the run
    bad_input = 2,      // usage or input
    not_converged = 3,  // within the limits; the result is written
    suspended = 75,     // stopped early with a good checkpoint: go on with --resume (EX_TEMPFAIL of sysexits.h)
};

}  // namespace convoy::app
