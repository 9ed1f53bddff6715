#pragma once
// What every command that solves carries along, and the problem that it is about.

#include <optional>
#include <string>
#include <vector>

#include "app/checkpoints.hpp"
#include "app/command.hpp"
#include "app/console.hpp"
#include "app/options.hpp"
#include "app/phases.hpp"
#include "app/run_plan.hpp"
#include "app/stop_request.hpp"
#include "convoy/coupling.hpp"
#include "io/reader.hpp"
#include "io/result.hpp"
#include "solvers/audited_run.hpp"
#include "solvers/duplicates.hpp"

namespace convoy::app {

struct Run {
    // Listens for signals from here on.
    Run(const Communicator& ranks, const VolumeOptions& volume, double time_limit,
        const CheckpointOptions& checkpoint = {});
    // Ends the run where a signal has come, since nothing is there yet that would be worth writing; with checkpoints
    // also at the time limit. Collective. \throws Failure, Suspended
    // \param doing e.g. "reading"
    void heed_signals(const std::string& doing) const;

    const Communicator& world;
    Console console;
    Phases phases;
    StopRequest stop;
    Checkpoints checkpoints;
};

// Planned, read, and coupled.
struct Problem {
    ProblemShape shape;
    Plan plan;
    Coupling coupling;
    io::InputIdentity source, target;
    // How the files' rows became the coupling's points; nothing: they are the same.
    std::optional<MergedRows> merged_source = {}, merged_target = {};
    std::optional<Features> features = {};

    const std::optional<MergedRows>& merged(Side side) const {
        return side == Side::row ? merged_source : merged_target;
    }
    // Of the files' rows over the parts of the grid; numbers that are stored for them come from the file, for the
    // coupling's points.
    const Partition& rows(Side side) const;
    std::vector<double> of_points(Side side, std::vector<double> of_rows) const;
    double pairs() const { return static_cast<double>(shape.rows) * static_cast<double>(shape.columns); }
};
// \param command its name, for the log.
// \param more with self problems, products are not kept yet: those come first, and keep their own. Collective.
Problem load_problem(Run& run, const std::string& command, const ProblemOptions& problem, const MachineOptions& machine,
                     const SolverOptions& solver, const HeldMore& more = {});

// The plan, which is that of the run that is gone on with as far as these ranks can honour it. Collective.
PlannedRun plan_again(const Run& run, const ProblemShape& shape, const ProblemOptions& problem, MachineOptions machine,
                      SolverOptions solver, const HeldMore& more = {});

void warn_of_rounding(Console& console, const Coupling& coupling, double epsilon);

// Ends phases with the parts of a solver's work, says what it says, and gives up where a signal has come. What it is
// made of outlives it.
RunWatcher watch(Run& run, const Coupling& coupling);

// A result's attributes that say what was run, on what, where; and where the time went so far. Collective.
io::Result begin_result(const Run& run, const Problem& problem, const Invocation& invocation,
                        const std::string& command, Status status);

// Writes the result, with all rows of the inputs. \param source stored in place of the coupling's, which has moved
// Collective.
void write_result(const Problem& problem, const io::Result& result, const OutputOptions& output,
                  const DistributedCloud* source = nullptr);

// Safe sums over all ranks so far. Collective.
std::int64_t safe_sums(const Coupling& coupling);

}  // namespace convoy::app
