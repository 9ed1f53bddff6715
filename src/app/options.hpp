#pragma once
// Options that several commands share: each group is a struct, and a function that declares it on a command line.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/command_line.hpp"
#include "app/console.hpp"
#include "app/joint_options.hpp"
#include "convoy/coupling.hpp"
#include "convoy/epsilon.hpp"
#include "convoy/sinkhorn.hpp"
#include "convoy/start.hpp"
#include "io/reader.hpp"
#include "solvers/plan.hpp"

namespace convoy::app {

struct ProblemOptions {
    io::InputOptions source{.points = {}, .weights = {}, .scaling = "1"};
    io::InputOptions target{.points = {}, .weights = {}, .scaling = "1"};
    JointOptions joint;
    Cost cost;
    EpsilonRule epsilon;
};

struct SolverOptions {
    double tolerance = 1e-3;
    std::int64_t max_half_passes = 2000;
    std::string init = "auto";               // the name of a start, else a result file
    std::optional<StartKind> start() const;  // nothing: a file
    // \throws InputError if it is neither a start\'s name nor a file that is there
    void check_start() const;
    std::optional<Acceleration> acceleration;  // nothing: auto
    bool annealing = true;
    double time_limit = 0;  // seconds; 0: none
    std::uint64_t seed = 0;
};

struct MachineOptions {
    std::optional<Precision> precision;  // nothing: single, or what the device has
    DeviceRequest device;
    std::string device_name = "auto";  // as it was given
    std::optional<GridShape> grid;
    std::optional<double> memory;  // bytes a rank may use
    std::optional<int> threads;    // of one rank
    Cache cache = Cache::automatic;
};

struct OutputOptions {
    std::string output, summary, trace;
    std::string checkpoint;  // may be there already
    bool overwrite = false;
    bool store_points = false;
};

struct VolumeOptions {
    bool quiet = false, verbose = false;
    Console::Volume volume() const {
        return quiet ? Console::Volume::quiet : verbose ? Console::Volume::verbose : Console::Volume::normal;
    }
};

void declare(CommandLine& line, ProblemOptions& options, bool target_required);
void declare_inputs(CommandLine& line, ProblemOptions& options, bool target_required);  // all of them but --epsilon
// --source-where and its like. \param of e.g. "the source's rows"
void declare_where(CommandLine& line, const std::string& name, const std::string& group, const std::string& of,
                   std::vector<std::string>& where);
void declare(CommandLine& line, SolverOptions& options);
double parse_tolerance(const std::string& text);  // of --tolerance: an L1 error
// \param cache whether the command may keep products
void declare(CommandLine& line, MachineOptions& options, bool cache = true);
void declare(CommandLine& line, OutputOptions& options);
void declare(CommandLine& line, VolumeOptions& options);

// What single options cannot see: pairs that contradict each other, and options that would have no effect. Called after
// parse(). \throws InputError
void check_together(const CommandLine& line, ProblemOptions& problem);
void check_together(const CommandLine& line, const SolverOptions& solver);
void check_together(const CommandLine& line, const MachineOptions& machine);
void check_together(const CommandLine& line, const VolumeOptions& volume);
// All files of this run can be written, are different ones, and none that it reads (`more`, too). Collective.
// \param replaceable options and the results that they read early, whose place the output may take
void check_outputs(const Communicator& world, const CommandLine& line, const ProblemOptions& problem,
                   const SolverOptions& solver, const OutputOptions& output,
                   const std::vector<io::InputOptions>& more = {},
                   const std::vector<std::pair<std::string, std::string>>& replaceable = {});

// Likewise for a command with other inputs: `outputs` are options and their paths, empty ones are not written.
// Collective.
void check_outputs(const Communicator& world, const std::vector<std::pair<std::string, std::string>>& outputs,
                   const std::vector<std::string>& inputs, bool overwrite);

}  // namespace convoy::app
