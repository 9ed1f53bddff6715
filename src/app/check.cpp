// convoy check SOURCE [TARGET]: is this input good?

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "app/chosen_rows.hpp"
#include "app/cloud_statistics.hpp"
#include "app/command.hpp"
#include "app/console.hpp"
#include "app/exit_codes.hpp"
#include "app/options.hpp"
#include "app/point_options.hpp"
#include "app/problem_inputs.hpp"
#include "app/quantities.hpp"
#include "app/run_plan.hpp"
#include "app/standard_output.hpp"
#include "convoy/error.hpp"
#include "io/h5ad_contents.hpp"
#include "io/pattern.hpp"

namespace convoy::app {

namespace {

struct Report {
    std::string text;
    int remarks = 0;

    void row(const std::string& name, const std::string& value) {
        text += fmt::format("  {:<21} {}\n", printable(name), printable(value));
    }
    void remark(const std::string& words) {
        text += fmt::format("  {:<22}{}\n", "remark", words);
        ++remarks;
    }
};

// What there is to choose from in an .h5ad file. False if that is all there is to say: no matrix is named, and the file
// has none that is taken by default. Collective.
bool describe_h5ad(const Communicator& world, Report& report, const io::InputOptions& input) {
    const io::Location location = io::Location::parse(input.points);
    if (!io::is_h5ad(location.path) || io::is_pattern(location.path)) return true;
    int goes_on = 1;
    agree(world, [&] {
        if (!world.is_root()) return;
        const io::H5adContents contents = io::contents_of_h5ad(location.path);
        report.text += fmt::format("file {}\n", printable(location.path));
        report.row("cells", count_text(contents.cells));
        report.row("genes", count_text(contents.genes));
        for (const auto& [key, text] : contents.matrices) report.row(key, text);
        for (const auto& [name, text] : contents.columns) report.row("obs " + name, text);
        if (contents.matrices.empty()) report.row("matrices", "none");
        if (location.key.empty() && !contents.default_matrix) {
            goes_on = 0;
            if (!contents.matrices.empty())
                report.row("points", fmt::format("none are named; name some, like: {}#{}", location.path,
                                                 contents.matrices.front().first));
        }
        report.text += "\n";
    });
    world.broadcast(goes_on);
    return goes_on != 0;
}

void describe(Report& report, const std::string& side, const io::InputOptions& input, const io::InputIdentity& identity,
              const CloudStatistics& s) {
    const std::string prepared = io::in_words(identity.prepare, identity.scaling);
    report.text += fmt::format("{} {}\n", side, printable(io::Location{identity.path, identity.key}.name()));
    if (!identity.where.empty()) report.row("rows", chosen_rows(identity));
    report.row("points", fmt::format("{} x {}", count_text(s.rows), plural(s.dimension, "dimension", "dimensions")));
    report.row("values", fmt::format("{:.6g} to {:.6g}, mean {:.6g}{}", s.least, s.largest, s.mean,
                                     prepared.empty() ? "" : " (" + prepared + ")"));
    report.row("weights", input.weights.empty() ? std::string{"equal"}
                                                : fmt::format("{}; {} of {} are zero", input.weights,
                                                              count_text(s.massless), count_text(s.rows)));
    if (s.constant_columns > 0) {
        report.remark(fmt::format("{} of {} columns are constant: they add nothing to the cost", s.constant_columns,
                                  s.dimension));
    }
    if (s.widest_deviation > 1000 * s.narrowest_deviation) {
        report.remark(
            fmt::format("column {} varies {:.0e} times as much as column {}: it rules the cost; "
                        "--standardize?",
                        s.widest_column, s.widest_deviation / s.narrowest_deviation, s.narrowest_column));
    }
    if (s.duplicates > 0) {
        report.remark(fmt::format("{} equal to an earlier one; --merge-duplicates solves with fewer points",
                                  plural(s.duplicates, "point is", "points are")));
    }
    report.text += "\n";
}

void describe_joint(Report& report, const ProblemInputs& inputs, const ProblemClouds& clouds) {
    if (!clouds.merged_source && !clouds.features) return;
    report.text += "together\n";
    if (clouds.merged_source)
        report.row(
            "equal points merged",
            fmt::format("{} x {} are {} x {}", count_text(inputs.given().rows), count_text(inputs.given().columns),
                        count_text(inputs.shape().rows), count_text(inputs.shape().columns)));
    if (clouds.features) report.row("features", in_words(*clouds.features));
    report.text += "\n";
}

void describe_pair(Report& report, Coupling& coupling, const ProblemOptions& problem, const Plan& plan) {
    const CostMoments moments = cost_moments(coupling);
    const double epsilon = problem.epsilon.resolve(coupling);
    report.text += "both\n";
    report.row("cost " + problem.cost.name(),
               fmt::format("mean {:.6g}, standard deviation {:.6g}", moments.mean, moments.standard_deviation));
    report.row("epsilon " + problem.epsilon.name(), fmt::format("{:.10g}", epsilon));
    report.row("rounding", fmt::format("{:.1e} epsilon in {} precision", coupling.rounding_of_cost() / epsilon,
                                       plan.precision == Precision::fp64 ? "double" : "single"));
    if (coupling.rounding_of_cost() > 0.05 * epsilon)
        report.remark("rounding is above 0.05 epsilon: use --precision double");
    const std::string ranks = plural(coupling.grid().world().size(), "rank", "ranks");
    report.row("memory", fmt::format("about {} on each of {}", bytes_text(plan.memory), ranks));
    if (plan.backend == Backend::cuda)
        report.row("device memory", fmt::format("about {} for each of {}", bytes_text(plan.device_memory), ranks));
    report.text += "\n";
}

}  // namespace

int check(const Invocation& invocation) {
    CommandLine line{"check SOURCE [TARGET] [options]",
                     "Reads inputs like solve does, and says what is in them; solves nothing.\n",
                     "Examples:\n"
                     "  convoy check cells.h5ad\n"
                     "  convoy check cells.h5ad#obsm/X_pca --source-where day=10.5\n"
                     "  convoy check images.npy --source-scale 1/255\n"
                     "  convoy check before.npy after.npy --epsilon 0.01std\n\n"
                     "Exit codes: 0 good, 2 not usable.\n"};
    ProblemOptions problem;
    MachineOptions machine;
    declare(line, problem, false);
    declare(line, machine);
    if (!line.parse(invocation)) return done;
    check_together(line, problem);
    check_together(line, machine);
    const bool pair = !problem.target.points.empty();
    std::vector<std::string> of_pairs = options_of_input("target");
    of_pairs.insert(of_pairs.end(), {"--cost", "--epsilon", "--grid", "--memory", "--cache", "--device-memory"});
    of_pairs.insert(of_pairs.end(), std::begin(joint_options), std::end(joint_options));
    for (const std::string& option : of_pairs) {
        CONVOY_VALIDATE(pair || !line.given(option),
                        fmt::format("{} has no effect without a TARGET; give one or leave the option out", option));
    }

    const Communicator& world = invocation.world;
    Report report;
    const bool goes_on = describe_h5ad(world, report, problem.source);
    const bool again =
        io::Location::parse(problem.target.points).path == io::Location::parse(problem.source.points).path;
    if (pair && !again) describe_h5ad(world, report, problem.target);
    if (!pair && !goes_on && problem.source.where.empty() && problem.source.weights.empty()) {
        print(world, report.text + "nothing was read\n");
        return done;
    }
    if (!pair) {
        const io::Shape shape = io::shape_of(world, problem.source);
        const Grid grid{world, {world.size(), 1}};
        io::InputIdentity identity;
        const DistributedCloud source =
            io::read_cloud(grid, Side::row, Partition::even(shape.rows, world.size()), problem.source, identity);
        describe(report, "source", problem.source, identity, statistics_of(grid, Side::row, source));
    } else {
        ProblemInputs inputs{world, problem, [] {}};
        const auto [plan, devices] = plan_run(world, inputs.shape(), problem, machine, {});
        const Grid grid{world, plan.grid};
        ProblemClouds clouds = inputs.read(grid, 0);
        describe(report, "source", problem.source, clouds.source_input, statistics_of(grid, Side::row, clouds.source));
        describe(report, "target", problem.target, clouds.target_input,
                 statistics_of(grid, Side::column, clouds.target));
        describe_joint(report, inputs, clouds);
        Coupling coupling{grid,         std::move(clouds.source), std::move(clouds.target),
                          problem.cost, plan.precision,           plan.backend};
        describe_pair(report, coupling, problem, plan);
    }
    report.text +=
        report.remarks == 0 ? "good\n" : fmt::format("usable; {}\n", plural(report.remarks, "remark", "remarks"));
    print(world, report.text);
    return done;
}

}  // namespace convoy::app
