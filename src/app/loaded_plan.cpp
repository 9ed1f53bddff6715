#include "app/loaded_plan.hpp"

#include <algorithm>
#include <utility>

#include "convoy/map.hpp"
#include "parallel/redistributed.hpp"

namespace convoy::app {

LoadedPlan load_plan(const Grid& grid, const io::Model& model, const QueryOptions& options, const Plan& plan,
                     Run& run) {
    const auto partition = [&](Side side, Side spread) {
        return Partition::even(model.points(side), grid.parts(spread));
    };
    const auto read = [&](Side side) {
        DistributedCloud cloud =
            io::read_model_cloud(grid, partition(side, Side::column), model, side, options.moved(side));
        run.heed_signals("reading");
        return cloud;
    };
    DistributedCloud source = redistributed(grid, Side::column, read(Side::row));
    DistributedCloud target = read(Side::column);
    io::StoredPotentials potentials =
        io::read_potentials(grid, partition(Side::row, Side::row), target.partition, model.path);
    std::vector<MapStep> steps;
    if (model.progressive()) steps = io::read_steps(grid, target.partition, model, Side::row);
    run.phases.end("read");

    LoadedPlan loaded{
        Coupling{grid, std::move(source), std::move(target), model.cost, plan.precision, plan.backend, false},
        std::move(potentials.f),
        std::move(potentials.g),
        options.original_space ? model.features : std::nullopt,
        {}};
    if (steps.size() > 1) {
        loaded.source_points = loaded.coupling.local(Side::row).points;
        for (std::size_t k = 0; k + 1 < steps.size(); ++k) {
            travel(loaded.coupling, steps[k]);
            run.heed_signals("travelling");
        }
        run.phases.end("travel");
    }
    return loaded;
}

}  // namespace convoy::app
