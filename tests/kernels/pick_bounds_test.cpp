// What picks rest upon: a kernel's logit and its bounds enclose the score that the reference gives the pair, and its
// noise.

#include "kernels/cpu/pick_bounds.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "kernels/agreement.hpp"
#include "kernels/cpu/pick_tile.hpp"
#include "kernels/draws.hpp"
#include "kernels/pick.hpp"

namespace convoy::cpu {
namespace {

using test::Case;
using test::Setting;

// All logits of row i, as picks compute them.
template <class T>
std::vector<T> logits_of_row(const BlockPoints<T>& points, const PickBounds<T>& bounds, Side stays, std::int64_t i) {
    const std::int64_t d = points.dimension, panel = points.panel_rows, columns = points.side(other(stays)).rows;
    const Aligned<T> x = allocate<T>(panel * d), zeros = allocate<T>(panel), logits = allocate<T>(panel * columns),
                     products = allocate<T>(panel * columns);
    std::fill_n(zeros.get(), panel, T(0));
    const double unit = bounds.form == PairForm::product ? bounds.cost_unit * bounds.factor : 1;
    for (std::int64_t k = 0; k < d * panel; ++k)
        x[k] = static_cast<T>(static_cast<double>(points.side(stays).points[i * d + k / panel]) * unit);
    Tile<T> tile{};
    tile.form = bounds.form;
    tile.factor = static_cast<T>(bounds.factor);
    tile.scale = static_cast<T>(bounds.cost_unit);
    tile.p = static_cast<T>(points.cost.p());
    tile.dimension = d;
    tile.x = x.get();
    tile.f = zeros.get();
    tile.y = points.side(other(stays)).points.get();
    tile.g = bounds.g.get();
    tile.columns = columns;
    if (bounds.form == PairForm::kept) {
        tile.unit = static_cast<T>(bounds.cost_unit * bounds.factor / points.kept->unit());
        for (std::int64_t k = 0; k < panel * columns; ++k) {
            const std::int64_t row = stays == Side::row ? i : k / panel, column = stays == Side::row ? k / panel : i;
            products[k] = points.kept->at(row / panel, column)[row % panel];
        }
        tile.products = products.get();
    }
    tile_kernels<T>().logits(tile, {}, logits.get(), nullptr);
    std::vector<T> of_row;
    for (std::int64_t j = 0; j < columns; ++j) of_row.push_back(logits[j * panel]);
    return of_row;
}

// The largest share of the bounds that an error takes.
template <class T>
double largest_share(const Setting& s, bool keep_products, PickRule::Kind kind, double epsilon) {
    const BlockProblem problem = s.problem(Precision::single, keep_products);
    const BlockPoints<T> points{problem};
    const PickRule rule{kind, 1, 0};
    double share = 0;
    for (const Side side : {Side::row, Side::column}) {
        const std::int64_t rows = points.side(side).rows;
        const PickBounds<T> bounds{points, problem, side, {LocalIndex{0}, rows}, {s.f, s.g}, epsilon, rule};
        const PairScores scores{problem, side, {s.f, s.g}, epsilon, rule};
        for (std::int64_t i = 0; i < std::min<std::int64_t>(rows, 7); ++i) {
            const double of_row = bounds.of_row(i);
            if (std::isnan(of_row)) return std::nan("");  // nothing is claimed
            const std::vector<T> logits = logits_of_row(points, bounds, side, i);
            for (std::size_t j = 0; j < logits.size(); ++j) {
                if (!scores.has_mass(static_cast<std::int64_t>(j))) continue;
                const double exact = bounds.in_units(i, scores(i, static_cast<std::int64_t>(j)));
                const double of_column = static_cast<double>(bounds.twice[j]) / 2;
                const double middle = static_cast<double>(logits[j]) - of_column;
                EXPECT_LE(std::abs(exact - middle), of_row + of_column) << i << " " << j;
                share = std::max(share, std::abs(exact - middle) / (of_row + of_column));
            }
        }
    }
    return share;
}

class Bounds : public testing::TestWithParam<Case> {};

TEST_P(Bounds, EncloseTheScores) {
    const Case c = GetParam();
    if (c.n == 0 || c.m == 0) return;
    const Setting s{c};
    for (const bool keep_products : {false, true}) {
        if (keep_products && !s.cost.uses_products()) continue;
        for (const PickRule::Kind kind : {PickRule::Kind::top, PickRule::Kind::sample, PickRule::Kind::hard}) {
            for (const double epsilon : {s.epsilon, 1e-3 * s.epsilon, test::infinity}) {
                const double single = largest_share<float>(s, keep_products, kind, epsilon);
                largest_share<double>(s, keep_products, kind, epsilon);
                if (HasFailure()) return;
                // Not far too wide either: candidates are to be few. Many coordinates hardly ever err one way, general
                // powers not as far as they might.
                const bool general = s.cost.kind() == CostKind::pnorm && s.cost.p() != 1.5 && s.cost.p() != 2 &&
                                     s.cost.p() != 3 && s.cost.p() != 4;
                if (!general && c.n > 30 && c.m > 30 && c.d < 10 && c.size == 1 && c.epsilon <= 1 &&
                    epsilon == s.epsilon) {
                    EXPECT_GT(single, 0.02);
                }
            }
        }
    }
}

std::vector<Case> bounds_cases() {
    std::vector<Case> all = test::cases();
    for (const char* cost : {"sqeuclidean", "euclidean", "pnorm:1.5", "pnorm:1.2", "pnorm:3", "pnorm:7", "dot"}) {
        for (const std::int64_t d : {3, 300, 700}) all.push_back({cost, 33, 35, d, 0.1, true});
        for (const double size : {1e-30, 1e-25, 1e-15, 1e-3, 1e3, 1e15})
            all.push_back({cost, 35, 41, 5, 0.1, true, 0, size});
        for (const double offset : {1e2, 1e4, 1e8}) all.push_back({cost, 35, 41, 5, 0.1, true, offset});
    }
    return all;
}

INSTANTIATE_TEST_SUITE_P(Picks, Bounds, testing::ValuesIn(bounds_cases()));

// What draws rest upon: the noise of a first arrival, in units of log 2, lies between the kernels' bounds.
template <class T>
void expect_noise_within_bounds() {
    const std::int64_t panel = tile_kernels<T>().panel_rows, columns = 250;
    const Aligned<std::uint64_t> states = allocate<std::uint64_t>(panel);
    const Aligned<T> logits = allocate<T>(panel * columns), limits = allocate<T>(panel);
    std::vector<Found<T>> found(static_cast<std::size_t>(panel * columns));
    std::vector<double> noise(found.size());
    double largest = 0;
    for (std::int64_t round = 0; round < 100; ++round) {
        const std::int64_t first = round * columns;
        for (std::int64_t lane = 0; lane < panel; ++lane) {
            states[lane] = kernels::state_of_point(3, false, lane);
            limits[lane] = 0;
        }
        for (std::size_t k = 0; k < noise.size(); ++k) {
            const auto at = static_cast<std::int64_t>(k);
            Arrivals arrivals{kernels::state_of_pair(states[at % panel], first + at / panel)};
            noise[k] = arrivals.next() / std::numbers::ln2;
            largest = std::max(largest, noise[k]);
            logits[at] = just_above<T>(-noise[k]);
        }

        const std::int64_t in_time = pick_kernels<T>().find_arrivals(
            {logits.get(), columns, first, states.get(), limits.get(), 1}, found.data());
        std::fill_n(logits.get(), panel * columns, T(0));
        pick_kernels<T>().add_least_noise({logits.get(), columns, first, states.get(), nullptr, 1}, logits.get());

        ASSERT_EQ(in_time, panel * columns);
        for (std::size_t k = 0; k < noise.size(); ++k) {
            const auto least = static_cast<double>(logits[static_cast<std::int64_t>(k)]);
            ASSERT_LE(least, noise[k]);
            // Not far too low where it counts.
            if (noise[k] > 3) {
                ASSERT_GT(least, noise[k] - 0.5);
            }
        }
    }
    EXPECT_GT(largest, 15);
}

TEST(Noise, OfArrivalsIsWithinTheKernelsBounds) {
    expect_noise_within_bounds<float>();
    expect_noise_within_bounds<double>();
}

}  // namespace
}  // namespace convoy::cpu
