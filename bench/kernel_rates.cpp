// Rates of the CPU backend's verbs on one thread, each answer checked against the sequential reference first: a
// Markdown table. Build: cmake --build --preset release --target kernel_rates; run: build/bin/kernel_rates

#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <random>

#include "kernels/block.hpp"

namespace {

using namespace convoy;

Cloud normal_cloud(std::int64_t n, std::int64_t d, std::uint32_t seed) {
    std::mt19937 random{seed};
    std::normal_distribution<double> normal;
    std::vector<double> points(static_cast<std::size_t>(n * d));
    for (double& x : points) x = normal(random);
    return uniform_cloud(std::move(points), d);
}

// Pairs per second, the best of several runs.
template <class Work>
double rate(double pairs, const Work& work) {
    double best = 0;
    for (int run = 0; run < 7; ++run) {
        const auto begin = std::chrono::steady_clock::now();
        work();
        best = std::max(best, pairs / std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    }
    return best;
}

bool measure(const char* cost, std::int64_t d, Precision precision) {
    const std::int64_t n = d > 100 ? 1024 : 4096;
    const Cloud source = normal_cloud(n, d, 1), target = normal_cloud(n, d, 2);
    const BlockProblem problem{Cost::parse(cost), &source, &target, {}, {}, {}, precision};
    const auto block = make_cpu_block(problem);
    const auto reference = make_reference_block(problem);
    const std::vector<double> f(static_cast<std::size_t>(n), 0.0), g = f;
    const double epsilon = 0.5 * static_cast<double>(d);
    const LocalRun all{LocalIndex{0}, n}, few{LocalIndex{n / 2}, 3};

    Sums expected, sums;
    reference->reduce(Side::row, few, {f, g}, epsilon, Safety::shifted, expected);
    block->reduce(Side::row, all, {f, g}, epsilon, Safety::shifted, sums);
    double error = 0;
    for (std::size_t i = 0; i < 3; ++i) {
        error = std::max(error, std::abs(sums.sum[static_cast<std::size_t>(n / 2) + i] / expected.sum[i] - 1));
    }
    const bool right = error < (precision == Precision::single ? 1e-4 : 1e-12);

    std::vector<double> values;
    const double pairs = static_cast<double>(n) * static_cast<double>(n);
    const double shifted = rate(pairs, [&] { block->reduce(Side::row, all, {f, g}, epsilon, Safety::shifted, sums); });
    const double safe = rate(pairs, [&] { block->reduce(Side::row, all, {f, g}, epsilon, Safety::safe, sums); });
    const double map = rate(pairs, [&] {
        block->apply(Side::row, all, {f, g}, epsilon, Safety::shifted, Weighting::of_columns(target.points, d), sums,
                     values);
    });
    const double value = rate(pairs, [&] {
        block->apply(Side::row, all, {f, g}, epsilon, Safety::shifted, Weighting::of_values(), sums, values);
    });
    fmt::print("| {} | {} | {} | {:.3g} | {:.0f} | {:.3g} | {:.3g} | {:.3g} | {:.0e}{} |\n",
               precision == Precision::single ? "single" : "double", cost, d, shifted / 1e9,
               2e-9 * static_cast<double>(d) * shifted, safe / 1e9, map / 1e9, value / 1e9, error,
               right ? "" : " WRONG");
    std::fflush(stdout);
    return right;
}

}  // namespace

int main() {
    omp_set_num_threads(1);
    fmt::print("Instruction set {}, one thread, 1e9 pairs/s, best of 7.\n\n", cpu_instruction_set());
    fmt::print(
        "| precision | cost | d | reduce | its product, Gflop/s | reduce, safe | apply to d columns | apply, values | "
        "error |\n"
        "|---|---|---|---|---|---|---|---|---|\n");
    bool right = true;
    for (const Precision precision : {Precision::single, Precision::fp64}) {
        for (const std::int64_t d : {1, 2, 3, 8, 10, 16, 32, 64, 256, 1024})
            right = measure("sqeuclidean", d, precision) && right;
        for (const char* cost : {"euclidean", "pnorm:1.5", "pnorm:3"}) {
            for (const std::int64_t d : {1, 3, 10}) right = measure(cost, d, precision) && right;
        }
    }
    return right ? 0 : 1;
}
