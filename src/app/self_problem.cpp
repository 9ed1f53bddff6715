#include "app/self_problem.hpp"

#include <fmt/format.h>

#include <utility>

#include "app/quantities.hpp"
#include "convoy/error.hpp"
#include "convoy/self_problem.hpp"
#include "io/features_file.hpp"
#include "parallel/redistributed.hpp"

namespace convoy::app {

namespace {

// What the potential belongs to.
io::SelfPotential identity_of(const io::Model& model, Side side) {
    const io::ModelSide& one = model.side(side);
    io::SelfPotential self;
    self.epsilon = model.epsilon;
    self.weights_checksum = one.weights.checksum;
    const bool read = one.input.rows > 0;
    self.points_checksum = read ? one.input.checksum : one.points.checksum;
    self.scaling = "1";
    if (!read) return self;
    // Whatever the points went through: with other grey levels or other components they are other points.
    const bool scaled_at_most = one.input.prepare == io::Preparation{} && !model.features;
    self.scaling = scaled_at_most ? one.input.scaling : in_words(one.input.prepare, one.input.scaling);
    if (model.features)
        self.scaling +=
            fmt::format("{}features {:08x}", self.scaling.empty() ? "" : ", ", io::checksum_of(*model.features));
    return self;
}

void expect_same_problem(const std::string& path, const io::SelfPotential& found, const io::SelfPotential& wanted) {
    std::string difference;
    if (found.epsilon != wanted.epsilon)
        difference = fmt::format("its epsilon is {}, the model's {}", found.epsilon, wanted.epsilon);
    else if (found.points_checksum != wanted.points_checksum || found.scaling != wanted.scaling)
        difference = "it was solved for other points";
    else if (found.weights_checksum != wanted.weights_checksum)
        difference = "it was solved for other masses";
    CONVOY_VALIDATE(difference.empty(),
                    fmt::format("the self potential in '{}' is not this model's ({}); leave out --self, it is then "
                                "solved for",
                                path, difference));
}

SelfSolution solve_here(const Grid& grid, const DistributedCloud& columns, const io::Model& model, const MapPlan& plan,
                        const StopRequest& stop) {
    Coupling self{grid, redistributed(grid, Side::column, columns), columns, model.cost, plan.precision, plan.backend};
    SelfOptions options;
    options.epsilon = model.epsilon;
    if (model.tolerance > 0) options.tolerance = model.tolerance;
    options.stop = [&] { return stop.seen() != StopReason::none; };
    return solve_self(self, options);
}

}  // namespace

SelfProblem self_problem(const Grid& grid, const io::Model& model, const FitOptions& options, const MapPlan& plan,
                         Run& run) {
    const Side side = options.from;
    const Partition columns = Partition::even(model.points(side), grid.parts(Side::column));
    SelfProblem problem;
    problem.cloud = io::read_model_cloud(grid, columns, model, side, options.moved(side));
    problem.potential = identity_of(model, side);
    run.heed_signals("reading");
    if (const io::StoredCheckpoint* stored = run.checkpoints.state(); stored != nullptr && stored->has_part("self.f")) {
        problem.potential.f = stored->part(grid, Side::column, columns, "self.f");
        problem.potential.marginal_error = stored->number("self.marginal_error");
        problem.potential.tolerance = stored->number("self.tolerance");
        problem.potential.status = stored->text("self.status");
        problem.half_passes = stored->count("self.half_passes");
        problem.g = problem.potential.f;
        run.phases.end("self");
        return problem;
    }
    if (!options.self.empty()) {
        io::SelfPotential found = io::read_self(grid, columns, options.self);
        expect_same_problem(options.self, found, problem.potential);
        problem.potential = std::move(found);
        problem.g = problem.potential.f;
        run.phases.end("read");
        return problem;
    }
    run.phases.end("read");

    SelfSolution solution = solve_here(grid, problem.cloud, model, plan, run.stop);
    run.phases.end("self");
    run.heed_signals("solving the self problem");
    if (solution.status == Status::failed)
        throw Failure{fmt::format("the self problem of the {} failed: {}", model.side(side).name, solution.reason)};
    problem.potential.f = solution.g;
    problem.potential.marginal_error = solution.marginal_error;
    problem.potential.tolerance = model.tolerance > 0 ? model.tolerance : SelfOptions{}.tolerance;
    problem.potential.status = name_of(solution.status);
    problem.g = std::move(solution.g);
    problem.half_passes = solution.half_passes;
    run.console.say(fmt::format("self problem of the {}: {}, error {:.1e} after {}", model.side(side).name,
                                name_of(solution.status), solution.marginal_error,
                                plural(solution.half_passes, "half-pass", "half-passes")));
    if (solution.status != Status::converged)
        run.console.warn(
            fmt::format("the self problem did not converge ({}): debiased images are that much off", solution.reason));
    return problem;
}

}  // namespace convoy::app
