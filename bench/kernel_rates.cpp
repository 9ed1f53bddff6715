// Rates of the CPU backend's verbs beside what this machine can do at best, measured in the same run on as many
// threads. Every answer is checked against the sequential reference first. Prints one Markdown table a precision.
//
//     cmake --build build --target kernel_rates && build/bin/kernel_rates [--threads=N] [--processor-time]
//         [Google Benchmark's options]
//
// Google Benchmark repeats and times; the table is made of the best repetition of each.

#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>

#include "kernels/block.hpp"
#include "limits.hpp"

namespace {

using namespace convoy;

constexpr int repetitions = 7;

// The best rates by name: items (pairs, operations, bytes) per second.
class BestRates : public benchmark::BenchmarkReporter {
 public:
    bool ReportContext(const Context&) override { return true; }
    void ReportRuns(const std::vector<Run>& runs) override {
        for (const Run& run : runs) {
            wrong_ = wrong_ || run.error_occurred;
            if (run.error_occurred)
                std::fprintf(stderr, "%s: %s\n", run.benchmark_name().c_str(), run.error_message.c_str());
            const auto counter = run.counters.find("items_per_second");
            if (counter == run.counters.end()) continue;
            double& best = rates_[run.run_name.function_name];
            best = std::max(best, static_cast<double>(counter->second));
        }
    }
    bool wrong() const { return wrong_; }
    double operator[](const std::string& name) const {
        const auto found = rates_.find(name);
        return found == rates_.end() ? std::nan("") : found->second;
    }

 private:
    std::map<std::string, double> rates_;
    bool wrong_ = false;
};

// On a machine that others use, one thread's processor time says more than the clock does.
bool processor_time = false;

void add(const std::string& name, std::function<void(benchmark::State&)> run) {
    auto* const added =
        benchmark::RegisterBenchmark(name.c_str(), std::move(run))->Repetitions(repetitions)->MinTime(0.02);
    if (processor_time) {
        added->MeasureProcessCPUTime();
    } else {
        added->UseRealTime();
    }
}

void add_limits() {
    const auto add_limit = [](const char* name, double (*work)()) {
        add(name, [=](benchmark::State& state) {
            double items = 0;
            for (auto _ : state) items = work();
            state.SetItemsProcessed(static_cast<std::int64_t>(items) * state.iterations());
        });
    };
    add_limit("multiply-adds", bench::multiply_adds);
    add_limit("matrix product", bench::matrix_product);
    add_limit("exponentials", bench::exponentials);
    add("read", [](benchmark::State& state) {
        static const std::vector<float> numbers(std::size_t{1} << 27, 1.0f);
        double bytes = 0, sum = 0;
        for (auto _ : state) bytes = bench::read(numbers, sum);
        benchmark::DoNotOptimize(sum);
        state.SetItemsProcessed(static_cast<std::int64_t>(bytes) * state.iterations());
    });
}

Cloud normal_cloud(std::int64_t n, std::int64_t d, std::uint32_t seed) {
    std::mt19937 random{seed};
    std::normal_distribution<double> normal;
    std::vector<double> points(static_cast<std::size_t>(n * d));
    for (double& x : points) x = normal(random);
    return uniform_cloud(std::move(points), d);
}

constexpr std::int64_t few_points = 4096, many_points = 150000;
constexpr std::int64_t some_rows = 1024;  // long ones: too many to be cut

struct Subject {
    std::string cost;
    std::int64_t d;
    Precision precision;
    std::int64_t columns = few_points;  // many: for picks alone, whose price depends on how long a row is
    std::string name() const {
        return fmt::format("{} {} {}{}", precision == Precision::single ? "single" : "double", cost, d,
                           columns == few_points ? "" : " long rows");
    }
};

const PickRule top_1{PickRule::Kind::top, 1, 0}, top_16{PickRule::Kind::top, 16, 0},
    sample_1{PickRule::Kind::sample, 1, 5}, sample_16{PickRule::Kind::sample, 16, 5};
const PickRule picks[] = {top_1, top_16, sample_1, sample_16};

// Blocks of one cost and dimension. 64 MiB of kept products: more than caches hold.
struct Problem {
    std::int64_t n, m;
    Cloud source, target;
    std::unique_ptr<Block> recomputing, keeping;
    std::vector<double> f, g;
    double epsilon;
    double error = 0;  // the largest relative one of some sums

    explicit Problem(const Subject& s)
        : n{s.columns == few_points ? few_points : some_rows},
          m{s.columns},
          source{normal_cloud(n, s.d, 1)},
          target{normal_cloud(m, s.d, 2)},
          f(static_cast<std::size_t>(n), 0.0),
          g(static_cast<std::size_t>(m), 0.0),
          epsilon{0.5 * static_cast<double>(s.d)} {
        BlockProblem problem{Cost::parse(s.cost), &source, &target, {}, {}, {}, s.precision};
        recomputing = make_cpu_block(problem);
        const auto reference = make_reference_block(problem);
        compare(*recomputing, *reference);
        if (!problem.cost.uses_products() || s.precision != Precision::single) return;
        problem.keep_products = true;
        keeping = make_cpu_block(problem);
        compare(*keeping, *reference);
    }

