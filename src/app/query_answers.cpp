#include "app/query_answers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "app/quantities.hpp"
#include "convoy/error.hpp"

namespace convoy::app {

namespace {

constexpr const char* csr_attributes[] = {"csr_matrix", "0.1.0"};

// Collects answers: who writes which rows, and what is said of them.
class Answering {
 public:
    Answering(LoadedPlan& loaded, const SolvedPlan& plan, const QueryOptions& options, Run& run)
        : loaded_{loaded}, plan_{plan}, options_{options}, run_{run}, grid_{loaded.coupling.grid()} {}

    void match();
    void entries();
    void pairs();
    void draws();
    void barycentric();
    void averages(Side stays, const Columns& columns);
    void transition(const SideLabels& labels);
    void diagonal();
    void entropy();
    void marginals();
    Asked take() { return std::move(asked_); }

 private:
    template <class T>
    using Vector = std::vector<T>;

    Coupling& coupling() { return loaded_.coupling; }
    std::int64_t points(Side side) const { return loaded_.coupling.points(side); }
    std::int64_t first(Side side) const { return loaded_.coupling.cloud(side).partition.first(grid_.part(side)).value; }
    // All that share a part have its answers: the first of them writes.
    bool writes(Side side) const { return grid_.sharers(side).is_root(); }
    void group(const std::string& path, io::Attributes attributes = {}) {
        asked_.answers.groups.emplace_back(path, std::move(attributes));
    }
    // An array with rows for each point of a side.
    template <class T>
    void of_points(const std::string& path, Side side, std::int64_t width, Vector<T> values) {
        place(path, points(side), width, first(side), writes(side) ? std::move(values) : Vector<T>{});
    }
    // A small one that all ranks have.
    template <class T>
    void of_all(const std::string& path, std::int64_t rows, std::int64_t width, Vector<T> values) {
        place(path, rows, width, 0, run_.world.is_root() ? std::move(values) : Vector<T>{});
    }
    template <class T>
    void place(const std::string& path, std::int64_t rows, std::int64_t width, std::int64_t begin, Vector<T> values) {
        asked_.answers.arrays.push_back({path, rows, width, begin, std::move(values)});
    }
    // Points, in the coordinates of the files if that is asked for.
    void place_points(const std::string& path, std::int64_t rows, std::int64_t begin, Vector<double> values) {
        const std::optional<Features>& features = loaded_.features;
        if (!writes(Side::row)) values.clear();
        if (features) values = features->undo(values);
        place(path, rows, features ? features->inputs : coupling().dimension(), begin, std::move(values));
    }
    void say(std::string name, std::string value) { asked_.lines.push_back({std::move(name), std::move(value)}); }
    void number(std::string name, double value) { asked_.numbers.emplace_back(std::move(name), value); }
    const std::vector<double>& log_masses_of(Side side);
    // Where this rank's rows begin among those of all, if each part has so many; and how many there are.
    std::pair<std::int64_t, std::int64_t> place_among_parts(std::int64_t mine) const;
    void between(const SampledPairs& pairs, std::int64_t before, std::int64_t all);

