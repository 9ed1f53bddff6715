// convoy query RESULT -o OUT: what a solved plan says, without the plan.

#include <fmt/format.h>

#include <filesystem>
#include <string>
#include <utility>

#include "app/command.hpp"
#include "app/exit_codes.hpp"
#include "app/fitted_map.hpp"
#include "app/provenance.hpp"
#include "app/quantities.hpp"
#include "app/query_answers.hpp"
#include "app/query_options.hpp"
#include "app/query_report.hpp"
#include "app/query_tables.hpp"
#include "convoy/error.hpp"
#include "convoy/plan_questions.hpp"
#include "solvers/portions.hpp"

namespace convoy::app {

namespace {

// Of a table, at most.
double lines(const QueryOptions& options, const io::Model& model) {
    if (options.pairs > 0) return static_cast<double>(options.pairs);
    const std::int64_t of_a_row = options.entries ? std::min(options.entries->count, model.points(Side::column)) : 1;
    return static_cast<double>(model.points(Side::row)) * static_cast<double>(of_a_row);
}

void check_questions(const QueryOptions& options, const io::Model& model) {
    const std::int64_t n = model.points(Side::row), m = model.points(Side::column);
    CONVOY_VALIDATE(
        !options.diagonal || n == m,
        fmt::format("--diagonal: '{}' has {} and {} (point i is held against point i); leave it out", options.result,
                    plural(n, "source point", "source points"), plural(m, "target point", "target points")));
    CONVOY_VALIDATE(options.format != AnswerFormat::csv || options.has_transition() || lines(options, model) <= 1e7,
                    fmt::format("--output: more than ten million lines are no table for .csv; write {} file",
                                options.entries ? "an .h5 or .h5ad" : "an .h5"));
    CONVOY_VALIDATE(!options.original_space || model.features,
                    fmt::format("--original-space has no effect: the points of '{}' are as they are in their files (it "
                                "was solved without --standardize and --pca); leave it out",
                                options.result));
    for (const Side side : {Side::row, Side::column}) {
        const io::ModelSide& one = model.side(side);
        CONVOY_VALIDATE(options.moved(side).empty() || !one.points.there(),
                        fmt::format("--{} has no effect ('{}' holds its {} itself); leave it out", one.name,
                                    options.result, one.name));
    }
}

void check_files(const Communicator& world, const QueryOptions& options, const io::Model& model) {
    std::vector<std::string> inputs{options.result, options.config};
    for (const Side side : {Side::row, Side::column})
        for (std::string& file : io::files_of(model, side, options.moved(side))) inputs.push_back(std::move(file));
    for (const std::string& text : {options.push, options.pull, options.source_labels, options.target_labels})
        inputs.push_back(io::Location::parse(text).path);
    check_outputs(
        world,
        {{"--output", options.output}, {"--summary", options.summary}, {"--checkpoint", options.checkpoint.file}},
        inputs, options.overwrite);
}

// Numbers that answers take, for each point of a side.
double numbers_of_source(const QueryOptions& options, const io::Model& model) {
    const auto d = static_cast<double>(options.original_space ? model.inputs() : model.dimension());
    double numbers = 2;
    if (options.match) numbers += 2;
    if (options.entries)
        numbers += 2 * static_cast<double>(std::min(options.entries->count, model.points(Side::column))) + 3;
    if (options.draws_of_a_row > 0) numbers += static_cast<double>(options.draws_of_a_row);
    if (options.barycentric || !options.times.empty()) numbers += d * static_cast<double>(1 + options.times.size());
    if (model.progressive()) numbers += d;
    if (options.pairs > 0) {
        const double own = options.format == AnswerFormat::npy ? 4 : 2;
        const double width = options.times.empty() ? own : d * static_cast<double>(1 + options.times.size()) + own;
        numbers += width * static_cast<double>(options.pairs) / static_cast<double>(model.points(Side::row)) + 2;
    }
    return numbers + 8;
}

// What passes while an answer is formed, the largest of them: picks, averages.
void add_passing(HeldMore& more, const Communicator& world, const QueryOptions& options, const io::Model& model,
                 std::int64_t columns) {
    const std::int64_t n = model.points(Side::row), m = model.points(Side::column);
    const auto picks = [&](std::int64_t rows, std::int64_t others, std::int64_t count) {
        const PickMemory memory = memory_of_picks(rows, others, count, world.size());
        more.bytes = std::max(more.bytes, memory.rank);
        more.bytes_of_thread = std::max(more.bytes_of_thread, memory.thread);
    };
    if (options.match) {
        picks(n, m, 1);
        picks(m, n, 1);
    }
    if (options.entries) picks(n, m, std::min(options.entries->count, m));
    if (options.draws_of_a_row > 0) picks(n, m, std::min(options.draws_of_a_row, most_draws_at_once));
    if (options.pairs > 0) picks(n, m, std::min(options.pairs, most_draws_at_once));
    more.columns_averaged = std::max(columns, options.has_transition() ? groups_at_once : 0);
    // Averages of a portion: its rows, and those of the part in hand.
    const auto width = static_cast<double>(more.columns_averaged);
    const double averages = 8 * std::min(3 * 0x1p23, 3 * width * static_cast<double>(std::max(n, m)));
    more.bytes = std::max(more.bytes, averages);
    // Tables are put together on every rank.
    constexpr double line = 64;
    if (options.format == AnswerFormat::csv && !options.has_transition())
        more.bytes += 4 * line * lines(options, model);
}

PlannedRun plan_query(const Run& run, const QueryOptions& options, const io::Model& model) {
    const Communicator& world = run.world;
    const auto d = static_cast<double>(model.dimension());
    const auto columns_of = [&](const std::string& file) {
        return file.empty() ? std::int64_t{0}
                            : io::shape_of(world, io::InputOptions{.points = file, .weights = {}}).columns;
    };
    const std::int64_t pushed = columns_of(options.push), pulled = columns_of(options.pull);
    // As read, and once more as they are averaged, and so are groups.
    const double averaged = static_cast<double>(options.has_transition() ? 2 * groups_at_once : 0);
    const auto width = static_cast<double>(pushed + pulled);
    HeldMore more;
    // With checkpoints, what was found is kept until the end, beside the answers that are made of it.
    const double kept = options.checkpoint.on() ? 2 : 1;
    more.sources = (kept * numbers_of_source(options, model) + std::max(3 * width, averaged)) / d;
    more.numbers_of_target = 12 + std::max(3 * width, averaged);
    add_passing(more, world, options, model, std::max(pushed, pulled));
    more.moving_sources = 1;
    more.wide_averages = options.barycentric || !options.times.empty();
    ProblemOptions problem;
    problem.cost = model.cost;
    MachineOptions machine = options.machine;
    machine.cache = Cache::off;  // passes are few, and each is another one
    SolverOptions none;
    none.init.clear();
    none.annealing = false;
    none.acceleration = Acceleration::plain;
    ProblemShape shape{model.points(Side::row), model.points(Side::column), model.dimension()};
    if (model.features) shape.read_dimension = model.inputs();
    return plan_again(run, shape, problem, machine, none, more);
}

std::optional<io::PointNames> names_of(const Communicator& world, const io::Model& model, const QueryOptions& options,
                                       Side side) {
    // Nothing else has names, and text is slow to look at.
    const std::string& moved = options.moved(side);
    const std::string path = moved.empty() ? model.side(side).input.path : io::Location::parse(moved).path;
    if (std::filesystem::path{path}.extension() != ".h5ad") return std::nullopt;
    const std::optional<io::InputOptions> input = io::find_input(world, model, side, options.moved(side));
    return input ? io::PointNames::open(world, *input) : std::nullopt;
}

io::FileTexts names_as_texts(const std::string& path, std::optional<io::PointNames>& names, std::int64_t points,
                             io::Attributes attributes = {}) {
    return {path, points,
            [&names](std::int64_t first, std::int64_t count) {
                if (names) return names->read(first, count);
                std::vector<std::string> numbers;
                for (std::int64_t i = 0; i < count; ++i) numbers.push_back(fmt::format("{}", first + i));
                return numbers;
            },
            std::move(attributes)};
}

// What was run and on which plan; `within` is where these groups are in the file.
void describe_run(io::ArrayFile& answers, const io::Model& model, const Plan& plan, const Invocation& invocation,
                  const Run& of_run, const std::string& within, const io::Attributes& group) {
    io::Attributes run = group, of_model = group;
    for (const io::Attributes& more : {io::Attributes{plan.attributes}, whereabouts(invocation.world, invocation.line),
                                       of_run.checkpoints.attributes()})
        run.insert(run.end(), more.begin(), more.end());
    std::error_code none;
    const auto absolute = std::filesystem::absolute(model.path, none);
    const io::Attributes more{
        {"path", model.path},        {"absolute_path", none ? model.path : absolute.lexically_normal().string()},
        {"command", model.command},  {"status", model.status},
        {"cost", model.cost.name()}, {"epsilon", model.epsilon}};
    of_model.insert(of_model.end(), more.begin(), more.end());
    answers.groups.emplace_back(within + "model", std::move(of_model));
    answers.groups.emplace_back(within + "run", std::move(run));
}

// What AnnData's reader needs around a matrix X: a table for each side, with nothing but names, and empty groups.
void make_anndata(io::ArrayFile& answers, const io::Model& model, SideNames& names, const Plan& plan,
                  const Invocation& invocation, const Run& run) {
    const auto encoding = [](const char* type, const char* version) {
        return io::Attributes{{"encoding-type", std::string{type}}, {"encoding-version", std::string{version}}};
    };
    for (const auto& attribute : encoding("anndata", "0.1.0")) answers.root.push_back(attribute);
    for (const auto& [table, side] : {std::pair{"obs", Side::row}, std::pair{"var", Side::column}}) {
        io::Attributes attributes = encoding("dataframe", "0.2.0");
        attributes.emplace_back("_index", std::string{"_index"});
        answers.groups.emplace_back(table, std::move(attributes));
        answers.lists.push_back({table, "column-order", {}});
        answers.texts.push_back(names_as_texts(std::string{table} + "/_index", names.of(side), model.points(side),
                                               encoding("string-array", "0.2.0")));
    }
    for (const char* empty : {"layers", "obsm", "varm", "obsp", "varp", "uns"})
        answers.groups.emplace_back(empty, encoding("dict", "0.1.0"));
    describe_run(answers, model, plan, invocation, run, "uns/", encoding("dict", "0.1.0"));
}

void make_results_file(io::ArrayFile& answers, const io::Model& model, SideNames& names, const Plan& plan,
                       const Invocation& invocation, const Run& run) {
    describe_run(answers, model, plan, invocation, run, "", {});
    answers.inputs = {{"source", model.source.input}, {"target", model.target.input}};
    for (const Side side : {Side::row, Side::column}) {
        if (!names.of(side)) continue;
        const std::string& name = model.side(side).name;
        answers.groups.emplace_back(name, io::Attributes{});
        answers.texts.push_back(names_as_texts(name + "/names", names.of(side), model.points(side)));
    }
}

void write(const QueryOptions& options, const io::Model& model, const Plan& plan, const Invocation& invocation,
           Asked& asked, SideNames& names, Run& run) {
    switch (options.format) {
        case AnswerFormat::npy:
            return write_as_npy(run.world, asked, options.output, options.overwrite);
        case AnswerFormat::csv:
            return write_as_csv(run.world, asked, names, options.output, options.overwrite);
        case AnswerFormat::h5ad:
            make_anndata(asked.answers, model, names, plan, invocation, run);
            break;
        case AnswerFormat::hdf5:
            make_results_file(asked.answers, model, names, plan, invocation, run);
            asked.answers.timing = run.phases.over_ranks(run.world);
            break;
    }
    io::write_array_file(run.world, asked.answers, options.output, options.overwrite);
}

// From here on portions of passes are put down as they are found, beginning with those that were found before.
void keep_journal(Run& run, const Grid& grid, SolvedPlan& plan, PassJournal& journal) {
    const io::StoredCheckpoint* stored = run.checkpoints.stored();
    if (stored != nullptr && run.checkpoints.same_parts(grid)) {
        journal.rows = stored->words(grid, Side::row, "rows");
        journal.columns = stored->words(grid, Side::column, "columns");
    } else if (stored != nullptr) {
        run.console.say("the grid is not the checkpoint's: everything is asked anew");
    }
    plan.journal = &journal;
    plan.between = [&run, &grid, &journal] {
        // What is only read again is in the checkpoint that it was read from.
        const bool reading = journal.rows_read < journal.rows.size() || journal.columns_read < journal.columns.size();
        double somebody_reads = reading ? 1 : 0;
        grid.world().max(std::span{&somebody_reads, 1});
        if (somebody_reads > 0) return;
        run.checkpoints.at_boundary(
            grid, run.stop, run.console, run.phases,
            [&] { return plural(journal.passes, "portion of a pass", "portions of passes"); },
            [&](io::Checkpoint& into) {
                into.words = {{"rows", Side::row, journal.rows}, {"columns", Side::column, journal.columns}};
            });
    };
}

}  // namespace

int query(const Invocation& invocation) {
    QueryOptions options;
    if (!parse(invocation, options)) return done;
    const Communicator& world = invocation.world;
    Run run{world, options.volume, options.checkpoint.time_limit, options.checkpoint};

    // What is asked, and can it be answered at all?
    const io::Model model = io::open_model(world, options.result);
    check_questions(options, model);
    check_files(world, options, model);
    const auto [plan, devices] = plan_query(run, options, model);
    run.console.say(fmt::format("convoy {} query: {} x {} points of {}, {}", version(),
                                count_text(model.points(Side::row)), count_text(model.points(Side::column)),
                                plural(model.dimension(), "dimension", "dimensions"), in_words(model)));
    run.console.say(plan.explain);
    tell_devices(run.console, devices);
    run.checkpoints.tell(run.console);
    run.checkpoints.set_plan(plan.attributes, run.console);
    run.checkpoints.set_fact("result", fmt::format("the checksum of '{}'", model.path), checksums_of(model));
    if (model.status != "converged")
        run.console.warn(fmt::format("'{}' did not converge (status {}): its plan is not quite the one of its problem",
                                     model.path, model.status));

    // Labels and columns first: what is wrong with them is known before the long part.
    const Grid grid{world, plan.grid};
    SideNames names{names_of(world, model, options, Side::row), names_of(world, model, options, Side::column)};
    const std::optional<SideLabels> labels = read_labels(grid, model, options, names);
    const auto partition = [&](Side side) { return Partition::even(model.points(side), grid.parts(side)); };
    const Columns pushed = read_columns(grid, Side::row, partition(Side::row), options.push, "--push");
    const Columns pulled = read_columns(grid, Side::column, partition(Side::column), options.pull, "--pull");
    LoadedPlan loaded = load_plan(grid, model, options, plan, run);
    warn_of_rounding(run.console, loaded.coupling, model.epsilon);

    SolvedPlan solved = loaded.solved(model.epsilon, [&] { run.heed_signals("asking"); });
    PassJournal journal;
    if (run.checkpoints.on()) keep_journal(run, grid, solved, journal);
    Asked asked = ask(loaded, solved, options, labels, pushed, pulled, run);
    asked.answers.root = {{"program", std::string{"convoy"}},
                          {"version", version()},
                          {"command", std::string{"query"}},
                          {"created", utc_now()},
                          {"status", model.status}};
    write(options, model, plan, invocation, asked, names, run);
    run.checkpoints.remove();
    run.phases.end("write");

    const Meters& meters = loaded.coupling.meters();
    double pairs = meters.pairs, seconds = meters.kernel_seconds;
    world.sum(std::span{&pairs, 1});
    world.max(std::span{&seconds, 1});
    close_query(world,
                {.model = model,
                 .asked = asked,
                 .timing = run.phases.over_ranks(world),
                 .pairs = pairs,
                 .kernel_seconds = seconds,
                 .memory = peak_memory(world),
                 .files = {options.output},
                 .warnings = run.console.warnings()},
                options.summary, options.overwrite);
    return done;
}

}  // namespace convoy::app
