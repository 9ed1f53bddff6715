// The kernels of the CUDA cores (tile.cu, points.cu, terms.cu) against plain loops.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <limits>

#include "emulation.hpp"
#include "kernels/cuda/exp2.hpp"
#include "kernels/cuda/plain_pairs.hpp"

namespace convoy::cuda {
namespace {

using test::Kind;
using test::OnDevice;
using test::PairsOnDevice;
using test::Problem;
using test::random_numbers;
using test::Sizes;

constexpr double nan_number = std::numeric_limits<double>::quiet_NaN();

const std::vector<Kind> every_kind{{PairForm::product, 2}, {PairForm::inner, 2},   {PairForm::square, 2},
                                   {PairForm::root, 2},    {PairForm::power, 1.5}, {PairForm::power, 3},
                                   {PairForm::power, 4},   {PairForm::power, 2.5}};

std::size_t at(std::int64_t i) {
    return static_cast<std::size_t>(i);
}

// One rounding of a logit of up to 16 is 2^-20 (2^-49), and there are some ten of them.
template <class T>
constexpr double tolerance = sizeof(T) == 4 ? 8e-6 : 4e-14;

Cut cut_of(std::int64_t columns, std::int64_t chunk) {
    return {chunk, static_cast<int>(std::max<std::int64_t>((columns + chunk - 1) / chunk, 1))};
}

template <class T>
using SumsLauncher = std::function<void(const Pairs<T>&, const Cut&, double*, cudaStream_t)>;

template <class T>
std::vector<double> sums_of(const Problem<T>& problem, std::int64_t chunk, const SumsLauncher<T>& launcher,
                            std::int64_t late = 0) {
    const PairsOnDevice<T> on_device{problem, late};
    const Cut cut = cut_of(problem.sizes.columns, chunk);
    const OnDevice<double> partial{std::vector<double>(at(cut.chunks * problem.sizes.rows), nan_number)};
    const Stream stream;
    launcher(on_device.pairs, cut, partial.get(), stream.get());
    stream.wait();
    const std::vector<double> parts = partial.numbers();
    std::vector<double> sums(at(problem.sizes.rows));
    for (std::size_t n = 0; n < parts.size(); ++n) sums[n % sums.size()] += parts[n];
    return sums;
}

template <class T>
void expect_close(const std::vector<double>& result, const std::vector<double>& expected, const Sizes& sizes) {
    ASSERT_EQ(result.size(), expected.size());
    for (std::size_t i = 0; i < result.size(); ++i) {
        ASSERT_NEAR(result[i], expected[i], tolerance<T> * std::abs(expected[i]))
            << i << " of " << sizes.rows << " x " << sizes.columns << ", dimension " << sizes.dimension;
    }
}

class Device : public testing::Test {
 protected:
    void SetUp() override {
        emulation::set_devices({});
        const char* const order = std::getenv("CONVOY_EMULATION_ORDER");
        emulation::set_order(order == nullptr ? 0 : std::strtoull(order, nullptr, 10));
    }
};

template <class T>
struct OfPrecision : Device {};
using Precisions = testing::Types<float, double>;

// --- exp2 ---

TEST(DeviceExp2, IsRightToTwoTenMillionthsByPolynomial) {
    double worst = 0;
    for (float t = -126.0f; t < 127.0f; t += 0.00037f) {
        const auto result = static_cast<double>(exp2_by_polynomial(t));
        worst = std::max(worst, std::abs(result / std::exp2(static_cast<double>(t)) - 1));
    }
    EXPECT_LE(worst, 2e-7);
}

TEST(DeviceExp2, IsRightToThreeUlpsInDoublePrecision) {
    double worst = 0;
    for (double t = -1022.0; t < 1023; t += 0.0137) worst = std::max(worst, std::abs(exp2_of(t) / std::exp2(t) - 1));
    EXPECT_LE(worst, 3 * 0x1p-52);
}

TEST(DeviceExp2, IsExactlyZeroBelowTheNormalNumbersHugeAboveThemAndKeepsNan) {
    const float infinity = std::numeric_limits<float>::infinity();
    for (const float t : {-126.51f, -127.0f, -149.0f, -1e30f, -infinity}) EXPECT_EQ(exp2_by_polynomial(t), 0.0f);
    for (const double t : {-1022.51, -1074.0, -1e30, -1e300}) EXPECT_EQ(exp2_of(t), 0.0);
    for (const float t : {127.0f, 128.0f, 300.0f, 1e30f, infinity}) EXPECT_EQ(exp2_by_polynomial(t), 0x1p127f);
    EXPECT_EQ(exp2_of(1e300), 0x1p1023);
    EXPECT_TRUE(std::isnan(exp2_by_polynomial(std::nanf(""))));
    EXPECT_TRUE(std::isnan(exp2_of(nan_number)));
}

// --- Shifted sums ---

template <class T>
struct TileSums : OfPrecision<T> {};
TYPED_TEST_SUITE(TileSums, Precisions);

TYPED_TEST(TileSums, AgreeWithPlainLoopsForEveryForm) {
    using T = TypeParam;
    for (const Kind& kind : every_kind) {
        for (const Sizes& sizes : {Sizes{1, 1, 1}, {7, 5, 2}, {128, 128, 16}, {131, 257, 17}, {37, 400, 40}}) {
            const Problem<T> problem{kind, sizes};
            expect_close<T>(sums_of<T>(problem, 128, launch_sums<T>), problem.sums(), sizes);
        }
    }
}

TYPED_TEST(TileSums, AgreeWithPlainLoopsForEveryDimensionAroundAStage) {
    using T = TypeParam;
    for (std::int64_t dimension = 1; dimension <= 36; ++dimension) {
        const Problem<T> problem{{PairForm::inner}, {9, 70, dimension}};
        expect_close<T>(sums_of<T>(problem, 128, launch_sums<T>), problem.sums(), problem.sizes);
    }
}

// Parts of 256 coordinates; the last of them may be short.
TYPED_TEST(TileSums, AgreeWithPlainLoopsForLongProducts) {
    using T = TypeParam;
    for (const std::int64_t dimension : {255, 256, 257, 511, 512, 771, 1024, 5000}) {
        const Problem<T> problem{{PairForm::inner}, {3, 131, dimension}};
        expect_close<T>(sums_of<T>(problem, 256, launch_sums<T>), problem.sums(), problem.sizes);
    }
    const Problem<T> power{{PairForm::power, 2.5}, {3, 5, 300}};
    expect_close<T>(sums_of<T>(power, 128, launch_sums<T>), power.sums(), power.sizes);
}

TYPED_TEST(TileSums, AgreeWithPlainLoopsHoweverTheSummedSideIsCut) {
    using T = TypeParam;
    const Problem<T> problem{{PairForm::square}, {130, 1500, 5}};
    for (const std::int64_t chunk : {128, 384, 1024, 2048, 8192}) {
        expect_close<T>(sums_of<T>(problem, chunk, launch_sums<T>), problem.sums(), problem.sizes);
    }
}

TYPED_TEST(TileSums, DoNotNeedAlignedPoints) {
    using T = TypeParam;
    const Problem<T> problem{{PairForm::square}, {20, 150, 24}};
    const std::vector<double> expected = sums_of<T>(problem, 128, launch_sums<T>);
    for (const std::int64_t late : {1, 2, 3}) EXPECT_EQ(sums_of<T>(problem, 128, launch_sums<T>, late), expected);
}

// Whatever comes first: threads, blocks, copies.
TYPED_TEST(TileSums, AreTheSameBitsInEveryOrderOfThreads) {
    using T = TypeParam;
    const Problem<T> problem{{PairForm::product}, {140, 300, 300}};
    const std::vector<double> expected = sums_of<T>(problem, 128, launch_sums<T>);
    for (const std::uint64_t seed : {1, 2, 3}) {
        emulation::set_order(seed);
        EXPECT_EQ(sums_of<T>(problem, 128, launch_sums<T>), expected) << seed;
    }
}

// What holds for either kernel of shifted sums.
template <class T>
void expect_right_extremes(const SumsLauncher<T>& launcher, const Kind& kind, std::int64_t dimension) {
    const Sizes sizes{9, 150, dimension};
    Problem<T> problem{kind, sizes};
    const std::vector<double> all = problem.sums();

    Problem<T> with_nan = problem;
    with_nan.g[17] = std::numeric_limits<T>::quiet_NaN();
    for (const double sum : sums_of<T>(with_nan, 128, launcher)) EXPECT_TRUE(std::isnan(sum));

    Problem<T> one_row = problem;
    one_row.f[4] = std::numeric_limits<T>::quiet_NaN();
    const std::vector<double> rows = sums_of<T>(one_row, 128, launcher);
    for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(std::isnan(rows[i]), i == 4);

    Problem<T> nothing = problem;
    std::fill(nothing.w.begin(), nothing.w.end(), T(0));
    std::fill(nothing.g.begin(), nothing.g.end(), static_cast<T>(no_mass));
    for (const double sum : sums_of<T>(nothing, 128, launcher)) EXPECT_EQ(sum, 0);

    Problem<T> small = problem;
    std::fill(small.f.begin(), small.f.end(), T(sizeof(T) == 4 ? -200 : -1200));
    for (const double sum : sums_of<T>(small, 128, launcher)) EXPECT_EQ(sum, 0);

    Problem<T> large = problem;
    std::fill(large.f.begin(), large.f.end(), T(sizeof(T) == 4 ? 300 : 1200));
    for (const double sum : sums_of<T>(large, 128, launcher)) EXPECT_GE(sum, sizeof(T) == 4 ? 0x1p126 : 0x1p1022);
}

TYPED_TEST(TileSums, KeepNanAndAreExactlyZeroWhereThereIsNothing) {
    expect_right_extremes<TypeParam>(launch_sums<TypeParam>, {PairForm::square}, 5);
    expect_right_extremes<TypeParam>(launch_sums<TypeParam>, {PairForm::product}, 20);
}

TYPED_TEST(TileSums, OfNothingAreZeroAndNoRowsAreNoLaunch) {
    using T = TypeParam;
    const Problem<T> no_columns{{PairForm::square}, {5, 0, 3}}, no_rows{{PairForm::square}, {0, 5, 3}};
    EXPECT_EQ(sums_of<T>(no_columns, 128, launch_sums<T>), std::vector<double>(5));
    emulation::reset_counters();
    sums_of<T>(no_rows, 128, launch_sums<T>);
    EXPECT_EQ(emulation::counters().launches, 0);
}

struct RegisterSums : Device {};

TEST_F(RegisterSums, AgreeWithPlainLoopsForEveryDimension) {
    for (std::int64_t dimension = 1; dimension <= most_dimensions_in_registers; ++dimension) {
        const Problem<float> problem{{PairForm::product}, {1100, 131, dimension}};
        expect_close<float>(sums_of<float>(problem, 128, launch_sums_in_registers), problem.sums(), problem.sizes);
    }
}

TEST_F(RegisterSums, AgreeWithPlainLoopsForEverySizeAndCut) {
    for (const Sizes& sizes :
         {Sizes{1, 1, 2}, {1, 1000, 3}, {1023, 2, 1}, {1025, 127, 5}, {7, 129, 9}, {300, 700, 2}}) {
        const Problem<float> problem{{PairForm::product}, sizes};
        for (const std::int64_t chunk : {128, 256, 1024}) {
            expect_close<float>(sums_of<float>(problem, chunk, launch_sums_in_registers), problem.sums(), sizes);
        }
    }
}

TEST_F(RegisterSums, AreTheSameBitsInEveryOrderOfThreads) {
    const Problem<float> problem{{PairForm::product}, {200, 400, 2}};
    const std::vector<double> expected = sums_of<float>(problem, 256, launch_sums_in_registers);
    for (const std::uint64_t seed : {1, 2, 3}) {
        emulation::set_order(seed);
        EXPECT_EQ(sums_of<float>(problem, 256, launch_sums_in_registers), expected) << seed;
    }
}

// Dimension 1 has polynomials, dimension 6 has none.
TEST_F(RegisterSums, KeepNanAndAreExactlyZeroWhereThereIsNothing) {
    expect_right_extremes<float>(launch_sums_in_registers, {PairForm::product}, 1);
    expect_right_extremes<float>(launch_sums_in_registers, {PairForm::product}, 6);
}

TEST_F(RegisterSums, OfNothingAreZeroAndNoRowsAreNoLaunch) {
    const Problem<float> no_columns{{PairForm::product}, {5, 0, 3}}, no_rows{{PairForm::product}, {0, 5, 3}};
    EXPECT_EQ(sums_of<float>(no_columns, 128, launch_sums_in_registers), std::vector<double>(5));
    emulation::reset_counters();
    sums_of<float>(no_rows, 128, launch_sums_in_registers);
    EXPECT_EQ(emulation::counters().launches, 0);
}

// --- Tiles of logits ---

template <class T>
struct LogitTiles : OfPrecision<T> {};
TYPED_TEST_SUITE(LogitTiles, Precisions);

template <class T>
void expect_right_tile(const Problem<T>& problem, std::int64_t stride, bool costs, bool offsets) {
    const auto& [rows, columns, dimension] = problem.sizes;
    const PairsOnDevice<T> on_device{problem};
    const std::vector<T> empty(at(rows * stride), T(-7));
    const OnDevice<T> logits{empty}, cost_tile{empty};
    const std::vector<T> row = random_numbers<T>(rows, 0, 4, 8), column = random_numbers<T>(columns, 0, 4, 9);
    const OnDevice<T> of_rows{row}, of_columns{column};
    const Stream stream;
    launch_logits<T>(on_device.pairs,
                     {logits.get(), costs ? cost_tile.get() : nullptr, stride, offsets ? of_rows.get() : nullptr,
                      offsets ? of_columns.get() : nullptr},
                     stream.get());
    stream.wait();
    const std::vector<T> t = logits.numbers(), c = cost_tile.numbers();
    for (std::int64_t i = 0; i < rows; ++i) {
        for (std::int64_t j = 0; j < stride; ++j) {
            const std::size_t n = at(i * stride + j);
            if (j >= columns) {
                ASSERT_EQ(t[n], T(-7));
                ASSERT_EQ(c[n], T(-7));
                continue;
            }
            const double raw = problem.raw(i, j), logit = problem.logit(i, j);
            ASSERT_NEAR(static_cast<double>(t[n]), logit, tolerance<T> * std::max(1.0, std::abs(logit)));
            if (!costs) continue;
            const double off = offsets ? static_cast<double>(row[at(i)]) + static_cast<double>(column[at(j)]) : 0;
            ASSERT_NEAR(static_cast<double>(c[n]), static_cast<double>(problem.factor) * raw + off, tolerance<T>);
        }
    }
}

TYPED_TEST(LogitTiles, AgreeWithPlainLoopsForEveryForm) {
    for (const Kind& kind : every_kind) {
        for (const Sizes& sizes : {Sizes{1, 1, 1}, {130, 65, 18}, {5, 300, 3}}) {
            const Problem<TypeParam> problem{kind, sizes};
            expect_right_tile(problem, sizes.columns, false, false);
            expect_right_tile(problem, sizes.columns + 3, true, true);
            expect_right_tile(problem, sizes.columns, true, false);
        }
    }
}

TYPED_TEST(LogitTiles, AgreeWithPlainLoopsForLongProducts) {
    expect_right_tile(Problem<TypeParam>{{PairForm::inner}, {5, 9, 1030}}, 16, true, true);
    expect_right_tile(Problem<TypeParam>{{PairForm::square}, {5, 9, 512}}, 16, true, true);
}

TYPED_TEST(LogitTiles, OfNothingAreNoLaunch) {
    emulation::reset_counters();
    expect_right_tile(Problem<TypeParam>{{PairForm::inner}, {0, 9, 3}}, 9, false, false);
    expect_right_tile(Problem<TypeParam>{{PairForm::inner}, {9, 0, 3}}, 1, false, false);
    EXPECT_EQ(emulation::counters().launches, 0);
}

// --- What tiles are used for ---

// Rows x columns numbers in rows of `stride`; what lies between them must not matter.
template <class T>
struct Grid {
    std::int64_t rows, columns, stride;
    std::vector<T> numbers;

