#include "app/pairs.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "app/exit_codes.hpp"
#include "app/pair_files.hpp"
#include "app/pairs_report.hpp"
#include "app/point_options.hpp"
#include "app/provenance.hpp"
#include "app/quantities.hpp"
#include "app/side_files.hpp"
#include "app/standard_output.hpp"
#include "app/state_fields.hpp"
#include "convoy/error.hpp"
#include "io/cell_pairs.hpp"
#include "io/held_cells.hpp"
#include "parallel/node.hpp"

namespace convoy::app {

namespace {

// Potentials of the last pair that was solved, a piece on every rank, and the values that they belong to.
struct LastPotentials {
    std::size_t pair = 0;
    std::size_t source = 0, target = 0;
    Partition source_pieces, target_pieces;
    std::vector<double> f, g;
};

template <class Archive, class Outcomes>
void outcome_fields(Archive& archive, const std::string& at, Outcomes& outcome) {
    status_field(archive, at + "status", outcome.status);
    archive.text(at + "reason", outcome.reason);
    archive.number(at + "epsilon", outcome.epsilon);
    archive.number(at + "tolerance", outcome.tolerance);
    archive.text(at + "rule", outcome.rule);
    auto& values = outcome.verdict.values;
    archive.number(at + "dual_value", values.dual_value);
    archive.number(at + "transport_cost", values.transport_cost);
    archive.number(at + "kl", values.kl);
    archive.number(at + "normalised_entropy", values.normalised_entropy);
    archive.number(at + "mass", values.mass);
    auto& audit = outcome.verdict.audit;
    archive.number(at + "source_error", audit.source_error);
    archive.number(at + "target_error", audit.target_error);
    archive.flag(at + "sampled", audit.sampled);
    archive.count(at + "rows", audit.rows);
    archive.count(at + "columns", audit.columns);
    archive.number(at + "solver_error", outcome.solver_error);
    archive.count(at + "half_passes", outcome.half_passes);
    archive.count(at + "iterations", outcome.iterations);
    archive.count(at + "restarts", outcome.restarts);
    archive.count(at + "safe_rows", outcome.safe_rows);
    archive.number(at + "work", outcome.work);
    archive.text(at + "start", outcome.start);
    archive.number(at + "seconds", outcome.seconds);
}

// How it went with a pair that is over.
template <class Archive, class Ending>
void pair_fields(Archive& archive, const std::string& at, Ending& ending) {
    bool solved = ending.outcome.has_value();
    archive.flag(at + "solved", solved);
    archive.text(at + "error_text", ending.error);
    archive.number(at + "pair_seconds", ending.seconds);
    if (!solved) return;
    if constexpr (!std::is_const_v<Ending>) ending.outcome.emplace();
    outcome_fields(archive, at, *ending.outcome);
}

class Pairs {
 public:
    Pairs(const Invocation& invocation, const SolveOptions& options)
        : invocation_{invocation},
          options_{options},
          world_{invocation.world},
          run_{world_, options.volume, options.solver.time_limit, options.checkpoint},
          in_a_column_{world_, {world_.size(), 1}},
          in_a_row_{world_, {1, world_.size()}} {
        options_.problem.target = options_.problem.source;
        options_.problem.target.weights = options.problem.target.weights;
    }

    int operator()() {
        plan_files(io::choose_pairs(world_, options_.problem.source, options_.pairs));
        read();
        run_.checkpoints.set_input("source", cells_->input());
        run_.checkpoints.also([this](io::Checkpoint& into) { write_state(into); });
        if (run_.checkpoints.stored() != nullptr) restore(*run_.checkpoints.stored());
        for (; next_ < endings_.size(); ++next_) {
            // What is written by now is this run's, whatever happens to it.
            keep_place();
            if (run_.stop.agreed(world_) != StopReason::none) break;
            solve(next_);
        }
        const int code = close();
        run_.checkpoints.remove();
        return code;
    }

 private:
    const io::CellPairs& pairs() const { return cells_ ? cells_->pairs() : pairs_; }

    // All results have places of their own, where there is nothing yet, before anything is read or solved.
    void plan_files(io::CellPairs chosen) {
        pairs_ = std::move(chosen);
        const OutputOptions& output = options_.output;
        std::set<std::string> names;
        for (const auto& [source, target] : pairs_.pairs) {
            PairEnding ending{.source = pairs_.values[source],
                              .target = pairs_.values[target],
                              .sources = pairs_.cells[source],
                              .targets = pairs_.cells[target],
                              .file = file_of_pair(output.output, pairs_.values[source], pairs_.values[target])};
            CONVOY_VALIDATE(names.insert(ending.file).second,
                            fmt::format("--output: two pairs would be written to '{}'; write a name with {{a}} and "
                                        "{{b}} that tells them apart",
                                        ending.file));
            endings_.push_back(std::move(ending));
        }
        const std::vector<std::string> inputs = {
            options_.checkpoint.file, io::Location::parse(options_.problem.source.points).path, options_.config};
        for (const PairEnding& ending : endings_)
            check_outputs(world_, {{"--output", ending.file}, {"--summary", output.summary}}, inputs,
                          output.overwrite || is_own_result(world_, options_.checkpoint, ending.file));
    }

