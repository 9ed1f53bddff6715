#include "app/fitted_map.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "app/quantities.hpp"
#include "app/self_problem.hpp"
#include "convoy/error.hpp"

namespace convoy::app {

void declare(CommandLine& line, FitOptions& options, bool with_direction) {
    const std::string group = "Map";
    line.positional("MODEL", "a result of convoy solve, or a model of convoy progot", options.model, true);
    if (with_direction) {
        line.option("--direction", "forward|backward",
                    "forward: from the model's source to its target (the default); backward: from its target to its "
                    "source (not for models of progot)",
                    [&](const std::string& text) {
                        CONVOY_VALIDATE(text == "forward" || text == "backward",
                                        fmt::format("--direction: '{}' is neither forward nor backward", text));
                        options.from = text == "forward" ? Side::row : Side::column;
                    })
            ->group(group);
    }
    line.flag("--debiased",
              "take off what the entropic map of the model's own points onto themselves does (sqeuclidean, results of "
              "solve)",
              options.debiased)
        ->group(group);
    line.text("--self", "FILE", "with --debiased: the self potential of an earlier map, which spares solving for it",
              options.self)
        ->group(group);
    line.text("--source", "PATH[#KEY]", "where the model's source is, if it has moved (must be unchanged)",
              options.source)
        ->group(group);
    line.text("--target", "PATH[#KEY]", "likewise its target", options.target)->group(group);
}

void check_fit(const FitOptions& options, const io::Model& model) {
    const auto refuse = [&](const std::string& message) { throw InputError{message}; };
    if (!model.cost.has_map())
        refuse(
            fmt::format("'{}' has no map (its cost is {}; maps exist for sqeuclidean, pnorm:P and dot); solve again "
                        "with one of those",
                        model.path, model.cost.name()));
    if (model.progressive() && options.from == Side::column)
        refuse(
            fmt::format("'{}' has no backward map (a model of progot leads from its source to its target); fit the "
                        "other direction: convoy progot TARGET SOURCE",
                        model.path));
    if (model.progressive() && options.debiased)
        refuse(
            fmt::format("--debiased: '{}' is a model of progot (its steps have no self problem); leave the option "
                        "out, or give a result of convoy solve",
                        model.path));
    if (options.debiased && model.cost.kind() != CostKind::sqeuclidean)
        refuse(
            fmt::format("--debiased: '{}' was solved with the cost {} (debiased maps exist for sqeuclidean); leave "
                        "the option out",
                        model.path, model.cost.name()));
    if (!options.self.empty() && !options.debiased)
        refuse("--self has no effect without --debiased; leave it out, or give both");
    for (const Side side : {Side::row, Side::column}) {
        const io::ModelSide& one = model.side(side);
        if (options.moved(side).empty()) continue;
        if (side == options.from && !options.debiased)
            refuse(fmt::format("--{} has no effect (this map needs the {} alone); leave it out", one.name,
                               model.side(other(side)).name));
        if (one.points.there())
            refuse(fmt::format("--{} has no effect ('{}' holds its {} itself); leave it out", one.name, model.path,
                               one.name));
    }
}

std::vector<std::string> files_of(const FitOptions& options, const io::Model& model) {
    std::vector<std::string> files = io::files_of(model, other(options.from), options.moved(other(options.from)));
    if (options.debiased) {
        for (std::string& file : io::files_of(model, options.from, options.moved(options.from)))
            files.push_back(std::move(file));
    }
    files.push_back(options.model);
    if (!options.self.empty()) files.push_back(options.self);
    return files;
}

MapRequest request_of(const FitOptions& options, const io::Model& model) {
    MapRequest request;
    request.target = model.points(other(options.from));
    request.dimension = model.dimension();
    request.steps = model.progressive() ? std::ssize(model.epsilons) : 1;
    request.self_points = options.debiased ? model.points(options.from) : 0;
    request.solve_self = options.debiased && options.self.empty();
    request.cost = model.cost;
    return request;
}

io::Attributes attributes_of(const FitOptions& options, const io::Model& model) {
    const io::ModelSide& to = model.side(other(options.from));
    std::error_code none;
    const auto absolute = std::filesystem::absolute(model.path, none);
    const std::vector<double> epsilons = model.progressive() ? model.epsilons : std::vector{model.epsilon};
    return {{"path", model.path},
            {"absolute_path", none ? model.path : absolute.lexically_normal().string()},
            {"command", model.command},
            {"status", model.status},
            {"cost", model.cost.name()},
            {"epsilon", epsilons.back()},
            {"steps", std::ssize(epsilons)},
            {"epsilons", fmt::format("{}", fmt::join(epsilons, " "))},
            {"direction", std::string{options.from == Side::row ? "forward" : "backward"}},
            {"debiased", std::string{options.debiased ? "yes" : "no"}},
            {"points", model.points(other(options.from))},
            {"potentials_checksum", std::int64_t{model.progressive() ? model.steps.checksum : to.potential.checksum}},
            {"weights_checksum", std::int64_t{to.weights.checksum}}};
}

std::string in_words(const io::Model& model) {
    if (!model.progressive())
        return fmt::format("a result of {}, {}, epsilon {:.6g}", model.command, model.cost.name(), model.epsilon);
    return fmt::format("a model of progot, {}, {}, epsilon {:.6g} to {:.6g}", model.cost.name(),
                       plural(std::ssize(model.epsilons), "step", "steps"), model.epsilons.front(),
                       model.epsilons.back());
}

FittedMap::FittedMap(const Grid& grid, const io::Model& model, const FitOptions& options, const MapPlan& plan,
                     Run& run) {
    if (options.debiased) {
        SelfProblem problem = self_problem(grid, model, options, plan, run);
        self_.emplace(Self{std::move(problem.potential), problem.cloud.partition, problem.half_passes,
                           PortionedMap{grid,
                                        std::move(problem.cloud),
                                        model.cost,
                                        plan.precision,
                                        plan.backend,
                                        {{.epsilon = model.epsilon, .alpha = 1, .g = std::move(problem.g)}},
                                        plan.portions.rows}});
    }
    const Side to = other(options.from);
    const Partition columns = Partition::even(model.points(to), grid.parts(Side::column));
    DistributedCloud target = io::read_model_cloud(grid, columns, model, to, options.moved(to));
    run.heed_signals("reading");
    std::vector<MapStep> steps = io::read_steps(grid, columns, model, options.from);
    run.heed_signals("reading");
    run.phases.end("read");
    map_.emplace(grid, std::move(target), model.cost, plan.precision, plan.backend, std::move(steps),
                 plan.portions.rows);
    run.phases.end("map");
}

std::vector<double> FittedMap::operator()(std::span<const double> points) {
    std::vector<double> images = (*map_)(points);
    if (!self_) return images;
    const std::vector<double> own = self_->map(points);
    for (std::size_t k = 0; k < images.size(); ++k) images[k] += points[k] - own[k];
    return images;
}

double FittedMap::rounding() const {
    const auto of = [](const PortionedMap& map) {
        double epsilon = map.steps().front().epsilon;
        for (const MapStep& step : map.steps()) epsilon = std::min(epsilon, step.epsilon);
        return map.rounding_of_cost() / epsilon;
    };
    return std::max(of(*map_), self_ ? of(self_->map) : 0);
}

Meters FittedMap::meters() const {
    Meters meters = map_->coupling().meters();
    if (!self_) return meters;
    const Meters& more = self_->map.coupling().meters();
    meters.pairs += more.pairs;
    meters.kernel_seconds += more.kernel_seconds;
    meters.communication_seconds += more.communication_seconds;
    return meters;
}

void warn_of_status(Console& console, const io::Model& model) {
    if (model.status == "converged") return;
    console.warn(fmt::format("'{}' did not converge (status {}): its map is not quite the one of its problem",
                             model.path, model.status));
}

void warn_of_rounding(Console& console, const FittedMap& map) {
    if (map.rounding() <= 0.05) return;
    console.warn(
        fmt::format("rounding of the cost is up to {:.2g} epsilon, for the farthest points; use --precision "
                    "double",
                    map.rounding()));
}

}  // namespace convoy::app