    Grid(std::int64_t r, std::int64_t c, std::int64_t s, double low, double high, unsigned seed)
        : rows{r}, columns{c}, stride{s}, numbers{random_numbers<T>(r * s, low, high, seed)} {
        for (std::int64_t i = 0; i < r; ++i) {
            for (std::int64_t j = c; j < s; ++j) numbers[at(i * s + j)] = std::numeric_limits<T>::quiet_NaN();
        }
    }
    double operator()(std::int64_t i, std::int64_t j) const { return static_cast<double>(numbers[at(i * stride + j)]); }
    TermTile<T> tile(const OnDevice<T>& memory, const OnDevice<T>& weights) const {
        return {memory.get(), stride, rows, columns, weights.get()};
    }
};

const std::vector<Sizes> tiles{{1, 1, 1}, {3, 31, 32}, {9, 33, 33}, {130, 100, 128}, {66, 257, 260}, {2, 8500, 8500}};

template <class T>
struct Terms : OfPrecision<T> {};
TYPED_TEST_SUITE(Terms, Precisions);

TYPED_TEST(Terms, RaiseTheMaximumAndSayByHowMuch) {
    using T = TypeParam;
    for (const auto& [rows, columns, stride] : tiles) {
        const Grid<T> grid{rows, columns, stride, -20, 20, 1};
        const OnDevice<T> memory{grid.numbers}, weights{std::vector<T>(at(columns), T(1))};
        std::vector<T> before = random_numbers<T>(rows, -40, 40, 2);
        before[0] = static_cast<T>(no_mass);
        const OnDevice<T> maximum{before}, rescale{std::vector<T>(at(rows))};
        const Stream stream;
        launch_raise_maximum(grid.tile(memory, weights), maximum.get(), rescale.get(), stream.get());
        stream.wait();
        const std::vector<T> after = maximum.numbers(), factor = rescale.numbers();
        for (std::int64_t i = 0; i < rows; ++i) {
            auto largest = static_cast<double>(before[at(i)]);
            for (std::int64_t j = 0; j < columns; ++j) largest = std::max(largest, grid(i, j));
            ASSERT_EQ(static_cast<double>(after[at(i)]), largest);
            const double expected = std::exp2(static_cast<double>(before[at(i)]) - largest);
            ASSERT_NEAR(static_cast<double>(factor[at(i)]), expected, tolerance<T> * expected);
            if (after[at(i)] == before[at(i)]) {
                ASSERT_EQ(factor[at(i)], T(1));
            }
        }
    }
}

TYPED_TEST(Terms, AreRescaledWithTheirValues) {
    using T = TypeParam;
    for (const std::int64_t width : {0, 1, 3, 70}) {
        const std::int64_t rows = 21;
        std::vector<T> factors = random_numbers<T>(rows, 0, 1, 1);
        factors[3] = 1;
        factors[4] = 0;
        const std::vector<double> sums = random_numbers<double>(rows, 1, 2, 2);
        const std::vector<double> values = random_numbers<double>(rows * width, 1, 2, 3);
        const OnDevice<T> rescale{factors};
        const OnDevice<double> sum{sums}, value{values};
        const Stream stream;
        launch_rescale(rescale.get(), rows, width, sum.get(), value.get(), stream.get());
        stream.wait();
        const std::vector<double> new_sums = sum.numbers(), new_values = value.numbers();
        for (std::size_t i = 0; i < sums.size(); ++i) EXPECT_EQ(new_sums[i], sums[i] * static_cast<double>(factors[i]));
        for (std::size_t n = 0; n < values.size(); ++n) {
            EXPECT_EQ(new_values[n], values[n] * static_cast<double>(factors[n / at(width)]));
        }
    }
}

TYPED_TEST(Terms, AreExponentialsTimesWeightsAndAddToTheirSums) {
    using T = TypeParam;
    for (const auto& [rows, columns, stride] : tiles) {
        for (const bool shifted : {false, true}) {
            Grid<T> grid{rows, columns, stride, -10, 4, 1};
            std::vector<T> w = random_numbers<T>(columns, 0.5, 2, 2);
            w[0] = 0;
            for (std::int64_t i = 0; i < rows; ++i) grid.numbers[at(i * stride)] = static_cast<T>(no_mass);
            const std::vector<T> shift = random_numbers<T>(rows, -3, 3, 3);
            const std::vector<double> before = random_numbers<double>(rows, 0, 1, 4);
            const OnDevice<T> memory{grid.numbers}, weights{w}, shifts{shift};
            const OnDevice<double> sums{before};
            const Stream stream;
            launch_exponentials(grid.tile(memory, weights), shifted ? shifts.get() : nullptr, sums.get(), stream.get());
            stream.wait();
            const std::vector<T> terms = memory.numbers();
            const std::vector<double> after = sums.numbers();
            for (std::int64_t i = 0; i < rows; ++i) {
                double sum = before[at(i)];
                for (std::int64_t j = 0; j < columns; ++j) {
                    const double t = grid(i, j) - (shifted ? static_cast<double>(shift[at(i)]) : 0);
                    const double expected = static_cast<double>(w[at(j)]) * std::exp2(t);
                    ASSERT_NEAR(static_cast<double>(terms[at(i * stride + j)]), expected, tolerance<T> * expected);
                    sum += expected;
                }
                ASSERT_NEAR(after[at(i)], sum, tolerance<T> * sum);
            }
        }
    }
}

// values[i width + k] += what `of` says, and nothing else is touched.
template <class T, class Launch, class Of>
void expect_values(std::int64_t rows, std::int64_t columns, std::int64_t width, const Launch& launch, const Of& of) {
    const std::vector<double> before = random_numbers<double>(rows * width, -1, 1, 77);
    const OnDevice<double> values{before};
    const Stream stream;
    launch(values.get(), stream.get());
    stream.wait();
    const std::vector<double> after = values.numbers();
    for (std::int64_t i = 0; i < rows; ++i) {
        for (std::int64_t k = 0; k < width; ++k) {
            double sum = before[at(i * width + k)], size = std::abs(sum);
            for (std::int64_t j = 0; j < columns; ++j) {
                const double term = of(i, j, k);
                sum += term;
                size += std::abs(term);
            }
            ASSERT_NEAR(after[at(i * width + k)], sum, tolerance<T> * size)
                << "row " << i << ", " << k << " of " << width << "; " << rows << " x " << columns;
        }
    }
}

template <class T>
void expect_columns(const Sizes& tile, std::int64_t width, std::int64_t late = 0) {
    const auto& [rows, columns, stride] = tile;
    const Grid<T> grid{rows, columns, stride, 0, 1, 1};
    const std::vector<T> v = random_numbers<T>(columns * width, -1, 1, 2);
    const OnDevice<T> memory{grid.numbers, late}, weights{std::vector<T>(at(columns), T(1))}, columns_of{v, late};
    expect_values<T>(
        rows, columns, width,
        [&](double* values, cudaStream_t stream) {
            launch_add_columns(grid.tile(memory, weights), columns_of.get(), width, values, stream);
        },
        [&](std::int64_t i, std::int64_t j, std::int64_t k) {
            return grid(i, j) * static_cast<double>(v[at(j * width + k)]);
        });
}

TYPED_TEST(Terms, AverageColumnsOfEveryWidth) {
    for (const std::int64_t width : {0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 33, 64, 65, 200}) {
        for (const Sizes& tile : {Sizes{1, 1, 1}, {9, 33, 33}, {66, 257, 260}, {35, 130, 132}}) {
            expect_columns<TypeParam>(tile, width);
        }
    }
}

TYPED_TEST(Terms, AverageColumnsOverLongRows) {
    expect_columns<TypeParam>({2, 8500, 8500}, 2);
    expect_columns<TypeParam>({2, 8500, 8500}, 12);
}

// Enough blocks for the larger ones.
TYPED_TEST(Terms, AverageVeryWideColumns) {
    expect_columns<TypeParam>({130, 260, 260}, 6145);
}

TYPED_TEST(Terms, NeedNotBeAligned) {
    for (const std::int64_t late : {1, 2, 3}) {
        expect_columns<TypeParam>({20, 50, 52}, 16, late);
        expect_columns<TypeParam>({20, 50, 52}, 4, late);
    }
}

TYPED_TEST(Terms, GiveCostsAndTheirSquares) {
    using T = TypeParam;
    for (const auto& [rows, columns, stride] : tiles) {
        const Grid<T> grid{rows, columns, stride, 0, 1, 1}, cost{rows, columns, stride, -3, 3, 2};
        const OnDevice<T> memory{grid.numbers}, weights{std::vector<T>(at(columns), T(1))}, costs{cost.numbers};
        expect_values<T>(
            rows, columns, 2,
            [&](double* values, cudaStream_t stream) {
                launch_add_costs(grid.tile(memory, weights), costs.get(), values, stream);
            },
            [&](std::int64_t i, std::int64_t j, std::int64_t k) {
                return grid(i, j) * cost(i, j) * (k == 0 ? 1 : cost(i, j));
            });
    }
}

TYPED_TEST(Terms, GiveCostsAndLogDensities) {
    using T = TypeParam;
    for (const auto& [rows, columns, stride] : tiles) {
        const Grid<T> grid{rows, columns, stride, 0, 1, 1}, cost{rows, columns, stride, -3, 3, 2};
        const Grid<T> logit{rows, columns, stride, -9, 3, 3};
        const std::vector<T> row = random_numbers<T>(rows, -1, 1, 4), column = random_numbers<T>(columns, -1, 1, 5);
        const OnDevice<T> memory{grid.numbers}, weights{std::vector<T>(at(columns), T(1))}, costs{cost.numbers};
        const OnDevice<T> logits{logit.numbers}, of_rows{row}, of_columns{column};
        expect_values<T>(
            rows, columns, 2,
            [&](double* values, cudaStream_t stream) {
                launch_add_values(grid.tile(memory, weights), logits.get(), costs.get(), of_rows.get(),
                                  of_columns.get(), values, stream);
            },
            [&](std::int64_t i, std::int64_t j, std::int64_t k) {
                const double density =
                    logit(i, j) + static_cast<double>(row[at(i)]) + static_cast<double>(column[at(j)]);
                return grid(i, j) * (k == 0 ? cost(i, j) : density);
            });
    }
}

// d cost / d x_k, for which raw numbers are multiplied with `factor` (root, power: 1, 1 / p).
double gradient(const Kind& kind, double factor, double z, double raw) {
    switch (kind.form) {
        case PairForm::square:
            return 2 * factor * z;
        case PairForm::root:
            return raw > 0 ? z / raw : 0;
        default:
            return std::copysign(std::pow(std::abs(z), kind.p - 1), z);
    }
}

template <class T>
void expect_gradients(const Kind& kind, const Sizes& sizes, std::int64_t stride) {
    Problem<T> problem{kind, sizes};
    const std::int64_t d = sizes.dimension;
    if (sizes.rows > 1 && sizes.columns > 1) {  // two points that are one
        for (std::int64_t k = 0; k < d; ++k) problem.y[at(d + k)] = problem.x[at(d + k)];
    }
    const PairsOnDevice<T> on_device{problem};
    const Grid<T> grid{sizes.rows, sizes.columns, stride, 0, 1, 6};
    std::vector<T> raws(grid.numbers.size(), std::numeric_limits<T>::quiet_NaN());
    for (std::int64_t i = 0; i < sizes.rows; ++i)
        for (std::int64_t j = 0; j < sizes.columns; ++j) raws[at(i * stride + j)] = static_cast<T>(problem.raw(i, j));
    const OnDevice<T> memory{grid.numbers}, costs{raws};
    expect_values<T>(
        sizes.rows, sizes.columns, d,
        [&](double* values, cudaStream_t stream) {
            launch_add_gradients(grid.tile(memory, on_device.w), on_device.pairs,
                                 kind.form == PairForm::root ? costs.get() : nullptr, values, stream);
        },
        [&](std::int64_t i, std::int64_t j, std::int64_t k) {
            const double z =
                static_cast<double>(problem.x[at(i * d + k)]) - static_cast<double>(problem.y[at(j * d + k)]);
            return grid(i, j) * gradient(kind, static_cast<double>(problem.factor), z, problem.raw(i, j));
        });
}

TYPED_TEST(Terms, GiveGradientsOfEveryForm) {
    for (const Kind& kind : every_kind) {
        if (kernels::own_terms_count(kind.form)) continue;  // not of the form h(x - y)
        expect_gradients<TypeParam>(kind, {1, 1, 1}, 1);
        expect_gradients<TypeParam>(kind, {9, 33, 2}, 33);
        expect_gradients<TypeParam>(kind, {40, 130, 35}, 132);
        expect_gradients<TypeParam>(kind, {3, 1100, 40}, 1100);
    }
}

TYPED_TEST(Terms, OfNothingChangeNothing) {
    using T = TypeParam;
    const OnDevice<T> none{std::vector<T>{T(1)}};
    const OnDevice<double> values{std::vector<double>{5, 6}};
    const Stream stream;
    const TermTile<T> no_rows{none.get(), 1, 0, 1, none.get()}, no_columns{none.get(), 1, 1, 0, none.get()};
    for (const TermTile<T>& tile : {no_rows, no_columns}) {
        launch_exponentials<T>(tile, nullptr, values.get(), stream.get());
        launch_add_columns<T>(tile, none.get(), 2, values.get(), stream.get());
        launch_add_costs<T>(tile, none.get(), values.get(), stream.get());
        launch_add_values<T>(tile, none.get(), none.get(), none.get(), none.get(), values.get(), stream.get());
    }
    stream.wait();
    EXPECT_EQ(values.numbers(), (std::vector<double>{5, 6}));
}

TYPED_TEST(Terms, GiveTheSameBitsInEveryOrderOfThreads) {
    using T = TypeParam;
    const std::int64_t rows = 70, columns = 600, width = 40;
    const Grid<T> grid{rows, columns, columns, -10, 4, 1};
    const OnDevice<T> weights{random_numbers<T>(columns, 0.5, 2, 2)}, v{random_numbers<T>(columns * width, -1, 1, 3)};
    const auto run = [&] {
        const OnDevice<T> memory{grid.numbers};
        const OnDevice<double> sums{std::vector<double>(at(rows))}, values{std::vector<double>(at(rows * width))};
        const Stream stream;
        launch_exponentials<T>(grid.tile(memory, weights), nullptr, sums.get(), stream.get());
        launch_add_columns<T>(grid.tile(memory, weights), v.get(), width, values.get(), stream.get());
        stream.wait();
        return std::pair{sums.numbers(), values.numbers()};
    };
    const auto expected = run();
    for (const std::uint64_t seed : {1, 2, 3}) {
        emulation::set_order(seed);
        EXPECT_EQ(run(), expected) << seed;
    }
}

}  // namespace
}  // namespace convoy::cuda