    // --- checkpoints: between pairs, and within them by the solver ---

    void keep_place() {
        // A state that is still to be gone on from stays where it is.
        if (run_.checkpoints.state() != nullptr) return;
        run_.checkpoints.at_boundary(
            in_a_column_, run_.stop, run_.console, run_.phases,
            [&] { return plural(static_cast<std::int64_t>(next_), "pair", "pairs"); }, [](io::Checkpoint&) {}, true);
    }

    void write_state(io::Checkpoint& into) const {
        StateWriter writer{into};
        writer.count("pairs.next", static_cast<std::int64_t>(next_));
        writer.count("pairs.last", last_ ? static_cast<std::int64_t>(last_->pair) : -1);
        for (std::size_t k = 0; k < next_; ++k) pair_fields(writer, fmt::format("pair{}.", k + 1), endings_[k]);
    }

    void restore(const io::StoredCheckpoint& stored) {
        StateReader reader{stored};
        next_ = static_cast<std::size_t>(std::clamp<std::int64_t>(stored.count("pairs.next"), 0, std::ssize(endings_)));
        for (std::size_t k = 0; k < next_; ++k) {
            pair_fields(reader, fmt::format("pair{}.", k + 1), endings_[k]);
            if (endings_[k].outcome) endings_[k].outcome->cost = options_.problem.cost;
        }
        const std::int64_t last = stored.count("pairs.last");
        if (last >= 0 && last < static_cast<std::int64_t>(next_)) read_last(static_cast<std::size_t>(last));
        if (!stored.has_part("solver.f")) run_.checkpoints.state_is_taken();  // it was between two pairs
    }

    // Of a pair whose result is written.
    void read_last(std::size_t k) {
        const auto [source, target] = pairs().pairs[k];
        const PairEnding& ending = endings_[k];
        LastPotentials last{k,
                            source,
                            target,
                            Partition::even(ending.sources, world_.size()),
                            Partition::even(ending.targets, world_.size()),
                            {},
                            {}};
        last.f = io::read_stored_vector(in_a_column_, Side::row, last.source_pieces, ending.file, "potentials/f");
        last.g = io::read_stored_vector(in_a_row_, Side::column, last.target_pieces, ending.file, "potentials/g");
        last_ = std::move(last);
    }

    void read() {
        const MachineOptions& machine = options_.machine;
        if (machine.grid) const Grid matches{world_, *machine.grid};
        const double memory = machine.memory.value_or(default_memory_share * share_of_node(world_).memory);
        cells_.emplace(world_, options_.problem.source, options_.problem.target, std::move(pairs_), memory);
        options_.machine.memory = memory - cells_->bytes();
        run_.heed_signals("reading");
        run_.phases.end("read");
        shared_ = run_.phases;

        Console& console = run_.console;
        run_.checkpoints.tell(console);
        console.say(fmt::format("convoy {} solve: {} of {}, {} of {}", version(),
                                plural(std::ssize(endings_), "pair", "pairs"),
                                plural(std::ssize(pairs().values), "value", "values"), pairs().column,
                                plural(cells_->dimension(), "dimension", "dimensions")));
        const io::InputIdentity& all = cells_->input();
        console.say(fmt::format(
            "cells: {}, {} of {}{}", io::Location{all.path, all.key}.name(), count_text(all.rows),
            plural(all.file_rows, "row", "rows"),
            all.rows_without_value > 0
                ? fmt::format(" ({} there)", plural(all.rows_without_value, "row has no value", "rows have no value"))
                : ""));
        constexpr std::size_t most_listed = 20;
        std::vector<std::string> values;
        for (std::size_t k = 0; k < std::min(pairs().values.size(), most_listed); ++k)
            values.push_back(fmt::format("{}: {}", pairs().values[k], pairs().cells[k]));
        if (pairs().values.size() > most_listed)
            values.push_back(fmt::format("and {} more", pairs().values.size() - most_listed));
        console.say(fmt::format("{} {}: {}", pairs().column, pairs().order, fmt::join(values, ", ")));
    }

    std::string in_words(std::size_t k) const {
        return fmt::format("{} to {} of {}", endings_[k].source, endings_[k].target, pairs().column);
    }

