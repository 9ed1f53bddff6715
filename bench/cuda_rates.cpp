// Rates of the CUDA backend's verbs on the device of this process, as the program calls them: potentials go to the
// device and sums come back within the time. Beside each the bound by arithmetic (cuda_work.hpp) from limits that are
// measured in the same run (device_limits.hpp), and the share of it that was reached. Every answer is compared with the
// sequential reference, on some rows, before it is timed. Prints Markdown tables.
//
//     cmake --build --preset cuda --target cuda_rates && build-cuda/bin/cuda_rates [OPTION...]
//
//     --dimensions 3,64 --points 20000 --costs sqeuclidean,pnorm:1.5 --precisions single,double    only these
//     --budget SECONDS    of all measurements; what does not fit is left out and counted (default 420)
//     --longest SECONDS   of one call: what is predicted to take longer is left out (default 5)
//     --device NUMBER     (default 0)
//     --json FILE         the same for programs
//     --tiny              hundreds of points, once: whether all of it works
//
// Exit codes: 0, 1 if an answer was wrong, 2 bad usage, 3 no device.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "cuda_problem.hpp"
#include "cuda_work.hpp"
#include "kernels/block.hpp"
#include "kernels/devices.hpp"
#include "timing.hpp"

namespace {

using namespace convoy;
using bench::Answer;
using bench::Asked;
using bench::Call;
using bench::Problem;
using bench::Subject;
using bench::Verb;

// --- What is asked ---------------------------------------------------------------------------------------------------

struct Options {
    std::vector<std::int64_t> dimensions{3, 64, 1024, 1, 2, 8, 16, 128, 3072}, points{20000, 100000, 1000000};
    std::vector<std::string> costs{"sqeuclidean", "euclidean", "pnorm:1.5"}, precisions{"single", "double"};
    std::string json;
    double budget = 420, longest = 5;
    int device = 0;
    bool tiny = false;
};

std::vector<std::string> items(const std::string& list) {
    std::vector<std::string> found;
    std::istringstream stream{list};
    for (std::string item; std::getline(stream, item, ',');) found.push_back(item);
    return found;
}

std::vector<std::int64_t> numbers(const std::string& list) {
    std::vector<std::int64_t> found;
    for (const std::string& item : items(list)) found.push_back(std::max(std::atoll(item.c_str()), 1LL));
    return found;
}

std::optional<Options> parse(int count, char** words) {
    Options options;
    const std::map<std::string, std::function<void(const std::string&)>> known{
        {"--dimensions", [&](const std::string& v) { options.dimensions = numbers(v); }},
        {"--points", [&](const std::string& v) { options.points = numbers(v); }},
        {"--costs", [&](const std::string& v) { options.costs = items(v); }},
        {"--precisions", [&](const std::string& v) { options.precisions = items(v); }},
        {"--budget", [&](const std::string& v) { options.budget = std::atof(v.c_str()); }},
        {"--longest", [&](const std::string& v) { options.longest = std::atof(v.c_str()); }},
        {"--device", [&](const std::string& v) { options.device = std::atoi(v.c_str()); }},
        {"--json", [&](const std::string& v) { options.json = v; }}};
    for (int k = 1; k < count; ++k) {
        if (std::strcmp(words[k], "--tiny") == 0) {
            options.tiny = true;
            options.points = {150};
            options.dimensions = {3, 17, 70};
            continue;
        }
        const auto option = known.find(words[k]);
        if (option == known.end() || k + 1 == count) {
            std::fprintf(stderr, "error: %s '%s'\n", option == known.end() ? "unknown option" : "no value for",
                         words[k]);
            return std::nullopt;
        }
        option->second(words[++k]);
    }
    return options;
}

// What decides comes first, so that a small budget still shows it: the squared distance in single precision, and of
// that the dimensions that have targets. Beside this main road, large problems are few.
std::vector<Subject> subjects_of(const Options& options) {
    std::vector<Subject> subjects;
    constexpr std::int64_t most_numbers = 320'000'000;  // of one cloud: 2.6 GB in double
    const auto is_main = [](const Subject& s) { return s.precision == Precision::single && s.cost == "sqeuclidean"; };
    const auto has_target = [](const Subject& s) { return s.d == 3 || s.d == 64 || s.d == 1024; };
    for (const std::string& precision : options.precisions) {
        for (const std::string& cost : options.costs) {
            for (const std::int64_t n : options.points) {
                for (const std::int64_t d : options.dimensions) {
                    const Subject s{cost, precision == "double" ? Precision::fp64 : Precision::single, d, n};
                    const bool beside = !is_main(s) && n > 20000 && (n > 100000 || d > 64 || !has_target(s));
                    if (n * d <= most_numbers && !beside) subjects.push_back(s);
                }
            }
        }
    }
    std::stable_sort(subjects.begin(), subjects.end(), [&](const Subject& a, const Subject& b) {
        const auto rank = [&](const Subject& s) { return (is_main(s) ? 0 : 2) + (has_target(s) ? 0 : 1); };
        return rank(a) < rank(b);
    });
    return subjects;
}

// --- Measuring -------------------------------------------------------------------------------------------------------

struct Row {
    std::string subject, call;
    Asked asked;
    bench::Timing timing;
    double pairs = 0, error = 0, tolerance = 0;
    bench::Bound bound;
    std::string note;  // why there is no time

