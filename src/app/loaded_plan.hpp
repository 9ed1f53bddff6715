#pragma once
// A result brought back to life: its clouds and potentials on the ranks of this run.

#include <optional>
#include <string>
#include <vector>

#include "app/query_options.hpp"
#include "app/run.hpp"
#include "convoy/plan_questions.hpp"
#include "io/model.hpp"

namespace convoy::app {

struct LoadedPlan {
    Coupling coupling;  // of a model of progot: that of its last step, its source the travelled points
    std::vector<double> f, g;
    std::optional<Features> features;   // that points were put through, where answers are to be brought back
    std::vector<double> source_points;  // of a model: where they started; else nothing, they did not move

    SolvedPlan solved(double epsilon, std::function<void()> between) {
        return {coupling, f, g, epsilon, std::move(between)};
    }
    const std::vector<double>& start_of_source() const {
        return source_points.empty() ? coupling.local(Side::row).points : source_points;
    }
};

// Reads, and for a model of progot travels. \throws InputError on all ranks. Collective.
LoadedPlan load_plan(const Grid& grid, const io::Model& model, const QueryOptions& options, const Plan& plan, Run& run);

}  // namespace convoy::app