    void solve(std::size_t k) {
        run_.phases = Phases{};
        PairEnding& ending = endings_[k];
        run_.console.say(fmt::format("pair {} of {}, {}: {} x {} cells", k + 1, endings_.size(), in_words(k),
                                     count_text(ending.sources), count_text(ending.targets)));
        try {
            solve_and_keep(k);
        } catch (const FatalFailure&) {
            throw;  // files are open that cannot be closed any more
        } catch (const InputError& error) {
            ending.error = error.what();
        } catch (const Failure& error) {
            if (run_.stop.agreed(world_) == StopReason::signal) refuse_to_go_on(k);
            ending.error = error.what();
        }
        if (!ending.error.empty()) run_.console.warn(fmt::format("{} failed: {}", in_words(k), ending.error));
        run_.phases.end("write");
        ending.seconds = run_.phases.total();
    }

    void solve_and_keep(std::size_t k) {
        const auto [source, target] = pairs().pairs[k];
        Problem problem = load(k);
        SolveOptions one = options_;
        one.output.output = endings_[k].file;
        const std::optional<KnownPotentials> known = known_potentials(problem, source, target);
        const std::vector<std::pair<std::string, io::Attributes>> groups = {
            {"pair", {{"column", pairs().column}, {"source", endings_[k].source}, {"target", endings_[k].target}}}};
        WrittenResult written = solve_and_write(run_, problem, invocation_, one, known ? &*known : nullptr, groups);
        endings_[k].outcome = std::move(written.outcome);
        keep_potentials(problem, k, written.result);
    }

    Problem load(std::size_t k) {
        const auto [source, target] = pairs().pairs[k];
        const ProblemShape shape{endings_[k].sources, endings_[k].targets, cells_->dimension()};
        auto [plan, devices] = plan_again(run_, shape, options_.problem, options_.machine, options_.solver);
        run_.console.say(plan.explain);
        run_.checkpoints.set_plan(plan.attributes, run_.console);
        if (!told_devices_) tell_devices(run_.console, devices);
        told_devices_ = true;
        const Grid grid{world_, plan.grid};
        const Partition rows = Partition::even(shape.rows, grid.parts(Side::row));
        const Partition columns = Partition::even(shape.columns, grid.parts(Side::column));
        io::InputIdentity source_input, target_input;
        DistributedCloud from = cells_->cloud(grid, Side::row, rows, source, source_input);
        DistributedCloud to = cells_->cloud(grid, Side::column, columns, target, target_input);
        run_.phases.end("read");
        Coupling coupling{grid,           std::move(from), std::move(to),     options_.problem.cost,
                          plan.precision, plan.backend,    plan.keep_products};
        run_.heed_signals("computing products");
        run_.phases.end(plan.keep_products ? "products" : "epsilon");
        return {shape, std::move(plan), std::move(coupling), std::move(source_input), std::move(target_input)};
    }

    // Of the side that this pair shares with the last one.
    std::optional<KnownPotentials> known_potentials(const Problem& problem, std::size_t source,
                                                    std::size_t target) const {
        if (!last_ || options_.solver.start() != StartKind::automatic) return std::nullopt;
        const Coupling& coupling = problem.coupling;
        const auto of = [&](Side side, const Partition& pieces, const std::vector<double>& mine) {
            return regroup(coupling.grid(), side, pieces, coupling.cloud(side).partition, 1, mine);
        };
        const LastPotentials& last = *last_;
        const std::string words = "potentials of the last pair";
        if (source == last.source) return KnownPotentials{of(Side::row, last.source_pieces, last.f), {}, words};
        if (target == last.target) return KnownPotentials{{}, of(Side::column, last.target_pieces, last.g), words};
        if (source == last.target) return KnownPotentials{of(Side::row, last.target_pieces, last.g), {}, words};
        if (target == last.source) return KnownPotentials{{}, of(Side::column, last.source_pieces, last.f), words};
        return std::nullopt;
    }

    void keep_potentials(const Problem& problem, std::size_t k, const io::Result& result) {
        const Coupling& coupling = problem.coupling;
        const auto [source, target] = pairs().pairs[k];
        LastPotentials last{k,
                            source,
                            target,
                            Partition::even(problem.shape.rows, world_.size()),
                            Partition::even(problem.shape.columns, world_.size()),
                            {},
                            {}};
        const auto pieces = [&](Side side, const Partition& even, const std::vector<double>& mine) {
            return cut_into_pieces(coupling.grid(), side, coupling.cloud(side).partition, even, 1, mine);
        };
        last.f = pieces(Side::row, last.source_pieces, result.f);
        last.g = pieces(Side::column, last.target_pieces, result.g);
        last_ = std::move(last);
    }

    [[noreturn]] void refuse_to_go_on(std::size_t k) const {
        const auto written = std::ranges::count_if(endings_, [](const PairEnding& e) { return e.outcome.has_value(); });
        throw Failure{fmt::format("ended by a signal at {}; {} of {} are written, nothing of this one is", in_words(k),
                                  written, plural(std::ssize(endings_), "pair", "pairs"))};
    }

