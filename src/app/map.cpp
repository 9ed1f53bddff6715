// convoy map MODEL POINTS -o OUT: new points through a fitted map, a portion at a time.

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "app/chosen_rows.hpp"
#include "app/command.hpp"
#include "app/exit_codes.hpp"
#include "app/fitted_map.hpp"
#include "app/map_progress.hpp"
#include "app/map_report.hpp"
#include "app/options.hpp"
#include "app/point_options.hpp"
#include "app/provenance.hpp"
#include "app/quantities.hpp"
#include "convoy/error.hpp"
#include "io/point_stream.hpp"

namespace convoy::app {

namespace {

struct MapOptions {
    FitOptions fit;
    io::InputOptions points{.points = {}, .weights = {}, .scaling = "1"};
    MachineOptions machine;
    std::string output, summary;
    bool overwrite = false;
    bool original_space = false;
    CheckpointOptions checkpoint;
    VolumeOptions volume;
    std::string config;
};

bool parse(const Invocation& invocation, MapOptions& options) {
    CommandLine line{
        "map MODEL POINTS -o OUT [options]",
        "Sends new points through the entropic map of an earlier run: the images, a row each, in one HDF5 file.\n"
        "Points are streamed, any number of them.\n",
        "Examples:\n"
        "  convoy map run.h5 new.npy -o images.h5\n"
        "  convoy map run.h5 cells.h5#/X --direction backward -o back.h5\n"
        "  srun convoy map model.h5 new.h5#/X --debiased -o images.h5 --summary images.json\n"
        "  convoy check images.h5#/points\n\n"
        "Exit codes: 0 done, 1 failed, 2 bad usage or input, 3 done, but a self problem did not converge, 75\n"
        "stopped early with a checkpoint.\n"};
    declare(line, options.fit, true);
    line.positional("POINTS", "points to map, a row each: PATH[#KEY], e.g. cells.h5#/X, points.npy, table.csv",
                    options.points.points, true);
    line.flag(
            "--original-space",
            "images in the coordinates of the files, where the model's clouds were standardized or projected: undone, "
            "but for what components leave out",
            options.original_space)
        ->group("Map");
    declare_where(line, "--where", "Map", "rows of POINTS, of an .h5ad file,", options.points.where);
    declare_preparation(line, {{"", &options.points}});
    declare(line, options.machine, false);
    line.text("-o,--output", "FILE.h5", "the images: dataset /points of one HDF5 file (required)", options.output)
        ->group("Output");
    line.flag("--overwrite", "replace files that exist", options.overwrite)->group("Output");
    line.text("--summary", "FILE.json", "the closing summary, for programs", options.summary)->group("Output");
    declare_of_portions(line, options.checkpoint);
    declare(line, options.volume);
    if (!line.parse(invocation)) return false;
    check_preparation(line, {{"", &options.points}});
    check_together(line, options.machine);
    check_together(line, options.volume);
    CONVOY_VALIDATE(!options.output.empty(), "no output is given; add -o FILE.h5");
    // Every command finds the reader of its input by the name's end.
    const std::string suffix = std::filesystem::path{options.output}.extension().string();
    CONVOY_VALIDATE(
        suffix == ".h5" || suffix == ".hdf5" || suffix == ".hdf",
        fmt::format("--output: '{}' does not end in .h5 (the file is HDF5, and is read by that name later); "
                    "choose a name that does",
                    options.output));
    options.config = line.config();
    open_checkpoint(invocation.world, line, options.checkpoint, options.output, options.overwrite);
    return true;
}

void check_files(const Communicator& world, const MapOptions& options, const io::Model& model) {
    std::vector<std::string> inputs = files_of(options.fit, model);
    inputs.push_back(io::Location::parse(options.points.points).path);
    inputs.push_back(options.config);
    check_outputs(
        world,
        {{"--output", options.output}, {"--summary", options.summary}, {"--checkpoint", options.checkpoint.file}},
        inputs, options.overwrite);
}

// Far beyond the target, or at its scale's end, numbers overflow.
void expect_finite(const Communicator& world, const MapOptions& options, const MapPlan& plan, GlobalRun mine,
                   std::span<const double> images) {
    agree(world, [&] {
        for (std::size_t k = 0; k < images.size(); ++k) {
            if (std::isfinite(images[k])) continue;
            const std::int64_t row =
                mine.first.value + static_cast<std::int64_t>(k) / (std::ssize(images) / mine.count);
            throw InputError{fmt::format(
                "row {} of '{}' cannot be mapped (its image is not finite: it lies too far away); {}", row,
                options.points.points,
                plan.precision == Precision::single ? "use --precision double, or remove it" : "remove it")};
        }
    });
}

// Rows that are mapped and written are read again, so that the input is the same one as then.
void skip(const Grid& grid, io::PointStream& points, const Partition& portions, const io::PointsFile& file, Run& run) {
    const std::int64_t done = file.rows_written();
    if (done == 0) return;
    for (std::int64_t p = 0; p < portions.parts(); ++p) {
        const GlobalRun portion = intersect(portions.run(PartIndex{p}), {GlobalIndex{0}, done});
        if (portion.count == 0) break;
        const GlobalRun stripe =
            Partition::even(portion.count, grid.world().size()).run(PartIndex{grid.world().rank()});
        points.read(portion, {GlobalIndex{portion.first.value + stripe.first.value}, stripe.count});
        run.heed_signals("reading again what is mapped");
    }
    const io::StoredCheckpoint& stored = *run.checkpoints.stored();
    const auto checksum = static_cast<std::int64_t>(points.identity().checksum);
    CONVOY_VALIDATE(checksum == stored.count("input_checksum"),
                    fmt::format("cannot resume from '{}': the points in '{}' have changed since; start afresh with "
                                "--overwrite",
                                stored.path(), points.identity().path));
    run.phases.end("read");
}

void write_state(io::Checkpoint& into, io::PointsFile& file, const io::PointStream& points, const FittedMap& map) {
    const io::PointsFile::Progress progress = file.keep();
    StateWriter writer{into};
    writer.text("part", progress.part);
    writer.count("rows", progress.rows);
    writer.count("points_offset", progress.points_offset);
    writer.count("self_offset", progress.self_offset);
    writer.count("points_checksum", progress.points_checksum);
    writer.count("self_checksum", progress.self_checksum);
    writer.count("input_checksum", points.identity().checksum);
    if (!map.self()) return;
    const FittedMap::Self& self = *map.self();
    writer.number("self.marginal_error", self.potential.marginal_error);
    writer.number("self.tolerance", self.potential.tolerance);
    writer.text("self.status", self.potential.status);
    writer.count("self.half_passes", self.half_passes);
    into.parts.push_back({"self.f", Side::column, &self.partition, self.potential.f});
}

// The unfinished file of the run that is gone on with, if it is there as that left it.
std::optional<io::PointsFile> file_to_go_on_with(Run& run, const io::PointsHead& head, const std::string& output) {
    const io::StoredCheckpoint* stored = run.checkpoints.stored();
    if (stored == nullptr) return std::nullopt;
    const auto checksum = [&](const char* name) { return static_cast<std::uint32_t>(stored->count(name)); };
    const io::PointsFile::Progress progress{stored->text("part"),           stored->count("rows"),
                                            stored->count("points_offset"), stored->count("self_offset"),
                                            checksum("points_checksum"),    checksum("self_checksum")};
    std::optional<io::PointsFile> file = io::PointsFile::again(run.world, head, output, progress);
    if (!file)
        run.console.warn(fmt::format("the unfinished file '{}' is gone or damaged: starting afresh", progress.part));
    return file;
}

// Reads, maps and writes portion after portion.
void stream(const Grid& grid, const MapOptions& options, const io::Model& model, const MapPlan& plan,
            io::PointStream& points, FittedMap& map, io::PointsFile& file, MapProgress& progress, Run& run) {
    const Communicator& world = grid.world();
    const std::int64_t d = model.dimension();
    const Partition portions = Partition::even(points.rows(), plan.portions.count);
    const GlobalRun left{GlobalIndex{file.rows_written()}, points.rows() - file.rows_written()};
    skip(grid, points, portions, file, run);
    for (std::int64_t p = 0; p < portions.parts(); ++p) {
        const GlobalRun portion = intersect(portions.run(PartIndex{p}), left);
        if (portion.count == 0) continue;
        // Each row of the grid has some of it; the ranks of that row read, and write, a stripe each.
        const Partition parts = Partition::even(portion.count, grid.parts(Side::row));
        const GlobalRun stripe = my_stripe(grid, Side::row, parts);
        const GlobalRun mine{GlobalIndex{portion.first.value + stripe.first.value}, stripe.count};
        std::vector<double> read = points.read(portion, mine);
        if (model.features) read = model.features->apply(read);
        const std::vector<double> z = join_stripes(grid, Side::row, parts, d, read);
        run.phases.end("read");
        const std::vector<double> images = map(z);
        run.phases.end("map");
        const std::int64_t skipped = stripe.first.value - parts.first(grid.part(Side::row)).value;
        const std::span own = stripe.count == 0 ? std::span<const double>{}
                                                : std::span{images}.subspan(static_cast<std::size_t>(skipped * d),
                                                                            static_cast<std::size_t>(stripe.count * d));
        expect_finite(world, options, plan, mine, own);
        if (options.original_space)
            file.write(portion, mine, model.features->undo({own.begin(), own.end()}));
        else
            file.write(portion, mine, own);
        run.phases.end("write");
        const std::int64_t done_so_far = portion.first.value + portion.count;
        if (run.checkpoints.on())
            run.checkpoints.at_boundary(
                grid, run.stop, run.console, run.phases,
                [&] { return fmt::format("{} of {} points", count_text(done_so_far), count_text(points.rows())); },
                [&](io::Checkpoint& into) { write_state(into, file, points, map); });
        else if (run.stop.agreed(world) == StopReason::signal)
            throw Failure{fmt::format("ended by a signal after {} of {} points; nothing is written",
                                      count_text(done_so_far), count_text(points.rows()))};
        progress.show(done_so_far);
    }
    progress.finish();
}

std::vector<std::string> phases_of(const MapOptions& options) {
    std::vector<std::string> names{"read", "map", "kernel", "communication", "write", "total"};
    if (options.fit.debiased && options.fit.self.empty()) names.insert(names.begin() + 1, "self");
    return names;
}

// In the order of the file, whatever order they ended in first.
std::vector<io::PhaseTiming> in_order(const std::vector<std::string>& names,
                                      const std::vector<io::PhaseTiming>& timing) {
    std::vector<io::PhaseTiming> rows;
    for (const std::string& name : names) {
        rows.push_back({name, 0, 0, 0});
        for (const io::PhaseTiming& row : timing)
            if (row.phase == name) rows.back() = row;
    }
    return rows;
}

}  // namespace

int map(const Invocation& invocation) {
    MapOptions options;
    if (!parse(invocation, options)) return done;
    const Communicator& world = invocation.world;
    Run run{world, options.volume, options.checkpoint.time_limit, options.checkpoint};

    // What is asked, and can it be done at all?
    const io::Model model = io::open_model(world, options.fit.model);
    check_fit(options.fit, model);
    io::PointStream points{world, options.points};
    CONVOY_VALIDATE(points.columns() == model.inputs(),
                    fmt::format("points '{}' have {}, but '{}' maps points of {}; give points of the model's space",
                                options.points.points, plural(points.columns(), "column", "columns"), options.fit.model,
                                plural(model.inputs(), "dimension", "dimensions")));
    CONVOY_VALIDATE(!options.original_space || model.features,
                    fmt::format("--original-space has no effect: '{}' maps points as they are (it was solved without "
                                "--standardize and --pca); leave it out",
                                options.fit.model));
    check_files(world, options, model);
    MapRequest request = request_of(options.fit, model);
    request.points = points.rows();
    request.read_dimension = model.inputs();
    SolverOptions none;
    run.checkpoints.ask_for_plan(options.machine, none);
    const auto [plan, devices] = plan_mapping(world, request, options.machine);
    run.console.say(fmt::format("convoy {} map: {} of {} by {}", version(), plural(points.rows(), "point", "points"),
                                plural(points.columns(), "dimension", "dimensions"), in_words(model)));
    run.console.say(plan.explain);
    tell_devices(run.console, devices);
    say_choice(run.console, "points", options.points, points.identity());
    warn_of_status(run.console, model);
    run.checkpoints.tell(run.console);
    run.checkpoints.set_plan(plan.attributes, run.console);
    run.checkpoints.set_fact("model", fmt::format("the checksum of '{}'", model.path), checksums_of(model));
    run.checkpoints.set_fact("output", "the output", options.output);
    run.checkpoints.set_fact("rows", fmt::format("the number of rows of '{}'", options.points.points),
                             fmt::format("{}", points.rows()));

    // The map, then the file, then the points.
    const Grid grid{world, plan.grid};
    FittedMap fitted{grid, model, options.fit, plan, run};
    const FittedMap::Self* self = fitted.self() ? &*fitted.self() : nullptr;
    const bool solved = self == nullptr || self->potential.status == "converged";
    io::PointsHead head;
    head.root = {{"program", "convoy"},
                 {"version", version()},
                 {"command", "map"},
                 {"created", utc_now()},
                 {"status", solved ? model.status : std::string{"not_converged"}}};
    head.model = attributes_of(options.fit, model);
    head.run = plan.attributes;
    const io::Attributes where = whereabouts(world, invocation.line);
    head.run.insert(head.run.end(), where.begin(), where.end());
    const io::Attributes restarts = run.checkpoints.attributes();
    head.run.insert(head.run.end(), restarts.begin(), restarts.end());
    head.phases = phases_of(options);
    head.rows = points.rows();
    head.columns = options.original_space ? model.inputs() : model.dimension();
    head.input = points.identity();
    head.self = self != nullptr ? &self->potential : nullptr;
    head.self_points = self != nullptr ? self->partition.items() : 0;
    std::optional<io::PointsFile> file = file_to_go_on_with(run, head, options.output);
    if (!file) {
        file.emplace(world, head, options.output);
        if (self != nullptr) file->write_self(grid, self->partition, self->potential);
    }
    run.phases.end("write");

    const double pairs = pairs_of_a_point(request);
    MapProgress progress{run.console, points.rows(), pairs};
    stream(grid, options, model, plan, points, fitted, *file, progress, run);
    run.phases.add("kernel", fitted.meters().kernel_seconds);
    run.phases.add("communication", fitted.meters().communication_seconds);
    warn_of_rounding(run.console, fitted);
    file->finish(points.identity().checksum, in_order(head.phases, run.phases.over_ranks(world)), options.overwrite);
    run.checkpoints.remove();
    run.phases.end("write");

    MapReport report{.model = model,
                     .head = head,
                     .input = points.identity(),
                     .self_half_passes = self != nullptr ? self->half_passes : 0,
                     .self_file = options.fit.self,
                     .timing = in_order(head.phases, run.phases.over_ranks(world)),
                     .pairs_per_second = 0,
                     .memory = peak_memory(world),
                     .files = {options.output},
                     .warnings = run.console.warnings()};
    report.pairs_per_second = static_cast<double>(points.rows()) * pairs / longest(report.timing, "map");
    close_map(world, std::move(report), options.summary, options.overwrite);
    return solved ? done : not_converged;
}

}  // namespace convoy::app