    double rate() const { return timing.median > 0 ? pairs / timing.median : 0; }
    bool wrong() const { return note.empty() && !(error <= tolerance); }
};

class Measurement {
 public:
    Measurement(const Options& options, const bench::DeviceLimits& limits, double memory)
        : options_{options}, limits_{limits}, memory_{memory} {}

    void measure(const Subject& subject) {
        const std::size_t first = rows.size();
        Problem problem{subject};
        const auto reference = make_reference_block(problem.block());
        recompute(problem, *reference);
        if (problem.single() && problem.cost.uses_products()) keep(problem, *reference);
        fmt::print("\n{}\n\n", subject.name());
        print_rows(first);
    }

    std::vector<Row> rows;

 private:
    static Call call(const Problem& p, const std::string& name, Verb verb, Side side = Side::row) {
        Call made;
        made.name = name;
        made.asked = {verb, p.cost, p.subject.precision, p.subject.d, p.subject.n, 0};
        made.side = side;
        return made;
    }

    void recompute(Problem& p, const Block& reference) {
        if (!p.fits(0, false, memory_)) return leave_out(call(p, "all", Verb::reduce), p, "no memory");
        const auto block = make_cuda_block(p.block());
        take(call(p, "reduce, rows", Verb::reduce), p, *block, reference);
        take(call(p, "reduce, columns", Verb::reduce, Side::column), p, *block, reference);
        take(call(p, "safe reduce", Verb::safe), p, *block, reference);
        for (const std::int64_t width : {3, 64, 256, 1024}) {
            Call columns = call(p, fmt::format("apply, {} columns", width), Verb::columns);
            columns.asked.width = width;
            if (options_.tiny && width > 64) continue;
            if (!p.fits(width, false, memory_) || width * p.subject.n > 200'000'000) {
                leave_out(columns, p, "no memory");
                continue;
            }
            columns.weighting = p.weighting(Verb::columns, width);
            take(columns, p, *block, reference);
        }
        for (const auto& [name, verb] :
             {std::pair{"apply, cost", Verb::cost}, std::pair{"apply, values", Verb::values}}) {
            Call costs = call(p, name, verb);
            costs.weighting = p.weighting(verb, 2);
            take(costs, p, *block, reference);
        }
        for (const auto& [name, rule] : {std::pair{"pick, best 4", PickRule{PickRule::Kind::top, 4, 0}},
                                         std::pair{"pick, sample of 1", PickRule{PickRule::Kind::sample, 1, 1}},
                                         std::pair{"pick, sample of 16", PickRule{PickRule::Kind::sample, 16, 1}}}) {
            Call pick = call(p, name, Verb::pick);
            pick.rule = rule;
            take(pick, p, *block, reference);
        }
    }

