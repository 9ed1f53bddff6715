#pragma once
// What can be asked of progressive OT.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/checkpoint_options.hpp"
#include "app/options.hpp"
#include "convoy/auto_epsilon.hpp"
#include "convoy/progot.hpp"

namespace convoy::app {

struct StepOptions {
    std::int64_t steps = 16;
    std::optional<Schedule> schedule = Schedule::constant;  // nothing: alphas as given
    std::vector<double> alphas;
    std::string schedule_name = "constant", epsilon_name = "auto";
    bool automatic = true;         // epsilon
    std::vector<double> epsilons;  // as given; empty: by the rule, or automatic
    AutoEpsilonOptions choice;
    io::InputOptions held_out{.points = {}, .weights = {}, .scaling = "1"};
    bool loose_to_tight = true;
    bool intermediates = false;
};

struct ProgotCommand {
    ProblemOptions problem;
    StepOptions steps;
    SolverOptions solver;
    MachineOptions machine;
    OutputOptions output;
    CheckpointOptions checkpoint;
    VolumeOptions volume;
};

// False if help was asked for, and printed. InputError on all ranks. Collective.
bool parse(const Invocation& invocation, ProgotCommand& command);

}  // namespace convoy::app
