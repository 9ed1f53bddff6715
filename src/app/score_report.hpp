#pragma once
// What a run of score has found, said on stdout and as JSON.

#include <string>
#include <vector>

#include "app/fitted_map.hpp"
#include "app/phases.hpp"
#include "convoy/divergence.hpp"
#include "convoy/epsilon.hpp"

namespace convoy::app {

struct Score {
    Score(const io::Model& of, const FitOptions& by) : model{of}, options{by} {}

    const io::Model& model;
    const FitOptions& options;
    io::InputIdentity source, target, truth;
    EpsilonRule rule;
    double epsilon = 0, tolerance = 0;
    Divergence divergence;
    bool has_truth = false;
    double mean_squared_error = 0;  // E |T - T_0|^2
    double variance = 0;            // of the target test
    double unexplained = 0;         // L2-UVP, per cent
    bool solved = true;             // the self problem of a debiased map, if there was one
    io::Attributes run;
    std::vector<io::PhaseTiming> timing;
    Memory memory;
    std::vector<std::string> warnings;

    bool converged() const { return solved && divergence.converged(); }
};

// Writes the summary's file, if there is one, and the summary. Collective.
void close_score(const Communicator& world, const Score& score, const std::string& summary, bool overwrite);

}  // namespace convoy::app