    void keep(const Problem& p, const Block& reference) {
        Call products = call(p, "computing products to keep", Verb::products);
        if (!p.fits(0, true, memory_)) return leave_out(products, p, "no memory");
        BlockProblem problem = p.block();
        problem.keep_products = true;
        const auto block = make_cuda_block(problem);
        const double seconds = block->kept_products().seconds;
        Row row = row_of(products, p);
        row.timing = {seconds, seconds, seconds, 1};
        const std::size_t at = rows.size();
        rows.push_back(row);
        take(call(p, "kept products, rows", Verb::kept), p, *block, reference);
        take(call(p, "kept products, columns", Verb::kept, Side::column), p, *block, reference);
        for (std::size_t k = at + 1; k < rows.size(); ++k) {  // they are as right as what is made of them
            rows[at].error = std::max(rows[at].error, rows[k].error);
            rows[at].tolerance = rows[k].tolerance;
        }
    }

    Row row_of(const Call& call, const Problem& p) const {
        Row row;
        row.subject = p.subject.name();
        row.call = call.name;
        row.asked = call.asked;
        row.pairs = p.pairs();
        row.bound = bench::bound_of(bench::work_of(call.asked), limits_);
        return row;
    }

    void leave_out(const Call& call, const Problem& p, const std::string& why) {
        Row row = row_of(call, p);
        row.note = why;
        rows.push_back(row);
    }

    void take(const Call& call, const Problem& p, const Block& block, const Block& reference) {
        Row row = row_of(call, p);
        // Passes through tiles are far from their bounds.
        const bool plain = call.asked.verb == Verb::reduce || call.asked.verb == Verb::kept;
        const double predicted = (plain ? 1.5 : 5) * p.pairs() / row.bound.rate;
        if (!options_.tiny && predicted > options_.longest)
            return leave_out(call, p, fmt::format("perhaps {:.0f} s", predicted));
        Answer answer;
        call(block, p, p.all(), answer);
        row.error = bench::error_of(call, p, reference, answer);
        const bool in_doubles = !p.single() || call.asked.verb == Verb::pick;
        row.tolerance = (in_doubles ? 1e-10 : 2e-5) + (in_doubles ? 0 : 4 * block.rounding_of_cost() / p.epsilon);
        const double enough = options_.tiny ? 0 : 0.2, longest = options_.tiny ? 0 : options_.longest;
        if (!row.wrong()) row.timing = bench::repeated([&] { call(block, p, p.all(), answer); }, enough, longest);
        rows.push_back(row);
    }

    void print_rows(std::size_t first) const {
        fmt::print(
            "| call | pairs/s | bound | by | share | seconds | range | times | error |\n"
            "|---|---|---|---|---|---|---|---|---|\n");
        for (std::size_t k = first; k < rows.size(); ++k) {
            const Row& r = rows[k];
            const std::string bound = fmt::format("{:.3g} | {}", r.bound.rate, r.bound.by);
            if (!r.note.empty()) {
                fmt::print("| {} | left out: {} | {} |  |  |  |  |  |\n", r.call, r.note, bound);
            } else if (r.wrong()) {
                fmt::print("| {} | WRONG | {} |  |  |  |  | {:.1e} of {:.1e} allowed |\n", r.call, bound, r.error,
                           r.tolerance);
            } else {
                fmt::print("| {} | {:.3g} | {} | {:.0f} % | {:.3g} | {:.3g} to {:.3g} | {} | {:.0e} |\n", r.call,
                           r.rate(), bound, 100 * r.rate() / r.bound.rate, r.timing.median, r.timing.least,
                           r.timing.most, r.timing.times, r.error);
            }
        }
        std::fflush(stdout);
    }

