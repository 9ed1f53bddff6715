#include "app/options.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include "app/point_options.hpp"
#include "app/quantities.hpp"
#include "app/spelling.hpp"
#include "convoy/error.hpp"
#include "kernels/devices.hpp"

namespace convoy::app {

namespace {

// The choice that `text` names. \throws InputError with the nearest one
template <class T>
T choose(const std::string& option, const std::string& text, const std::vector<std::pair<std::string, T>>& choices) {
    std::vector<std::string> names;
    std::string all;
    for (const auto& [name, value] : choices) {
        if (name == text) return value;
        all += (names.empty() ? "" : ", ") + name;
        names.push_back(name);
    }
    throw InputError{fmt::format("{}: '{}' is not one of {}.{}", option, text, all, suggestion(text, names))};
}

int device_number(const std::string& text, const std::string& digits) {
    constexpr std::size_t longest = 4;
    const bool number =
        !digits.empty() && digits.size() <= longest && digits.find_first_not_of("0123456789") == std::string::npos;
    CONVOY_VALIDATE(number, fmt::format("--device: '{}' has no number after the colon; write it like cuda:0", text));
    return std::stoi(digits);
}

void take_device(MachineOptions& options, const std::string& text) {
    using Kind = DeviceRequest::Kind;
    constexpr std::string_view numbered = "cuda:";
    const bool number = text.starts_with(numbered);
    options.device_name = text;
    options.device.kind = choose<Kind>(
        "--device", number ? "cuda" : text,
        {{"auto", Kind::automatic}, {"cpu", Kind::cpu}, {"cuda", Kind::cuda}, {"reference", Kind::reference}});
    options.device.number.reset();
    if (number) options.device.number = device_number(text, text.substr(numbered.size()));
    CONVOY_VALIDATE(options.device.kind != Kind::cuda || built_with_cuda(),
                    fmt::format("--device {} cannot be used (this convoy is built without CUDA); use --device cpu, or "
                                "build with the preset cuda",
                                text));
}

constexpr StartKind starts[] = {StartKind::automatic, StartKind::zero, StartKind::gaussian, StartKind::bures,
                                StartKind::subsample};

}  // namespace

double parse_tolerance(const std::string& text) {
    const double tolerance = parse_number("--tolerance", text);
    CONVOY_VALIDATE(tolerance > 0 && tolerance < 2,
                    fmt::format("--tolerance: {} is not between 0 and 2, the largest L1 error there is", text));
    return tolerance;
}

std::optional<StartKind> SolverOptions::start() const {
    for (const StartKind kind : starts) {
        if (init == name_of(kind)) return kind;
    }
    return std::nullopt;
}

void SolverOptions::check_start() const {
    if (start() || std::filesystem::exists(init)) return;
    std::vector<std::string> names;
    for (const StartKind kind : starts) names.push_back(name_of(kind));
    throw InputError{fmt::format("--init: '{}' is neither a file nor one of {}.{}", init, fmt::join(names, ", "),
                                 suggestion(init, names))};
}

void declare_inputs(CommandLine& line, ProblemOptions& options, bool target_required) {
    line.positional("SOURCE",
                    "points, a row each: PATH[#KEY], e.g. cells.h5ad#obsm/X_pca, cells.h5#/X, points.npy, table.csv",
                    options.source.points, true);
    line.positional("TARGET", "likewise; as many columns", options.target.points, target_required);
    const std::string group = "Problem";
    line.option("--cost", "NAME", "sqeuclidean (plain |x-y|^2, the default), euclidean, pnorm:P, dot or cosine",
                [&](const std::string& text) { options.cost = Cost::parse(text); })
        ->group(group);
    line.text(
            "--source-weights", "PATH[#KEY]",
            "masses of the source's points, normalised to 1 (default: equal); obs:COLUMN for a column of the source's "
            ".h5ad",
            options.source.weights)
        ->group(group);
    line.text("--target-weights", "PATH[#KEY]", "masses of the target's points", options.target.weights)->group(group);
    declare_where(line, "--source-where", group, "the source's rows, of an .h5ad file,", options.source.where);
    declare_where(line, "--target-where", group, "the target's rows", options.target.where);
    declare_preparation(line, {{"source", &options.source}, {"target", &options.target}});
    declare(line, options.joint);
}

void declare_where(CommandLine& line, const std::string& name, const std::string& group, const std::string& of,
                   std::vector<std::string>& where) {
    const bool first = name.find("target") == std::string::npos;
    line.texts(
            name, "COL=VALUE[,VALUE]",
            of + (first ? " by a column of obs, or COL!=VALUE; may be given again: all conditions hold" : ", likewise"),
            where)
        ->group(group);
}

void declare(CommandLine& line, ProblemOptions& options, bool target_required) {
    declare_inputs(line, options, target_required);
    line.option("--epsilon", "RULE",
                "regularisation: a number in units of the cost, or relative to the cost over all pairs: 0.05std (the "
                "default), 0.05mean",
                [&](const std::string& text) { options.epsilon = EpsilonRule::parse(text); })
        ->group("Problem");
}

void declare(CommandLine& line, SolverOptions& options) {
    const std::string group = "Solver";
    line.option("--tolerance", "T", "marginal error (L1, at most 2) to reach, audited in double (default 1e-3)",
                [&](const std::string& text) { options.tolerance = parse_tolerance(text); })
        ->group(group);
    line.option("--max-half-passes", "N", "give up after so many passes over all pairs (default 2000)",
                [&](const std::string& text) { options.max_half_passes = parse_count("--max-half-passes", text, 1); })
        ->group(group);
    line.option("--time-limit", "TIME",
                "stop in time to write what there is: 2h, 90m, 3600 (seconds) (default: none). Counts from the start; "
                "leave a margin for writing",
                [&](const std::string& text) { options.time_limit = parse_duration("--time-limit", text); })
        ->group(group);
    line.text(
            "--init", "NAME|FILE",
            "potentials to start from: auto (the default: judged by first errors), zero, gaussian (between Gaussians "
            "fitted to the clouds), bures (the same at epsilon 0), subsample (of a quarter of the points), or those of "
            "a result",
            options.init)
        ->group(group);
    line.option("--acceleration", "NAME",
                "auto (the default: coarse from a million pairs on, else anderson), coarse (anderson with corrections "
                "from a sample of the points), anderson, over-relaxation or plain",
                [&](const std::string& text) {
                    options.acceleration =
                        choose<std::optional<Acceleration>>("--acceleration", text,
                                                            {{"auto", std::nullopt},
                                                             {"coarse", Acceleration::coarse},
                                                             {"anderson", Acceleration::anderson},
                                                             {"over-relaxation", Acceleration::over_relaxation},
                                                             {"plain", Acceleration::plain}});
                })
        ->group(group);
    line.option("--annealing", "on|off",
                "approach epsilon from above, by halves, from zero or in the sub-sample (default on)",
                [&](const std::string& text) { options.annealing = parse_switch("--annealing", text); })
        ->group(group);
    line.option("--seed", "N", "of everything drawn at random, such as the audit's sample (default 0)",
                [&](const std::string& text) { options.seed = parse_seed("--seed", text); })
        ->group(group);
}

void declare(CommandLine& line, MachineOptions& options, bool cache) {
    const std::string group = "Machine";
    line.option("--precision", "single|double",
                "of the kernels; potentials and sums are always double (default single)",
                [&](const std::string& text) {
                    options.precision = choose<Precision>("--precision", text,
                                                          {{"single", Precision::single}, {"double", Precision::fp64}});
                })
        ->group(group);
    line.option("--device", "NAME",
                "auto (the default: cuda where this program is built with it and every rank sees a device, else cpu), "
                "cpu, cuda (ranks of a node take turns among its devices), cuda:I (device number I for all), or "
                "reference (sequential, double: for checking)",
                [&](const std::string& text) { take_device(options, text); })
        ->group(group);
    line.option("--device-memory", "SIZE",
                "that each rank may use on its CUDA device (default: nine tenths of it, shared by the ranks on it)",
                [&](const std::string& text) { options.device.memory = parse_bytes("--device-memory", text); })
        ->group(group);
    line.option("--grid", "RxC", "ranks as R rows by C columns (default: chosen from the sizes)",
                [&](const std::string& text) { options.grid = GridShape::parse(text); })
        ->group(group);
    line.option("--threads", "N", "of each rank (default: OMP_NUM_THREADS, else a fair share of the node's cores)",
                [&](const std::string& text) {
                    const std::int64_t threads = parse_count("--threads", text, 1);
                    CONVOY_VALIDATE(threads <= 4096, fmt::format("--threads: {} is more than 4096", text));
                    options.threads = static_cast<int>(threads);
                })
        ->group(group);
    line.option("--memory", "SIZE",
                "of the host that each rank may use, e.g. 16G (default: its share of what the node has free)",
                [&](const std::string& text) { options.memory = parse_bytes("--memory", text); })
        ->group(group);
    if (!cache) return;
    line.option("--cache", "auto|on|off",
                "keep the inner products of all points between passes, 4 bytes a pair: auto (the default) where they "
                "fit the memory (on devices: theirs) and pay, from 16 dimensions on (there: more than 128); on insists",
                [&](const std::string& text) {
                    options.cache = choose<Cache>("--cache", text,
                                                  {{"auto", Cache::automatic}, {"on", Cache::on}, {"off", Cache::off}});
                })
        ->group(group);
}

void declare(CommandLine& line, OutputOptions& options) {
    const std::string group = "Output";
    line.text("-o,--output", "FILE", "the result, one HDF5 file (required)", options.output)->group(group);
    line.flag("--overwrite", "replace files that exist", options.overwrite)->group(group);
    line.flag("--store-points", "put the points into the result too", options.store_points)->group(group);
    line.text("--summary", "FILE.json", "the closing summary, for programs", options.summary)->group(group);
    line.text("--trace", "FILE.csv", "the history: half-pass, epsilon, error, seconds", options.trace)->group(group);
}

void declare(CommandLine& line, VolumeOptions& options) {
    const std::string group = "General";
    line.flag("-q,--quiet", "no progress: warnings and errors only", options.quiet)->group(group);
    line.flag("-v,--verbose", "more about how the run is laid out", options.verbose)->group(group);
}

void check_together(const CommandLine& line, ProblemOptions& problem) {
    check_preparation(line, {{"source", &problem.source}, {"target", &problem.target}});
}

void check_together(const CommandLine& line, const SolverOptions& solver) {
    const std::optional<StartKind> start = solver.start();
    const bool at_target = !start || start == StartKind::gaussian || start == StartKind::bures;
    CONVOY_VALIDATE(!(at_target && line.given("--annealing") && solver.annealing),
                    fmt::format("--annealing on has no effect together with --init {} (such potentials start at the "
                                "target epsilon); leave one of them out",
                                start ? name_of(*start) : "FILE"));
}

void check_together(const CommandLine& line, const MachineOptions& machine) {
    using Kind = DeviceRequest::Kind;
    const bool no_device = machine.device.kind == Kind::cpu || machine.device.kind == Kind::reference;
    CONVOY_VALIDATE(!(no_device && machine.device.memory),
                    fmt::format("--device-memory has no effect with --device {}; leave one out", machine.device_name));
    CONVOY_VALIDATE(!machine.device.memory || built_with_cuda(),
                    "--device-memory has no effect (this convoy is built without CUDA); leave it out");
    if (machine.device.kind != Kind::reference) return;
    CONVOY_VALIDATE(machine.precision != Precision::single,
                    "--precision single has no effect with --device reference (which is double); leave one out");
    CONVOY_VALIDATE(!line.given("--threads"),
                    "--threads has no effect with --device reference (which is sequential); leave one out");
}

void check_together(const CommandLine&, const VolumeOptions& volume) {
    CONVOY_VALIDATE(!(volume.quiet && volume.verbose), "--quiet and --verbose contradict each other; leave one out");
}

}  // namespace convoy::app
