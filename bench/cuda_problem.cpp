#include "cuda_problem.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "kernels/devices.hpp"

namespace convoy::bench {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// Normal coordinates; each row from a generator of its own, so that threads may share the work.
Cloud normal_cloud(std::int64_t n, std::int64_t d, std::uint64_t seed) {
    std::vector<double> points(static_cast<std::size_t>(n * d));
#pragma omp parallel for schedule(static)
    for (std::int64_t i = 0; i < n; ++i) {
        std::minstd_rand random{static_cast<std::uint32_t>(seed * 7919 + static_cast<std::uint64_t>(i) * 104729 + 1)};
        random.discard(8);
        std::normal_distribution<double> normal;
        for (std::int64_t k = 0; k < d; ++k) points[static_cast<std::size_t>(i * d + k)] = normal(random);
    }
    return uniform_cloud(std::move(points), d);
}

double relative(double found, double expected, double scale) {
    const double error = std::abs(found - expected) / scale;
    return std::isnan(error) ? infinity : error;
}

double error_of_picks(std::size_t row, const Picks& found, const Picks& expected) {
    double error = 0;
    const auto count = static_cast<std::size_t>(expected.count);
    for (std::size_t k = 0; k < count; ++k) {
        const double score = expected.score[k];
        if (found.index[row * count + k] != expected.index[k]) return infinity;
        error = std::max(error, relative(found.score[row * count + k], score, std::max(std::abs(score), 1.0)));
    }
    return error;
}

// `expected` has this row alone.
double error_of_row(const Call& call, const Answer& found, std::int64_t row, const Answer& expected) {
    const auto at = static_cast<std::size_t>(row);
    if (call.asked.verb == Verb::pick) return error_of_picks(at, found.picks, expected.picks);
    const double sum = expected.sums.sum[0];
    const double factor = expected.sums.max.empty() ? 1 : std::exp(found.sums.max[at] - expected.sums.max[0]);
    double error = relative(factor * found.sums.sum[at], sum, sum);
    const std::size_t width = expected.values.size();
    for (std::size_t k = 0; k < width; ++k) {
        const double value = expected.values[k];
        error = std::max(error, relative(found.values[at * width + k], value, std::max(std::abs(value), sum)));
    }
    return error;
}

}  // namespace

std::string Subject::name() const {
    return fmt::format("{}, {}, d = {}, n = m = {}", cost, precision == Precision::single ? "single" : "double", d, n);
}

Problem::Problem(const Subject& s)
    : subject{s},
      cost{Cost::parse(s.cost)},
      source{normal_cloud(s.n, s.d, 1)},
      target{normal_cloud(s.n, s.d, 2)},
      f(static_cast<std::size_t>(s.n)),
      g(f) {
    double mean = 0;
    constexpr std::int64_t some = 100;
    for (std::int64_t i = 0; i < some; ++i) mean += cost(source.point(i % s.n), target.point((7 * i) % s.n)) / some;
    epsilon = mean / 4;
    for (std::size_t i = 0; i < f.size(); ++i) {
        f[i] = 0.3 * epsilon * std::sin(static_cast<double>(i));
        g[i] = 0.3 * epsilon * std::cos(2.0 * static_cast<double>(i));
    }
}

Weighting Problem::weighting(Verb verb, std::int64_t width) {
    if (verb == Verb::cost) return Weighting::of_cost();
    if (verb == Verb::values) return Weighting::of_values();
    columns.resize(static_cast<std::size_t>(subject.n * width));
    for (std::size_t k = 0; k < columns.size(); ++k) columns[k] = std::cos(0.7 * static_cast<double>(k));
    return Weighting::of_columns(columns, width);
}

bool Problem::fits(std::int64_t width, bool keep_products, double memory) const {
    CudaBlockSize size;
    size.rows = size.columns = subject.n;
    size.dimension = subject.d;
    size.single = single();
    size.from_products = cost.uses_products();
    size.width = width;
    size.keep_products = keep_products;
    return cuda_memory_resident(size) < memory;
}

void Call::operator()(const Block& block, const Problem& p, LocalRun range, Answer& answer) const {
    const Safety safety = asked.verb == Verb::safe ? Safety::safe : Safety::shifted;
    switch (asked.verb) {
        case Verb::pick:
            return block.pick(side, range, p.potentials(), p.epsilon, rule, answer.picks);
        case Verb::columns:
        case Verb::cost:
        case Verb::values:
            return block.apply(side, range, p.potentials(), p.epsilon, safety, weighting, answer.sums, answer.values);
        case Verb::reduce:
        case Verb::products:
        case Verb::kept:
        case Verb::safe:
            return block.reduce(side, range, p.potentials(), p.epsilon, safety, answer.sums);
    }
}

double error_of(const Call& call, const Problem& p, const Block& reference, const Answer& found) {
    const std::int64_t n = p.subject.n, rows[] = {0, n / 3, 2 * n / 3, n - 1};
    double error = 0;
#pragma omp parallel for schedule(dynamic) reduction(max : error)
    for (const std::int64_t row : rows) {
        Answer expected;
        call(reference, p, {LocalIndex{row}, 1}, expected);
        error = std::max(error, error_of_row(call, found, row, expected));
    }
    return error;
}

}  // namespace convoy::bench