    const Options& options_;
    const bench::DeviceLimits& limits_;
    double memory_;
};

// --- The record ------------------------------------------------------------------------------------------------------

void print_head(const CudaDevice& device, const bench::DeviceLimits& l) {
    fmt::print(
        "{}, compute capability {}.{}, {:.1f} GiB, {} multiprocessors, {:.0f} MiB of L2.\n\nLimits, measured in this "
        "run:\n\n"
        "| what | a second |\n|---|---|\n| multiply-adds, single | {:.3g} |\n| exponentials | {:.3g} |\n"
        "| multiply-adds of fp16 into fp32, tensor cores | {:.3g} |\n| multiply-adds, double | {:.3g} |\n"
        "| bytes read from memory | {:.3g} |\n| bytes read from L2 | {:.3g} |\n| bytes from the host | {:.3g} |\n"
        "| launches | {:.3g} |\n\n"
        "Seconds are medians of whole calls, with what they send to the device and fetch from it; share: of the bound "
        "by the named limit alone.\n",
        device.name, device.capability / 10, device.capability % 10, device.memory / (1 << 30), l.multiprocessors,
        l.cache / (1 << 20), l.multiply_adds, l.exponentials, l.tensor, l.doubles, l.read, l.cached, l.uploads,
        l.launches);
    std::fflush(stdout);
}

void write_json(const std::string& path, const CudaDevice& device, const bench::DeviceLimits& l,
                const std::vector<Row>& rows, std::size_t left_out) {
    std::ofstream file{path};
    file << fmt::format(
        "{{\"device\": \"{}\", \"capability\": {}, \"memory\": {}, \"multiprocessors\": {},\n\"limits\": "
        "{{\"multiply_adds\": {}, \"exponentials\": {}, \"tensor\": {}, \"doubles\": {}, \"read\": {}, \"cached\": {}, "
        "\"uploads\": {}, \"launches\": {}}},\n\"subjects_left_out\": {}, \"rows\": [",
        device.name, device.capability, device.memory, l.multiprocessors, l.multiply_adds, l.exponentials, l.tensor,
        l.doubles, l.read, l.cached, l.uploads, l.launches, left_out);
    const char* separator = "\n";
    for (const Row& r : rows) {
        file << separator
             << fmt::format(
                    "{{\"cost\": \"{}\", \"single\": {}, \"d\": {}, \"n\": {}, \"call\": \"{}\", \"rate\": {}, "
                    "\"bound\": {}, \"by\": \"{}\", \"seconds\": {}, \"least\": {}, \"most\": {}, \"times\": {}, "
                    "\"error\": {}, \"wrong\": {}, \"note\": \"{}\"}}",
                    r.asked.cost.name(), r.asked.precision == Precision::single, r.asked.dimension, r.asked.points,
                    r.call, r.rate(), r.bound.rate, r.bound.by, r.timing.median, r.timing.least, r.timing.most,
                    r.timing.times, std::isfinite(r.error) ? r.error : 1e300, r.wrong(), r.note);
        separator = ",\n";
    }
    file << "\n]}\n";
}

int run(const Options& options) {
    const std::vector<CudaDevice> devices = cuda_devices();
    if (options.device < 0 || options.device >= static_cast<int>(devices.size())) {
        fmt::print(stderr, "error: no CUDA device {} ({})\n", options.device, why_no_cuda_device());
        return 3;
    }
    const CudaDevice& device = devices[static_cast<std::size_t>(options.device)];
    const double memory = 0.9 * device.memory;
    use_cuda_device(options.device, memory);
    const bench::Clock clock;
    const bench::DeviceLimits limits = bench::device_limits(options.tiny);
    print_head(device, limits);

    Measurement measurement{options, limits, memory};
    std::size_t left_out = 0;
    for (const Subject& subject : subjects_of(options)) {
        if (clock.seconds() > options.budget) {
            ++left_out;
        } else {
            measurement.measure(subject);
        }
    }
    const auto wrong =
        std::count_if(measurement.rows.begin(), measurement.rows.end(), [](const Row& r) { return r.wrong(); });
    fmt::print("\n{:.0f} s; {} problems left out for lack of time, {} wrong answers.\n", clock.seconds(), left_out,
               wrong);
    if (!options.json.empty()) write_json(options.json, device, limits, measurement.rows, left_out);
    return wrong > 0 ? 1 : 0;
}

}  // namespace

int main(int count, char** words) {
    const std::optional<Options> options = parse(count, words);
    if (!options) return 2;
    try {
        return run(*options);
    } catch (const std::exception& failure) {
        fmt::print(stderr, "error: {}\n", failure.what());
        return 1;
    }
}
