#pragma once
// The symmetric problem of one side of a model, which debiased maps take off: solved, or read from an earlier file.

#include <cstdint>
#include <vector>

#include "app/fitted_map.hpp"

namespace convoy::app {

struct SelfProblem {
    io::SelfPotential potential;  // as it is stored
    std::vector<double> g;        // the same numbers, for mapping
    DistributedCloud cloud;       // in the distribution of Side::column
    std::int64_t half_passes = 0;
};

// Of the side that new points come from. Collective. \throws InputError where the given file is another problem's,
// Failure where the problem cannot be solved or a signal ended it.
SelfProblem self_problem(const Grid& grid, const io::Model& model, const FitOptions& options, const MapPlan& plan,
                         Run& run);

}  // namespace convoy::app