    LoadedPlan& loaded_;
    const SolvedPlan& plan_;
    const QueryOptions& options_;
    Run& run_;
    const Grid& grid_;
    std::optional<std::vector<double>> log_mass_[2];
    std::vector<double> images_;  // of the source's points, once they are known
    Asked asked_;
};

const std::vector<double>& Answering::log_masses_of(Side side) {
    auto& known = log_mass_[side == Side::row ? 0 : 1];
    if (!known) {
        known = log_masses(plan_, side);
        plan_.between();
        run_.phases.end("masses");
    }
    return *known;
}

std::pair<std::int64_t, std::int64_t> Answering::place_among_parts(std::int64_t mine) const {
    std::vector<std::int64_t> counts(static_cast<std::size_t>(grid_.parts(Side::row)), 0);
    const auto part = static_cast<std::ptrdiff_t>(grid_.part(Side::row).value);
    counts[static_cast<std::size_t>(part)] = mine;
    grid_.holders(Side::row).sum(counts);
    return {std::accumulate(counts.begin(), counts.begin() + part, std::int64_t{0}),
            std::accumulate(counts.begin(), counts.end(), std::int64_t{0})};
}

void Answering::match() {
    group("match");
    for (const Side side : {Side::row, Side::column}) {
        const std::string name = side == Side::row ? "source" : "target";
        Matches matches = best_matches(plan_, side, log_masses_of(side));
        const double mean = coupling().mean(side, matches.probability);
        say(side == Side::row ? "match of a source" : "match of a target",
            fmt::format("probability {:.4g} in the mean", mean));
        number("match_probability_of_" + name, mean);
        group("match/" + name);
        of_points("match/" + name + "/index", side, 0, std::move(matches.index));
        of_points("match/" + name + "/probability", side, 0, std::move(matches.probability));
        run_.phases.end("match");
    }
}

void Answering::entries() {
    SparseRows rows = largest_entries(plan_, Side::row, *options_.entries, log_masses_of(Side::row));
    const auto [before, all] = place_among_parts(std::ssize(rows.index));
    const double share = coupling().mean(Side::row, rows.share);
    say("entries", fmt::format("{} of {} rows; they hold {:.6g} of a row in the mean", count_text(all),
                               count_text(points(Side::row)), share));
    number("entries", static_cast<double>(all));
    number("share_of_entries", share);
    // .h5ad files have nothing but the matrix, by the name that AnnData has for it.
    const std::string at = options_.format == AnswerFormat::h5ad ? "X" : "top";
    group(at,
          {{"encoding-type", std::string{csr_attributes[0]}}, {"encoding-version", std::string{csr_attributes[1]}}});
    asked_.answers.lists.push_back({at, "shape", {points(Side::row), points(Side::column)}});
    const bool mine = writes(Side::row);
    // Every part has the ends of its rows; the first one also the beginning of all.
    std::vector<std::int64_t> ends;
    if (grid_.part(Side::row).value == 0) ends.push_back(0);
    for (std::size_t i = 1; i < rows.begin.size(); ++i) ends.push_back(before + rows.begin[i]);
    place(at + "/indptr", points(Side::row) + 1, 0, grid_.part(Side::row).value == 0 ? 0 : first(Side::row) + 1,
          mine ? std::move(ends) : std::vector<std::int64_t>{});
    place(at + "/indices", all, 0, before, mine ? std::move(rows.index) : std::vector<std::int64_t>{});
    place(at + "/data", all, 0, before, mine ? std::move(rows.value) : std::vector<double>{});
    if (options_.format != AnswerFormat::h5ad) of_points("top_share", Side::row, 0, std::move(rows.share));
    run_.phases.end("entries");
}

void Answering::pairs() {
    SampledPairs pairs = sample_pairs(plan_, options_.pairs, options_.seed);
    const auto [before, all] = place_among_parts(std::ssize(pairs.source));
    CONVOY_ASSERT(all == options_.pairs);
    say("pairs", fmt::format("{} drawn (seed {})", count_text(all), options_.seed));
    run_.phases.end("pairs");
    if (!options_.times.empty()) between(pairs, before, all);
    group("pairs", {{"seed", fmt::format("{}", options_.seed)}});
    const bool mine = writes(Side::row);
    place("pairs/source", all, 0, before, mine ? std::move(pairs.source) : std::vector<std::int64_t>{});
    place("pairs/target", all, 0, before, mine ? std::move(pairs.target) : std::vector<std::int64_t>{});
}

// Drawn pairs on their way.
void Answering::between(const SampledPairs& pairs, std::int64_t before, std::int64_t all) {
    const std::vector<double> y = target_points(plan_, pairs);
    const std::vector<double>& x = loaded_.start_of_source();
    const std::int64_t d = coupling().dimension(), begin = first(Side::row);
    for (std::size_t k = 0; k < options_.times.size(); ++k) {
        const double t = options_.times[k];
        std::vector<double> moved;
        if (writes(Side::row)) moved = y;
        for (std::size_t at = 0; at < moved.size(); ++at) {
            const auto pair = at / static_cast<std::size_t>(d), c = at % static_cast<std::size_t>(d);
            const auto from = static_cast<std::size_t>((pairs.source[pair] - begin) * d) + c;
            moved[at] = (1 - t) * x[from] + t * y[at];
        }
        place_points(fmt::format("interpolation/samples_{}", k), all, before, std::move(moved));
    }
    run_.phases.end("interpolation");
}

void Answering::draws() {
    std::vector<std::int64_t> draws = sample_rows(plan_, Side::row, options_.draws_of_a_row, options_.seed);
    say("draws of a row", fmt::format("{} (seed {})", count_text(options_.draws_of_a_row), options_.seed));
    of_points("row_samples", Side::row, options_.draws_of_a_row, std::move(draws));
    run_.phases.end("draws");
}

void Answering::barycentric() {
    const Cloud& target = coupling().local(Side::column);
    const std::int64_t d = coupling().dimension();
    std::vector<double> images = conditional_averages(plan_, Side::row, target.points, d);
    run_.phases.end("barycentric");
    const std::vector<double>& x = loaded_.start_of_source();
    for (std::size_t k = 0; k < options_.times.size(); ++k) {
        const double t = options_.times[k];
        std::vector<double> moved(images.size());
        for (std::size_t at = 0; at < moved.size(); ++at) moved[at] = (1 - t) * x[at] + t * images[at];
        place_points(fmt::format("interpolation/points_{}", k), points(Side::row), first(Side::row), std::move(moved));
    }
    if (options_.barycentric) place_points("barycentric", points(Side::row), first(Side::row), std::move(images));
}

void Answering::averages(Side stays, const Columns& columns) {
    const bool push = stays == Side::column;
    std::vector<double> values = conditional_averages(plan_, stays, columns.values, columns.width);
    say(push ? "pushed" : "pulled", plural(columns.width, "column", "columns"));
    of_points(push ? "push" : "pull", stays, columns.width, std::move(values));
    run_.phases.end(push ? "push" : "pull");
}

void Answering::transition(const SideLabels& labels) {
    const Labels &source = labels.source, &target = labels.target;
    const auto rows = source.levels.size(), columns = target.levels.size();
    Transition forward = convoy::transition(plan_, Side::row, source.groups, target.groups, log_masses_of(Side::row));
    Transition backward =
        convoy::transition(plan_, Side::column, target.groups, source.groups, log_masses_of(Side::column));

    TransitionTable table{source.levels, target.levels, forward.joint};
    std::vector<double> of_row(rows, 0.0), of_column(columns, 0.0);
    double total = 0;
    for (std::size_t r = 0; r < rows; ++r) {
        for (std::size_t c = 0; c < columns; ++c) {
            of_row[r] += table.joint[r * columns + c];
            of_column[c] += table.joint[r * columns + c];
            total += table.joint[r * columns + c];
        }
    }
    std::vector<double> by_row = table.joint, by_column = table.joint;
    for (std::size_t r = 0; r < rows; ++r) {
        for (std::size_t c = 0; c < columns; ++c) {
            by_row[r * columns + c] /= of_row[r] > 0 ? of_row[r] : 1;
            by_column[r * columns + c] /= of_column[c] > 0 ? of_column[c] : 1;
            // Points without a label are not of one group.
            if (source.levels[r] != target.levels[c] || source.levels[r] == no_label) continue;
            table.equal += table.joint[r * columns + c] / total;
            table.independent += of_row[r] / total * of_column[c] / total;
        }
    }
    const auto r = static_cast<std::int64_t>(rows), c = static_cast<std::int64_t>(columns);
    say("mass on equal labels",
        fmt::format("{:.4f}   ({:.4f} if labels did not matter)", table.equal, table.independent));
    number("equal_mass", table.equal);
    number("equal_mass_independent", table.independent);
    group("transition", {{"column", options_.transition},
                         {"source_labels", options_.source_labels},
                         {"target_labels", options_.target_labels},
                         {"equal_mass", table.equal},
                         {"equal_mass_independent", table.independent}});
    of_all("transition/joint", r, c, table.joint);
    of_all("transition/forward", r, c, std::move(by_row));
    of_all("transition/backward", r, c, std::move(by_column));
    of_points("transition/source_label", Side::row, 0, std::move(forward.group));
    of_points("transition/source_share", Side::row, 0, std::move(forward.share));
    of_points("transition/target_label", Side::column, 0, std::move(backward.group));
    of_points("transition/target_share", Side::column, 0, std::move(backward.share));
    const auto texts = [&](const std::string& path, const std::vector<std::string>& levels) {
        asked_.answers.texts.push_back({path, std::ssize(levels), [levels](std::int64_t begin, std::int64_t count) {
                                            return std::vector<std::string>(levels.begin() + begin,
                                                                            levels.begin() + begin + count);
                                        }});
    };
    texts("transition/source_levels", source.levels);
    texts("transition/target_levels", target.levels);
    asked_.transition = std::move(table);
    run_.phases.end("transition");
}

void Answering::diagonal() {
    std::vector<double> own = log_diagonal(plan_);
    const std::vector<double>& log_mass = log_masses_of(Side::row);
    // Of the identity coupling, which sends a_i from i to i, relative to the plan: what knowing the pairs would add.
    const double kl = -coupling().mean(Side::row, own);
    std::vector<double> entries;
    for (const double log_entry : own) entries.push_back(std::exp(log_entry));
    const double trace = coupling().mean(Side::row, entries);
    for (std::size_t i = 0; i < own.size(); ++i) own[i] = std::min(std::exp(own[i] - log_mass[i]), 1.0);
    say("trace", fmt::format("{:.6g}", trace));
    say("KL of the identity", fmt::format("{:.6g} nats", kl));
    number("trace", trace);
    number("kl_of_identity", kl);
    group("diagonal", {{"trace", trace}, {"kl_of_identity", kl}});
    of_points("diagonal/probability", Side::row, 0, std::move(own));
    run_.phases.end("diagonal");
}

void Answering::entropy() {
    std::vector<double> entropy = conditional_entropy(plan_, Side::row, log_masses_of(Side::row));
    std::int64_t partners = 0;
    for (const double b : coupling().local(Side::column).weights) partners += b > 0 ? 1 : 0;
    auto all = static_cast<double>(partners);
    coupling().sum_over_parts(Side::column, std::span{&all, 1});
    const double most = all > 1 ? std::log(all) : 1;
    for (double& h : entropy) h = std::min(h / most, 1.0);
    const double mean = coupling().mean(Side::row, entropy);
    say("entropy of a row",
        fmt::format("{:.4f} of the largest possible, in the mean ({:.3g} partners)", mean, std::exp(mean * most)));
    number("entropy", mean);
    group("entropy", {{"mean", mean}, {"log_partners", most}});
    of_points("entropy/source", Side::row, 0, std::move(entropy));
    run_.phases.end("entropy");
}

void Answering::marginals() {
    group("marginals");
    std::vector<double> growth;
    for (const Side side : {Side::row, Side::column}) {
        const std::vector<double>& log_mass = log_masses_of(side);
        const std::vector<double>& own = coupling().local(side).weights;
        std::vector<double> sums;
        for (std::size_t i = 0; i < own.size(); ++i) {
            sums.push_back(own[i] * std::exp(log_mass[i]));
            if (side == Side::row) growth.push_back(std::exp(log_mass[i]));
        }
        const double error = coupling().marginal_error(side, log_mass);
        say(side == Side::row ? "row sums" : "column sums", fmt::format("{:.2e} from the masses (L1)", error));
        of_points(side == Side::row ? "marginals/source" : "marginals/target", side, 0, std::move(sums));
    }
    of_points("growth", Side::row, 0, std::move(growth));
    run_.phases.end("masses");
}

}  // namespace

std::optional<SideLabels> read_labels(const Grid& grid, const io::Model& model, const QueryOptions& options,
                                      SideNames& names) {
    if (!options.has_transition()) return std::nullopt;
    const auto of = [&](Side side, const std::string& file) {
        const Partition partition = Partition::even(model.points(side), grid.parts(side));
        const std::string& name = model.side(side).name;
        if (!file.empty()) return labels_of_file(grid, side, partition, file, "--" + name + "-labels");
        auto& own = names.of(side);
        CONVOY_VALIDATE(own, fmt::format("--transition: the {} of '{}' has no table of cells (it is no .h5ad file, or "
                                         "is not there any more); give --{}-labels FILE, or --{} PATH[#KEY]",
                                         name, model.path, name, name));
        return labels_of_column(grid, side, partition, *own, options.transition);
    };
    Labels source = of(Side::row, options.source_labels);
    return SideLabels{std::move(source), of(Side::column, options.target_labels)};
}

Columns read_columns(const Grid& grid, Side side, const Partition& partition, const std::string& file,
                     const std::string& option) {
    if (file.empty()) return {};
    const io::InputOptions input{.points = file, .weights = {}};
    const io::Shape shape = io::shape_of(grid.world(), input);
    CONVOY_VALIDATE(
        shape.rows == partition.items(),
        fmt::format("{} '{}' has {} rows (a row for each of {} is needed); give them in the {}'s order", option, file,
                    shape.rows, plural(partition.items(), "point", "points"), side == Side::row ? "source" : "target"));
    io::InputIdentity identity;
    DistributedCloud cloud = io::read_cloud(grid, side, partition, input, identity);
    return {shape.columns, std::move(cloud.local.points)};
}

Asked ask(LoadedPlan& loaded, const SolvedPlan& plan, const QueryOptions& options,
          const std::optional<SideLabels>& labels, const Columns& pushed, const Columns& pulled, Run& run) {
    Answering answering{loaded, plan, options, run};
    if (options.match) answering.match();
    if (options.entries) answering.entries();
    if (options.pairs > 0) answering.pairs();
    if (options.draws_of_a_row > 0) answering.draws();
    if (options.barycentric || !options.times.empty()) answering.barycentric();
    if (pulled.width > 0) answering.averages(Side::row, pulled);
    if (pushed.width > 0) answering.averages(Side::column, pushed);
    if (labels) answering.transition(*labels);
    if (options.diagonal) answering.diagonal();
    if (options.entropy) answering.entropy();
    if (options.marginals) answering.marginals();
    Asked asked = answering.take();
    if (!options.times.empty()) {
        asked.answers.groups.insert(asked.answers.groups.begin(), {"interpolation", {}});
        asked.answers.arrays.push_back({"interpolation/t", std::ssize(options.times), 0, 0,
                                        run.world.is_root() ? options.times : std::vector<double>{}});
    }
    return asked;
}

}  // namespace convoy::app