    int close() {
        Phases phases = shared_;
        phases.add("pairs", std::accumulate(endings_.begin(), endings_.end(), 0.0,
                                            [](double sum, const PairEnding& one) { return sum + one.seconds; }));
        PairsReport report{
            .column = pairs().column,
            .pairs = endings_,
            .input = cells_->input(),
            .root = {{"program", "convoy"}, {"version", version()}, {"command", "solve"}, {"created", utc_now()}},
            .run = whereabouts(world_, invocation_.line),
            .timing = phases.over_ranks(world_),
            .memory = peak_memory(world_),
            .files = {},
            .warnings = run_.console.warnings()};
        for (const PairEnding& ending : endings_)
            if (ending.outcome) report.files.push_back(ending.file);
        const std::string& summary = options_.output.summary;
        std::string failure;  // costs the file, not the table
        if (!summary.empty()) {
            try {
                report.files.push_back(summary);
                write_text(world_, summary, summary_json(report), options_.output.overwrite);
            } catch (const Failure& error) {
                report.files.pop_back();
                failure = error.what();
            }
        }
        print(world_, summary_text(report));
        if (!failure.empty()) throw Failure{failure + "; the results themselves are complete"};

        // The worst of all.
        const auto any = [&](const auto& holds) { return std::ranges::any_of(endings_, holds); };
        if (any([](const PairEnding& one) { return !one.error.empty(); })) return failed;
        const auto short_of_it = [](const PairEnding& one) {
            return !one.outcome || one.outcome->status != Status::converged;
        };
        return any(short_of_it) ? not_converged : done;
    }

    const Invocation& invocation_;
    SolveOptions options_;
    const Communicator& world_;
    Run run_;
    Phases shared_;
    io::CellPairs pairs_;  // until the cells are read, which have them then
    std::optional<io::HeldCells> cells_;
    std::vector<PairEnding> endings_;
    std::size_t next_ = 0;  // in hand, or to be solved next
    std::optional<LastPotentials> last_;
    Grid in_a_column_, in_a_row_;  // pieces of either side, one a rank
    bool told_devices_ = false;
};

}  // namespace

void declare_pairs(CommandLine& line, SolveOptions& options) {
    line.text("--pairs", "COL=HOW",
              "many problems from one .h5ad file, without TARGET: cells by column COL of obs, HOW is sequential (each "
              "value and the next), star:VALUE (this one and each other) or A:B[,A:B...]; a result each: -o PREFIX "
              "gives PREFIX_A_B.h5, or say where with {a} and {b}",
              options.pairs)
        ->group("Problem");
}

void check_pairs(const Communicator& world, const CommandLine& line, SolveOptions& options) {
    const ProblemOptions& problem = options.problem;
    CONVOY_VALIDATE(problem.target.points.empty(),
                    fmt::format("'{}' has no effect together with --pairs (both sides are cells of SOURCE); leave one "
                                "of them out",
                                problem.target.points));
    CONVOY_VALIDATE(!options.output.output.empty(), "no output is given; add -o PREFIX");
    const auto none = [&](const std::string& name, const char* why) {
        CONVOY_VALIDATE(!line.given(name),
                        fmt::format("{} has no effect together with --pairs ({}); leave it out", name, why));
    };
    none("--target-where", "--source-where holds for the cells of both sides");
    for (const std::string& option : options_of_input("target"))
        if (option != "--target-weights" && option != "--target-where")
            none(option, "both sides are prepared as SOURCE is");
    for (const char* option : {"--transpose", "--source-transpose"}) none(option, "cells are the file's rows");
    for (const char* option : {"--grayscale", "--source-grayscale", "--blur", "--source-blur"})
        none(option, "cells are no images");
    for (const char* option : joint_options) none(option, "it is about two clouds alone");
    none("--trace", "each result has its history");
    for (const auto& [name, weights] : {std::pair{"--source-weights", &problem.source.weights},
                                        std::pair{"--target-weights", &problem.target.weights}})
        CONVOY_VALIDATE(weights->empty() || weights->starts_with("obs:"),
                        fmt::format("{}: '{}' has not a weight for each cell of every pair; give a column of the file "
                                    "itself, like obs:growth",
                                    name, *weights));
    agree(world, [&] {
        if (world.is_root()) options.solver.check_start();
    });
    CONVOY_VALIDATE(options.solver.start().has_value(),
                    fmt::format("--init: '{}' is no start of many pairs (they have different points); name one, or "
                                "leave it out",
                                options.solver.init));
    options.config = line.config();
}

int solve_pairs(const Invocation& invocation, const SolveOptions& options) {
    return Pairs{invocation, options}();
}

}  // namespace convoy::app
