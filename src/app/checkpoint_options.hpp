#pragma once
// --checkpoint and --resume: what is asked, and what there is to go on from.

#include <memory>
#include <string>
#include <vector>

#include "app/command_line.hpp"
#include "io/checkpoint.hpp"

namespace convoy::app {

struct CheckpointOptions {
    std::string file;           // empty: none are written
    double interval = 15 * 60;  // seconds
    bool resume = false;
    double time_limit = 0;   // of commands that have none without checkpoints; seconds, 0: none
    bool light = false;      // potentials alone
    io::Attributes problem;  // options that say what the run is about, as given
    std::string output;      // what the run writes in the end
    // What is gone on from; nothing: the run starts afresh.
    std::shared_ptr<const io::StoredCheckpoint> stored;
    bool last_is_damaged = false;  // `stored` is the one before it
    std::string note, warning;     // to be said once there is a console

    bool on() const { return !file.empty(); }
};

void declare(CommandLine& line, CheckpointOptions& options);
// For a command that answers by portions: it has no potentials to keep, and a time limit only with checkpoints.
void declare_of_portions(CommandLine& line, CheckpointOptions& options);

// Whether options contradict each other, then what there is at that path: a checkpoint of this very run is opened with
// --resume, and what stands in its way is refused. The run may then replace the result that it has written itself.
// \param free further options that may be others when the run goes on \throws InputError on all ranks. Collective.
void open_checkpoint(const Communicator& world, const CommandLine& line, CheckpointOptions& options,
                     const std::string& output, bool& overwrite, const std::vector<std::string>& free = {});

// Whether this very run has written that result: it was killed before its checkpoint knew. Collective.
bool is_own_result(const Communicator& world, const CheckpointOptions& options, const std::string& output);

}  // namespace convoy::app
