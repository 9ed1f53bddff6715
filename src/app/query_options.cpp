#include "app/query_options.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "app/quantities.hpp"
#include "convoy/error.hpp"

namespace convoy::app {

namespace {

constexpr std::int64_t default_max_k = 1000;

// Words as they are typed, before they are put together.
struct EntriesWords {
    std::optional<std::int64_t> top_k, max_k;
    std::optional<double> mass;
};

std::vector<double> parse_times(const std::string& text) {
    std::vector<double> times;
    for (std::size_t at = 0; at <= text.size();) {
        const auto comma = std::min(text.find(',', at), text.size());
        const double t = parse_number("--interpolate", text.substr(at, comma - at));
        CONVOY_VALIDATE(t >= 0 && t <= 1,
                        fmt::format("--interpolate: {} is not between 0 (the source) and 1 (its image)", t));
        times.push_back(t);
        at = comma + 1;
    }
    return times;
}

void declare_questions(CommandLine& line, QueryOptions& options, EntriesWords& entries) {
    const std::string group = "Questions";
    const auto count = [&](const std::string& name, const std::string& description, auto& keep) {
        line.option(name, "N", description,
                    [&keep, name](const std::string& text) { keep = parse_count(name, text, 1); })
            ->group(group);
    };
    line.flag("--match", "the most likely partner of every point, and its probability; both sides", options.match)
        ->group(group);
    count("--top-k", "the K largest entries of each row of the plan, as a sparse matrix", entries.top_k);
    line.option("--mass", "SHARE",
                "the largest entries of each row, until they hold this share of it, e.g. 0.99; as a sparse matrix",
                [&](const std::string& text) {
                    entries.mass = parse_number("--mass", text);
                    CONVOY_VALIDATE(*entries.mass > 0 && *entries.mass <= 1,
                                    fmt::format("--mass: {} is not a share between 0 and 1", text));
                })
        ->group(group);
    count("--max-k", fmt::format("with --mass: at most so many entries of a row (default {})", default_max_k),
          entries.max_k);
    count("--sample", "so many pairs, drawn from the plan", options.pairs);
    count("--sample-per-row", "so many partners for every source point, drawn from its row, with replacement",
          options.draws_of_a_row);
    line.option("--seed", "N", "of what is drawn (default 0): the same on any ranks and devices",
                [&](const std::string& text) { options.seed = parse_seed("--seed", text); })
        ->group(group);
    line.flag("--barycentric", "the mean of each source point's partners", options.barycentric)->group(group);
    line.option(
            "--interpolate", "T[,T...]",
            "displacement interpolation: source points on their way to their barycentric images, at times between 0 "
            "and 1; with --sample also the drawn pairs on theirs",
            [&](const std::string& text) { options.times = parse_times(text); })
        ->group(group);
    line.flag("--original-space",
              "images and interpolated points in the coordinates of the files, where the result's clouds were "
              "standardized or projected: undone, but for what components leave out",
              options.original_space)
        ->group(group);
    line.text("--transition", "COLUMN",
              "what groups of cells give to groups, by a column of obs in both inputs: the table, and for every cell "
              "the label that its partners have, and their share",
              options.transition)
        ->group(group);
    line.text("--source-labels", "PATH[#KEY]",
              "with or instead of --transition: the source's groups, a number a point, such as labels.npy",
              options.source_labels)
        ->group(group);
    line.text("--target-labels", "PATH[#KEY]", "likewise the target's", options.target_labels)->group(group);
    line.text("--push", "PATH[#KEY]", "columns that the source's points have, averaged for every target point",
              options.push)
        ->group(group);
    line.text("--pull", "PATH[#KEY]", "columns that the target's points have, averaged for every source point",
              options.pull)
        ->group(group);
    line.flag("--diagonal", "of point i with point i: probabilities, trace, and KL of the identity", options.diagonal)
        ->group(group);
    line.flag("--entropy", "of every source point's partners: 0 where there is one, 1 where anybody is",
              options.entropy)
        ->group(group);
    line.flag("--marginals", "the plan's row and column sums, and growth: row sums over masses", options.marginals)
        ->group(group);
}

std::optional<EntriesRule> rule_of(const EntriesWords& words) {
    CONVOY_VALIDATE(!(words.top_k && words.mass), "--top-k and --mass are both given; with --mass, say --max-k K");
    CONVOY_VALIDATE(words.mass || !words.max_k, "--max-k has no effect without --mass; say --top-k, or add --mass");
    if (words.top_k) return EntriesRule{*words.top_k, 1};
    if (words.mass) return EntriesRule{words.max_k.value_or(default_max_k), *words.mass};
    return std::nullopt;
}

// What is asked, by the options' names.
std::vector<std::string> questions(const QueryOptions& o) {
    std::vector<std::string> asked;
    const auto add = [&](bool is_asked, const char* name) {
        if (is_asked) asked.emplace_back(name);
    };
    add(o.match, "--match");
    add(o.entries.has_value(), o.entries && o.entries->mass < 1 ? "--mass" : "--top-k");
    add(o.pairs > 0, "--sample");
    add(o.draws_of_a_row > 0, "--sample-per-row");
    add(o.barycentric, "--barycentric");
    add(!o.times.empty(), "--interpolate");
    add(o.has_transition(), "--transition");
    add(!o.push.empty(), "--push");
    add(!o.pull.empty(), "--pull");
    add(o.diagonal, "--diagonal");
    add(o.entropy, "--entropy");
    add(o.marginals, "--marginals");
    return asked;
}

AnswerFormat format_of(const QueryOptions& options) {
    const std::string suffix = std::filesystem::path{options.output}.extension().string();
    const auto serves = [&](const std::string& kind, const std::vector<std::string>& names) {
        const std::vector<std::string> asked = questions(options);
        const bool one = asked.size() == 1 && std::ranges::find(names, asked[0]) != names.end();
        CONVOY_VALIDATE(one, fmt::format("--output: '{}' is {}, which holds the answer to one of {} (asked: {}); write "
                                         "an .h5 file, or ask for one",
                                         options.output, kind, fmt::join(names, ", "), fmt::join(asked, ", ")));
    };
    if (suffix == ".h5" || suffix == ".hdf5" || suffix == ".hdf") return AnswerFormat::hdf5;
    if (suffix == ".h5ad") {
        serves("an .h5ad file", {"--top-k", "--mass"});
        return AnswerFormat::h5ad;
    }
    if (suffix == ".npy") {
        serves("a .npy file",
               {"--match", "--sample", "--sample-per-row", "--barycentric", "--push", "--pull", "--entropy"});
        return AnswerFormat::npy;
    }
    if (suffix == ".csv") {
        serves("a .csv file", {"--match", "--sample", "--transition", "--top-k", "--mass"});
        return AnswerFormat::csv;
    }
    throw InputError{fmt::format(
        "--output: the end of '{}' names no format of answers; choose one of .h5, .h5ad, .npy, .csv", options.output)};
}

}  // namespace

bool parse(const Invocation& invocation, QueryOptions& options) {
    CommandLine line{
        "query RESULT -o OUT [questions] [options]",
        "Asks a result for what its plan says, without forming the plan: matches, largest entries, samples, averages, "
        "transitions.\nEach question is about one pass over all pairs.\n",
        "Examples:\n"
        "  convoy query run.h5 --match --sample 1e6 -o answers.h5\n"
        "  convoy query days.h5 --transition cell_type -o transition.csv\n"
        "  convoy query days.h5 --mass 0.99 --max-k 100 -o tmaps/day_10_10.5.h5ad\n"
        "  srun convoy query run.h5 --barycentric --interpolate 0.25,0.5,0.75 -o between.h5\n\n"
        "OUT by the end of its name: .h5 (all answers); .h5ad (--top-k or --mass: a transport map as WOT and CellRank "
        "read it);\n.npy and .csv (one answer).\n"
        "Exit codes: 0 done, 1 failed, 2 bad usage or input, 75 stopped early with a checkpoint.\n"};
    line.positional("RESULT", "a result of convoy solve, or a model of convoy progot: its last coupling",
                    options.result, true);
    EntriesWords entries;
    declare_questions(line, options, entries);
    line.text("--source", "PATH[#KEY]", "where the result's source is, if it has moved (must be unchanged)",
              options.source)
        ->group("Inputs");
    line.text("--target", "PATH[#KEY]", "likewise its target", options.target)->group("Inputs");
    declare(line, options.machine, false);
    line.text("-o,--output", "FILE", "the answers (required)", options.output)->group("Output");
    line.flag("--overwrite", "replace files that exist", options.overwrite)->group("Output");
    line.text("--summary", "FILE.json", "the closing summary, for programs", options.summary)->group("Output");
    declare_of_portions(line, options.checkpoint);
    declare(line, options.volume);
    if (!line.parse(invocation)) return false;
    check_together(line, options.machine);
    check_together(line, options.volume);

    options.entries = rule_of(entries);
    CONVOY_VALIDATE(!questions(options).empty(),
                    "nothing is asked; add --match, --top-k K, --sample N, --transition "
                    "COLUMN, ... See: convoy query --help");
    CONVOY_VALIDATE(!options.output.empty(), "no output is given; add -o FILE.h5");
    options.format = format_of(options);
    CONVOY_VALIDATE(options.pairs > 0 || options.draws_of_a_row > 0 || !line.given("--seed"),
                    "--seed has no effect where nothing is drawn; leave it out, or add --sample N");
    CONVOY_VALIDATE(options.transition.empty() ? options.source_labels.empty() == options.target_labels.empty() : true,
                    "--source-labels and --target-labels go together; give both, or --transition COLUMN");
    CONVOY_VALIDATE(!options.original_space || options.barycentric || !options.times.empty(),
                    "--original-space has no effect without --barycentric or --interpolate; leave it out");
    options.config = line.config();
    open_checkpoint(invocation.world, line, options.checkpoint, options.output, options.overwrite);
    return true;
}

}  // namespace convoy::app