    double pairs() const { return static_cast<double>(n) * static_cast<double>(m); }
    LocalRun all(Side side = Side::row) const { return {LocalIndex{0}, side == Side::row ? n : m}; }

    void compare(const Block& block, const Block& reference) {
        for (const Side side : {Side::row, Side::column}) {
            const std::int64_t middle = all(side).count / 2;
            const LocalRun few{LocalIndex{middle}, 3};
            Sums expected, sums;
            reference.reduce(side, few, {f, g}, epsilon, Safety::shifted, expected);
            block.reduce(side, all(side), {f, g}, epsilon, Safety::shifted, sums);
            for (std::size_t i = 0; i < 3; ++i) {
                error = std::max(error, std::abs(sums.sum[static_cast<std::size_t>(middle) + i] / expected.sum[i] - 1));
            }
            for (const PickRule& rule : picks) {
                Picks wanted, picked;
                reference.pick(side, few, {f, g}, epsilon, rule, wanted);
                block.pick(side, few, {f, g}, epsilon, rule, picked);
                if (picked.index != wanted.index || picked.score != wanted.score) error = std::nan("");
            }
        }
    }
};

// One at a time: benchmarks run in the order of their registration.
Problem& problem_of(const Subject& s) {
    static std::string name;
    static std::unique_ptr<Problem> problem;
    if (name != s.name()) problem.reset(), problem = std::make_unique<Problem>(s), name = s.name();
    return *problem;
}

std::map<std::string, double> errors;

void add_verbs(const Subject& s) {
    const auto add_verb = [&](const std::string& verb, std::function<void(Problem&)> work) {
        add(s.name() + " " + verb, [=](benchmark::State& state) {
            Problem& problem = problem_of(s);
            errors[s.name()] = problem.error;
            if (!(problem.error < (s.precision == Precision::single ? 1e-4 : 1e-12))) state.SkipWithError("wrong sums");
            for (auto _ : state) work(problem);
            state.SetItemsProcessed(static_cast<std::int64_t>(problem.pairs()) * state.iterations());
        });
    };
    const auto reduce = [](const Block& block, const Problem& p, Side side, Safety safety) {
        Sums sums;
        block.reduce(side, p.all(side), {p.f, p.g}, p.epsilon, safety, sums);
    };
    const auto apply = [](const Problem& p, const Weighting& weighting) {
        Sums sums;
        std::vector<double> values;
        p.recomputing->apply(Side::row, p.all(), {p.f, p.g}, p.epsilon, Safety::shifted, weighting, sums, values);
    };
    const auto pick = [](const Block& block, const Problem& p, const PickRule& rule) {
        Picks found;
        block.pick(Side::row, p.all(), {p.f, p.g}, p.epsilon, rule, found);
    };
    add_verb("reduce", [=](Problem& p) { reduce(*p.recomputing, p, Side::row, Safety::shifted); });
    add_verb("top 1", [=](Problem& p) { pick(*p.recomputing, p, top_1); });
    add_verb("top 16", [=](Problem& p) { pick(*p.recomputing, p, top_16); });
    add_verb("sample 1", [=](Problem& p) { pick(*p.recomputing, p, sample_1); });
    add_verb("sample 16", [=](Problem& p) { pick(*p.recomputing, p, sample_16); });
    if (s.columns != few_points) return;
    add_verb("safe", [=](Problem& p) { reduce(*p.recomputing, p, Side::row, Safety::safe); });
    add_verb("columns", [=](Problem& p) { apply(p, Weighting::of_columns(p.target.points, p.target.dimension)); });
    add_verb("values", [=](Problem& p) { apply(p, Weighting::of_values()); });
    if (!Cost::parse(s.cost).uses_products() || s.precision != Precision::single) return;
    add_verb("kept top 1", [=](Problem& p) { pick(*p.keeping, p, top_1); });
    add_verb("kept row", [=](Problem& p) { reduce(*p.keeping, p, Side::row, Safety::shifted); });
    add_verb("kept column", [=](Problem& p) { reduce(*p.keeping, p, Side::column, Safety::shifted); });
}

std::string cell(double rate) {
    return std::isnan(rate) ? "" : fmt::format("{:.3g}", rate / 1e9);
}
std::string share(double rate, double limit) {
    return std::isnan(rate) ? "" : fmt::format("{:.0f} %", 100 * rate / limit);
}

void print_table(const BestRates& rates, const std::vector<Subject>& subjects, int threads) {
    const double product = rates["matrix product"], fma = rates["multiply-adds"], exp = rates["exponentials"];
    const double flops = std::max(product, fma);
    const double streamed = std::min(rates["read"] / 4, exp);
    fmt::print(
        "Instruction set {}, {} thread{}, best of {}. Limits of the machine: multiply-adds {:.0f} Gflop/s, {}'s SGEMM "
        "{:.0f} Gflop/s, {:.3g}e9 exponentials/s, reading {:.1f} GB/s. Rates in 1e9 pairs/s; shares: of "
        "1/(2d/SGEMM + 1/exponentials) for `reduce`, of min(reading/4, exponentials) for kept products; of "
        "multiply-adds/2 "
        "over d + 7 in the column FMA.\n\n",
        cpu_instruction_set(), threads, threads == 1 ? "" : "s", repetitions, fma / 1e9, bench::matrix_library(),
        product / 1e9, exp / 1e9, rates["read"] / 1e9);
    fmt::print(
        "| precision | cost | d | reduce | share | FMA | kept, rows | share | kept, columns | share | safe | apply to "
        "d "
        "columns | values | error |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (const Subject& s : subjects) {
        if (s.columns != few_points) continue;
        const auto rate = [&](const char* verb) { return rates[s.name() + " " + verb]; };
        const bool products = s.precision == Precision::single && Cost::parse(s.cost).uses_products();
        const double d = static_cast<double>(s.d);
        fmt::print("| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.0e} |\n",
                   s.precision == Precision::single ? "single" : "double", s.cost, s.d, cell(rate("reduce")),
                   products ? share(rate("reduce"), 1 / (2 * d / flops + 1 / exp)) : "",
                   products ? share(rate("reduce"), fma / 2 / (d + 7)) : "", cell(rate("kept row")),
                   share(rate("kept row"), streamed), cell(rate("kept column")), share(rate("kept column"), streamed),
                   cell(rate("safe")), cell(rate("columns")), cell(rate("values")), errors[s.name()]);
    }
}

// Beside the reduce of the same run: other work on the machine falls on both.
void print_picks(const BestRates& rates, const std::vector<Subject>& subjects) {
    fmt::print(
        "\nPicks, and their share of the rate of `reduce` (kept products: of kept, rows).\n\n"
        "| precision | cost | d | points in a row | reduce | top 1 | share | top 16 | share | sample 1 | share | "
        "sample 16 | "
        "share | kept, top 1 | share |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (const Subject& s : subjects) {
        const auto rate = [&](const char* verb) { return rates[s.name() + " " + verb]; };
        const auto both = [&](const char* verb, const char* of) {
            return cell(rate(verb)) + " | " + share(rate(verb), rate(of));
        };
        if (std::isnan(rate("top 1"))) continue;
        fmt::print("| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
                   s.precision == Precision::single ? "single" : "double", s.cost, s.d, s.columns, cell(rate("reduce")),
                   both("top 1", "reduce"), both("top 16", "reduce"), both("sample 1", "reduce"),
                   both("sample 16", "reduce"), both("kept top 1", "kept row"));
    }
}

int threads_asked(int& count, char** words) {
    int threads = omp_get_num_procs(), kept = 1;
    for (int k = 1; k < count; ++k) {
        const std::string_view word{words[k]};
        if (word.starts_with("--threads=")) {
            threads = std::max(std::atoi(words[k] + word.find('=') + 1), 1);
        } else if (word == "--processor-time") {
            processor_time = true;
        } else {
            words[kept++] = words[k];
        }
    }
    count = kept;
    return threads;
}

}  // namespace

int main(int count, char** words) {
    const int threads = threads_asked(count, words);
    omp_set_num_threads(threads);
    benchmark::Initialize(&count, words);
    if (benchmark::ReportUnrecognizedArguments(count, words)) return 2;
    std::vector<Subject> subjects;
    for (const std::int64_t d : {1, 2, 3, 8, 10, 16, 32, 64, 128, 256, 1024}) {
        subjects.push_back({"sqeuclidean", d, Precision::single});
    }
    for (const char* cost : {"euclidean", "pnorm:1.5", "pnorm:3"}) {
        for (const std::int64_t d : {3, 10}) subjects.push_back({cost, d, Precision::single});
    }
    for (const std::int64_t d : {3, 64, 1024}) subjects.push_back({"sqeuclidean", d, Precision::fp64});
    for (const std::int64_t d : {3, 11, 64}) subjects.push_back({"sqeuclidean", d, Precision::single, many_points});
    add_limits();
    for (const Subject& s : subjects) add_verbs(s);

    BestRates rates;
    benchmark::RunSpecifiedBenchmarks(&rates);
    print_table(rates, subjects, threads);
    print_picks(rates, subjects);
    return rates.wrong() ? 1 : 0;
}
