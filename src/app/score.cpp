// convoy score MODEL SOURCE_TEST TARGET_TEST: how good is this map on points it never saw?

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "app/chosen_rows.hpp"
#include "app/command.hpp"
#include "app/exit_codes.hpp"
#include "app/fitted_map.hpp"
#include "app/map_progress.hpp"
#include "app/options.hpp"
#include "app/point_options.hpp"
#include "app/provenance.hpp"
#include "app/quantities.hpp"
#include "app/score_report.hpp"
#include "convoy/divergence.hpp"
#include "convoy/error.hpp"

namespace convoy::app {

namespace {

struct ScoreOptions {
    FitOptions fit;
    io::InputOptions source{.points = {}, .weights = {}, .scaling = "1"};
    io::InputOptions target{.points = {}, .weights = {}, .scaling = "1"};
    io::InputOptions truth{.points = {}, .weights = {}, .scaling = "1"};  // prepared like the target
    EpsilonRule epsilon{.factor = 0.05, .unit = EpsilonRule::Unit::mean};
    double tolerance = 1e-3;
    MachineOptions machine;
    std::string summary;
    bool overwrite = false;
    VolumeOptions volume;
    std::string config;
};

void declare(CommandLine& line, ScoreOptions& options) {
    declare(line, options.fit, false);
    line.positional("SOURCE_TEST", "points of the source's kind that the map never saw: PATH[#KEY]",
                    options.source.points, true);
    line.positional("TARGET_TEST", "points of the target's kind", options.target.points, true);
    const std::string group = "Score";
    line.text("--truth", "PATH[#KEY]", "the true images of SOURCE_TEST, a row each, prepared like TARGET_TEST",
              options.truth.points)
        ->group(group);
    declare_where(line, "--truth-where", group, "rows of --truth, of an .h5ad file,", options.truth.where);
    declare_where(line, "--source-where", group, "rows of SOURCE_TEST, of an .h5ad file,", options.source.where);
    declare_where(line, "--target-where", group, "rows of TARGET_TEST", options.target.where);
    line.option("--epsilon", "RULE",
                "of the divergence: a number in units of the squared distance, or relative to that of TARGET_TEST's "
                "points to each other (default 0.05mean)",
                [&](const std::string& text) { options.epsilon = EpsilonRule::parse(text); })
        ->group(group);
    line.option("--tolerance", "T", "marginal error (L1) of the divergence's three problems (default 1e-3)",
                [&](const std::string& text) { options.tolerance = parse_tolerance(text); })
        ->group(group);
    declare_preparation(line, {{"source", &options.source}, {"target", &options.target}});
    declare(line, options.machine, false);
    line.text("--summary", "FILE.json", "the scores, for programs", options.summary)->group("Output");
    line.flag("--overwrite", "replace a summary that exists", options.overwrite)->group("Output");
    declare(line, options.volume);
}

bool parse(const Invocation& invocation, ScoreOptions& options) {
    CommandLine line{"score MODEL SOURCE_TEST TARGET_TEST [options]",
                     "Maps points that a map never saw, and says how near their images come to points of the target: "
                     "the Sinkhorn\ndivergence, and with --truth the error of each image.\n",
                     "Examples:\n"
                     "  convoy score run.h5 x-test.npy y-test.npy\n"
                     "  convoy score run.h5 x-test.npy y-test.npy --truth images-test.npy --summary score.json\n"
                     "  srun convoy score model.h5 test.h5#/x test.h5#/y --epsilon 0.1\n\n"
                     "Exit codes: 0 done, 1 failed, 2 bad usage or input, 3 done, but the divergence's problems (or a "
                     "self problem) did\nnot converge.\n"};
    declare(line, options);
    if (!line.parse(invocation)) return false;
    check_preparation(line, {{"source", &options.source}, {"target", &options.target}});
    check_together(line, options.machine);
    check_together(line, options.volume);
    CONVOY_VALIDATE(!options.overwrite || !options.summary.empty(),
                    "--overwrite has no effect without --summary; leave it out");
    CONVOY_VALIDATE(options.truth.where.empty() || !options.truth.points.empty(),
                    "--truth-where has no effect without --truth; give both, or leave it out");
    options.truth.scaling = options.target.scaling;
    options.truth.prepare = options.target.prepare;
    options.config = line.config();
    return true;
}

// What is known of the inputs before they are read.
struct TestShape {
    std::int64_t sources = 0, targets = 0;
};

TestShape shape_of_test(const Communicator& world, const ScoreOptions& options, const io::Model& model) {
    const auto look = [&](const io::InputOptions& input, const char* option_prefix) {
        const io::Shape shape = io::shape_of(world, input, option_prefix);
        CONVOY_VALIDATE(shape.columns == model.inputs(),
                        fmt::format("points '{}' have {}, but '{}' maps points of {}; give points of the model's space",
                                    input.points, plural(shape.columns, "column", "columns"), options.fit.model,
                                    plural(model.inputs(), "dimension", "dimensions")));
        return shape.rows;
    };
    const TestShape shape{look(options.source, "--source-"), look(options.target, "--target-")};
    if (options.truth.points.empty()) return shape;
    const std::int64_t rows = look(options.truth, "--target-");
    CONVOY_VALIDATE(
        rows == shape.sources,
        fmt::format("--truth '{}' has {} rows and '{}' {} (an image for each point is needed); give both in "
                    "the same order",
                    options.truth.points, rows, options.source.points, shape.sources));
    return shape;
}

PlannedMap plan_score(const Communicator& world, const ScoreOptions& options, const io::Model& model,
                      const TestShape& shape) {
    MapRequest request = request_of(options.fit, model);
    request.points = shape.sources;
    request.read_dimension = model.inputs();
    request.compared_with = shape.targets;
    return plan_mapping(world, request, options.machine);
}

// All points of this rank's part, mapped in place; every row of the grid goes through as many portions.
void map_in_place(FittedMap& map, DistributedCloud& cloud, std::int64_t rows_at_once, MapProgress& progress,
                  const Run& run) {
    const std::int64_t d = cloud.local.dimension;
    for (std::int64_t first = 0; first < cloud.partition.largest(); first += rows_at_once) {
        const std::int64_t count = std::clamp<std::int64_t>(cloud.local.rows - first, 0, rows_at_once);
        const std::span points{cloud.local.points.data() + std::min(first, cloud.local.rows) * d,
                               static_cast<std::size_t>(count * d)};
        const std::vector<double> images = map(points);
        std::ranges::copy(images, points.begin());
        run.heed_signals("mapping");
        progress.show(std::min(cloud.partition.items(), (first + rows_at_once) * cloud.partition.parts()));
    }
    progress.finish();
}

// The mean over a side of a number that each of its points has.
template <class Term>
double mean_over(const Grid& grid, Side side, const DistributedCloud& cloud, const Term& term) {
    double sum = 0;
    for (std::int64_t i = 0; i < cloud.local.rows; ++i) sum += term(i);
    grid.holders(side).ordered_sum(std::span{&sum, 1});
    grid.world().broadcast(sum);
    return sum / static_cast<double>(cloud.partition.items());
}

double squared_distance(std::span<const double> x, std::span<const double> y) {
    double sum = 0;
    for (std::size_t k = 0; k < x.size(); ++k) sum += (x[k] - y[k]) * (x[k] - y[k]);
    return sum;
}

// E |y - E y|^2
double variance(const Grid& grid, const DistributedCloud& target) {
    std::vector<double> mean;
    for (std::int64_t k = 0; k < target.local.dimension; ++k)
        mean.push_back(mean_over(grid, Side::column, target,
                                 [&](std::int64_t j) { return target.local.point(j)[static_cast<std::size_t>(k)]; }));
    return mean_over(grid, Side::column, target,
                     [&](std::int64_t j) { return squared_distance(target.local.point(j), mean); });
}

// Against the known images.
void compare_with_truth(const Grid& grid, const ScoreOptions& options, const DistributedCloud& images,
                        const DistributedCloud& target, Score& score) {
    if (options.truth.points.empty()) return;
    DistributedCloud truth = io::read_cloud(grid, Side::row, images.partition, options.truth, score.truth);
    if (score.model.features) transform(*score.model.features, truth);
    score.has_truth = true;
    score.mean_squared_error = mean_over(grid, Side::row, images, [&](std::int64_t i) {
        return squared_distance(images.local.point(i), truth.local.point(i));
    });
    score.variance = variance(grid, target);
    CONVOY_VALIDATE(score.variance > 0,
                    fmt::format("all points of '{}' are the same (L2-UVP divides by their variance); leave out --truth",
                                options.target.points));
    score.unexplained = 100 * score.mean_squared_error / score.variance;
}

void find_divergence(Coupling coupling, const ScoreOptions& options, const StopRequest& stop, Score& score) {
    {
        const Coupling intra = self_coupling(coupling, Side::column);
        score.epsilon = options.epsilon.resolve(intra);
    }
    DivergenceOptions wanted;
    wanted.sinkhorn.epsilon = score.epsilon;
    wanted.sinkhorn.tolerance = options.tolerance;
    wanted.stop = [&] { return stop.seen() != StopReason::none; };
    score.divergence = sinkhorn_divergence(coupling, wanted);
}

}  // namespace

int score(const Invocation& invocation) {
    ScoreOptions options;
    if (!parse(invocation, options)) return done;
    const Communicator& world = invocation.world;
    Run run{world, options.volume, 0};

    const io::Model model = io::open_model(world, options.fit.model);
    check_fit(options.fit, model);
    const TestShape shape = shape_of_test(world, options, model);
    std::vector<std::string> inputs = files_of(options.fit, model);
    for (const std::string& text : {options.source.points, options.target.points, options.truth.points, options.config})
        inputs.push_back(io::Location::parse(text).path);
    check_outputs(world, {{"--summary", options.summary}}, inputs, options.overwrite);
    const auto [plan, devices] = plan_score(world, options, model, shape);
    run.console.say(fmt::format("convoy {} score: {} against {} of {} by {}", version(), count_text(shape.sources),
                                count_text(shape.targets), plural(model.dimension(), "dimension", "dimensions"),
                                in_words(model)));
    run.console.say(plan.explain);
    tell_devices(run.console, devices);
    warn_of_status(run.console, model);

    Score score{model, options.fit};
    const Grid grid{world, plan.grid};
    DistributedCloud images = io::read_cloud(grid, Side::row, Partition::even(shape.sources, grid.parts(Side::row)),
                                             options.source, score.source);
    say_choice(run.console, "images of", options.source, score.source);
    if (model.features) transform(*model.features, images);
    run.heed_signals("reading");
    run.phases.end("read");
    {
        FittedMap map{grid, model, options.fit, plan, run};
        MapProgress progress{run.console, shape.sources, pairs_of_a_point(request_of(options.fit, model))};
        map_in_place(map, images, plan.portions.rows, progress, run);
        warn_of_rounding(run.console, map);
        score.solved = !map.self() || map.self()->potential.status == "converged";
        run.phases.end("map");
    }
    DistributedCloud target = io::read_cloud(
        grid, Side::column, Partition::even(shape.targets, grid.parts(Side::column)), options.target, score.target);
    say_choice(run.console, "target", options.target, score.target);
    if (model.features) transform(*model.features, target);
    compare_with_truth(grid, options, images, target, score);
    run.heed_signals("reading");
    run.phases.end("read");
    find_divergence(Coupling{grid, std::move(images), std::move(target), Cost{}, plan.precision, plan.backend}, options,
                    run.stop, score);
    run.heed_signals("solving");
    run.phases.end("divergence");

    score.rule = options.epsilon;
    score.tolerance = options.tolerance;
    score.run = plan.attributes;
    const io::Attributes where = whereabouts(world, invocation.line);
    score.run.insert(score.run.end(), where.begin(), where.end());
    score.timing = run.phases.over_ranks(world);
    score.memory = peak_memory(world);
    if (!score.divergence.converged())
        run.console.warn("the divergence's problems did not converge; it is that much off");
    score.warnings = run.console.warnings();
    close_score(world, score, options.summary, options.overwrite);
    return score.solved && score.divergence.converged() ? done : not_converged;
}

}  // namespace convoy::app
