// Products on tensor cores and kept ones, kernel by kernel, against plain double loops. Built twice: for a device,
// where it skips if there is none, and for the emulation of one (tests/emulation).

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "kernels/cuda/device.hpp"
#include "kernels/cuda/kept_products.hpp"
#include "kernels/cuda/products_hopper.hpp"
#include "kernels/cuda/split_points.hpp"
#include "kernels/cuda/tile.hpp"
#include "kernels/device_memory.hpp"
#include "kernels/devices.hpp"
#if __has_include("emulation.hpp")
#include "emulation.hpp"
#define CONVOY_EMULATED
#endif

namespace convoy::cuda {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double ulp = 0x1p-24;  // of fp32: what rounding to nearest is off by, at most

class OnADevice : public testing::Test {
 protected:
    void SetUp() override {
        if (cuda_devices().empty()) GTEST_SKIP() << "no CUDA device: " << why_no_cuda_device();
        use_cuda_device(0, 8e9);
#ifdef CONVOY_EMULATED
        emulation::set_order(0);
#endif
    }
};

template <class T>
class OnDevice {
 public:
    explicit OnDevice(const std::vector<T>& values, std::int64_t beyond = 0) : array_{std::ssize(values) + beyond} {
        const Stream stream;
        copy_to_device(values.data(), array_.get(), std::ssize(values), stream);
        stream.wait();
    }
    T* get() const { return array_.get(); }
    std::vector<T> values() const {
        std::vector<T> result(static_cast<std::size_t>(array_.size()));
        const Stream stream;
        copy_to_host(array_.get(), result.data(), array_.size(), stream);
        stream.wait();
        return result;
    }

 private:
    Array<T> array_;
};

std::vector<float> noise(std::int64_t n, float spread, std::uint32_t seed) {
    std::mt19937 random{seed};
    std::normal_distribution<float> normal{0, spread};
    std::vector<float> values(static_cast<std::size_t>(n));
    for (float& value : values) value = normal(random);
    return values;
}

// --- Clouds ----------------------------------------------------------------------------------------------------------

struct SplitCloud {
    std::int64_t rows, dimension, stride = stride_of_split(dimension);
    std::vector<float> points;
    int exponent;
    OnDevice<float> device{points};
    Array<__half> high{padded(rows) * stride}, low{padded(rows) * stride};

    static std::int64_t padded(std::int64_t n) { return (n + 127) / 128 * 128; }

    SplitCloud(std::int64_t n, std::int64_t d, std::vector<float> x) : rows{n}, dimension{d}, points{std::move(x)} {
        float largest = 0;
        for (const float coordinate : points) largest = std::max(largest, std::abs(coordinate));
        exponent = split_exponent(static_cast<double>(largest));
        const Stream stream;
        launch_split(device.get(), rows, dimension, exponent, high.get(), low.get(), stride, stream.get());
        stream.wait();
    }
    SplitCloud(std::int64_t n, std::int64_t d, std::uint32_t seed) : SplitCloud{n, d, noise(n * d, 1, seed)} {}

    double coordinate(std::int64_t i, std::int64_t k) const {
        return std::ldexp(static_cast<double>(points[static_cast<std::size_t>(i * dimension + k)]), exponent);
    }
    SplitPoints from(std::int64_t row) const { return {high.get() + row * stride, low.get() + row * stride, stride}; }
};

// Of 2^(both exponents) <x_i, y_j>.
struct Product {
    double exact, error;
};

// How far off a product may be. With x = h + l + e (split_points.hpp) what is left out of a product of coordinates is
// l l' + e y + e' x, at most 3.01 2^-22 |x y| + 2^-25 (|x| + |y|); with S = sum |x y| the sums add
//
//     a step of a tensor core    nine addends, cut at 2^-24 of the largest, and their sum at 2^-23 of itself:
//                                11 2^-24 S
//     steps that count           of the large products: 8 coordinates each, at least; up to 32 in one sum, else 16
//     joining sums of 16         2^-24 S each
//
// and the small products, before the large ones, 2^-10 of 8 such steps: a tenth of one.
Product product(const SplitCloud& x, std::int64_t i, const SplitCloud& y, std::int64_t j) {
    double sum = 0, sizes = 0, halves = 0;
    for (std::int64_t k = 0; k < x.dimension; ++k) {
        const double a = x.coordinate(i, k), b = y.coordinate(j, k);
        sum += a * b;
        sizes += std::abs(a * b);
        halves += std::abs(a) + std::abs(b);
    }
    const double steps = x.dimension <= 32 ? 4 : 2;
    const double joins = x.dimension <= 32 ? 0 : std::ceil(static_cast<double>(x.dimension) / 16);
    const double sums = (11 * (steps + 0.1) + joins) * 0x1p-24;
    return {sum, (3.01 * 0x1p-22 + sums * 1.001) * sizes + 1.01 * 0x1p-25 * halves};
}

struct Size {
    std::int64_t rows, columns, dimension;
};

// Of one tile and several, of one slice and several, and what is just beside them.
const Size sizes[] = {{1, 1, 1},       {3, 2, 2},      {5, 130, 7},    {64, 64, 16},    {127, 128, 17},
                      {129, 127, 31},  {130, 3, 32},   {37, 260, 33},  {2, 129, 48},    {100, 61, 49},
                      {128, 128, 64},  {257, 131, 50}, {131, 257, 65}, {128, 256, 80},  {7, 300, 96},
                      {129, 1, 97},    {1, 129, 127},  {40, 200, 128}, {130, 140, 129}, {200, 20, 192},
                      {129, 257, 256}, {33, 17, 257},  {5, 133, 320},  {130, 129, 330}, {9, 270, 500}};

// --- Splitting -------------------------------------------------------------------------------------------------------

using Splitting = OnADevice;

TEST_F(Splitting, LosesNoMoreThanTwoRoundingsToHalf) {
    for (const double scale : {1.0, 1e-20, 3e-40, 1e30}) {
        std::vector<float> points = noise(67 * 70, 1, 5);
        for (std::size_t k = 0; k < points.size(); k += 3) points[k] *= 1e-3f;
        for (std::size_t k = 0; k < points.size(); k += 7) points[k] *= 1e-4f;  // low: denormals, or nothing
        for (float& x : points) x = static_cast<float>(static_cast<double>(x) * scale);
        const SplitCloud cloud{67, 70, points};

        const auto read = [&](const Array<__half>& from) {
            std::vector<__half> halves(static_cast<std::size_t>(from.size()));
            const Stream stream;
            copy_to_host(from.get(), halves.data(), from.size(), stream);
            stream.wait();
            return halves;
        };
        const std::vector<__half> high = read(cloud.high), low = read(cloud.low);

        double largest = 0;
        for (std::int64_t i = 0; i < 128; ++i) {
            for (std::int64_t k = 0; k < cloud.stride; ++k) {
                const auto at = static_cast<std::size_t>(i * cloud.stride + k);
                const double sum =
                    static_cast<double>(__half2float(high[at])) + static_cast<double>(__half2float(low[at]));
                if (i >= cloud.rows || k >= cloud.dimension) {
                    EXPECT_EQ(sum, 0) << i << " " << k;
                    continue;
                }
                const double exact = cloud.coordinate(i, k);
                largest = std::max(largest, std::abs(exact));
                EXPECT_LE(std::abs(sum - exact), std::max(0x1p-22 * std::abs(exact), 0x1p-25)) << exact;
            }
        }
        EXPECT_GE(largest, 0x1p8);
        EXPECT_LT(largest, 0x1p9);
    }
}

TEST_F(Splitting, OfPointsThatAreAllZeroOrNoneIsHarmless) {
    EXPECT_EQ(split_exponent(0), 0);
    EXPECT_EQ(split_exponent(infinity), 0);
    const SplitCloud zeros{3, 2, std::vector<float>(6, 0.0f)};
    EXPECT_EQ(zeros.exponent, 0);
    const SplitCloud none{0, 2, std::vector<float>{}};
    EXPECT_EQ(none.exponent, 0);
}

// --- Products --------------------------------------------------------------------------------------------------------

struct Problem {
    Problem(const SplitCloud& x, const SplitCloud& y, double scale = 0.05)
        : f{noise(x.rows, 3, 21)}, g{noise(y.rows, 3, 22)}, w{noise(y.rows, 0.1f, 23)} {
        for (float& weight : w) weight = std::exp2(weight);
        pairs.dimension = x.dimension;
        pairs.slope = static_cast<float>(std::ldexp(scale, -x.exponent - y.exponent));
        pairs.factor = static_cast<float>(std::ldexp(-2.0, -x.exponent - y.exponent));
        pairs.staying = {x.rows, nullptr, nullptr, nullptr, x.from(0)};
        pairs.summed = {y.rows, nullptr, nullptr, nullptr, y.from(0)};
    }
    // To the device, when f, g and w are what they are to be.
    void send() {
        f_on_device = OnDevice{f};
        g_on_device = OnDevice{g};
        w_on_device = OnDevice{w};
        pairs.staying.logits = f_on_device.get();
        pairs.summed.logits = g_on_device.get();
        pairs.summed.weights = w_on_device.get();
    }

    std::vector<float> f, g, w;
    OnDevice<float> f_on_device{{}}, g_on_device{{}}, w_on_device{{}};
    Pairs<float> pairs;
};

std::vector<float> products_of(const Pairs<float>& pairs, std::int64_t stride, std::int64_t shift = 0) {
    const OnDevice<float> out{std::vector<float>(static_cast<std::size_t>(pairs.staying.rows * stride + shift), 77.0f)};
    const Stream stream;
    launch_products(pairs, out.get() + shift, stride, stream.get());
    stream.wait();
    std::vector<float> values = out.values();
    for (std::int64_t k = 0; k < shift; ++k) EXPECT_EQ(values[static_cast<std::size_t>(k)], 77.0f);
    values.erase(values.begin(), values.begin() + shift);
    return values;
}

using TensorCoreProducts = OnADevice;

TEST_F(TensorCoreProducts, AreThoseOfFp32) {
    for (const Size& size : sizes) {
        SCOPED_TRACE(testing::Message() << size.rows << " x " << size.columns << ", d = " << size.dimension);
        const SplitCloud x{size.rows, size.dimension, 1}, y{size.columns, size.dimension, 2};
        const std::int64_t stride = size.columns + 3;  // odd and even ones

        const std::vector<float> out = products_of(Problem{x, y}.pairs, stride);

        for (std::int64_t i = 0; i < size.rows; ++i) {
            for (std::int64_t j = 0; j < stride; ++j) {
                const float value = out[static_cast<std::size_t>(i * stride + j)];
                if (j >= size.columns) {
                    ASSERT_EQ(value, 77.0f) << "written beyond the row's end";
                    continue;
                }
                const Product expected = product(x, i, y, j);
                ASSERT_LE(std::abs(static_cast<double>(value) - expected.exact), expected.error) << i << " " << j;
            }
        }
    }
}

// The bound above is for the worst case. In the mean, errors are less than what an fp32 dot product has.
TEST_F(TensorCoreProducts, ErrInTheMeanNoMoreThanFp32) {
    for (const std::int64_t dimension : {32, 64, 128, 784}) {
        const SplitCloud x{16, dimension, 1}, y{24, dimension, 2};

        const std::vector<float> out = products_of(Problem{x, y}.pairs, 24);

        double squares = 0, squares_of_fp32 = 0;
        for (std::int64_t i = 0; i < x.rows; ++i) {
            for (std::int64_t j = 0; j < y.rows; ++j) {
                const double exact = product(x, i, y, j).exact;
                float sum = 0;
                for (std::int64_t k = 0; k < dimension; ++k) {
                    sum = std::fma(static_cast<float>(x.coordinate(i, k)), static_cast<float>(y.coordinate(j, k)), sum);
                }
                const double error = static_cast<double>(out[static_cast<std::size_t>(i * 24 + j)]) - exact;
                squares += error * error;
                squares_of_fp32 += std::pow(static_cast<double>(sum) - exact, 2);
            }
        }
        // 1.2: of 32 coordinates it is 0.94, and sums of a few hundred squares scatter.
        EXPECT_LE(squares, 1.2 * 1.2 * squares_of_fp32) << "d = " << dimension;
    }
}

// Sums that only grow, where every truncation shows.
TEST_F(TensorCoreProducts, OfPositiveCoordinatesDoNotDrift) {
    for (const std::int64_t dimension : {64, 1024, 5000}) {
        std::vector<float> points = noise(3 * dimension, 1, 3);
        for (float& coordinate : points) coordinate = std::abs(coordinate);
        const SplitCloud x{3, dimension, points};

        const std::vector<float> out = products_of(Problem{x, x}.pairs, 4);

        for (std::int64_t i = 0; i < 3; ++i) {
            for (std::int64_t j = 0; j < 3; ++j) {
                const Product expected = product(x, i, x, j);
                EXPECT_LE(std::abs(static_cast<double>(out[static_cast<std::size_t>(i * 4 + j)]) - expected.exact),
                          expected.error)
                    << dimension;
            }
        }
    }
}

TEST_F(TensorCoreProducts, OfPartsOfCloudsReadNothingElse) {
    const SplitCloud x{300, 70, 1}, y{290, 70, 2};
    Pairs<float> pairs = Problem{x, y}.pairs;
    // The last 140 and 133 points: their last tiles end beyond the arrays.
    pairs.staying.rows = 140;
    pairs.staying.split = x.from(160);
    pairs.summed.rows = 133;
    pairs.summed.split = y.from(157);

    const std::vector<float> out = products_of(pairs, 133, 1);

    for (std::int64_t i = 0; i < 140; ++i) {
        for (std::int64_t j = 0; j < 133; ++j) {
            const Product expected = product(x, 160 + i, y, 157 + j);
            ASSERT_LE(std::abs(static_cast<double>(out[static_cast<std::size_t>(i * 133 + j)]) - expected.exact),
                      expected.error);
        }
    }
}

// --- Sums ------------------------------------------------------------------------------------------------------------

struct Expected {
    double sum, error;
};

// Of sum w 2^t. What a logit is off by makes ln 2 of that of its term; 2 ulp for the exponential, and a sum of n terms
// is off by n roundings at most: 256 in a run, and fp64 after that. Roundings of f + g, of slope r and of their sum.
template <class Raw>
Expected expected_sum(const Problem& p, std::int64_t i, std::int64_t begin, std::int64_t end, const Raw& raw) {
    double sum = 0, error = 0;
    for (std::int64_t j = begin; j < end; ++j) {
        const double own = static_cast<double>(p.f[static_cast<std::size_t>(i)]) +
                           static_cast<double>(p.g[static_cast<std::size_t>(j)]);
        const Product r = raw(i, j);
        const double slope = static_cast<double>(p.pairs.slope);
        const double t = own + slope * r.exact;
        const double off = std::abs(slope) * r.error + ulp * (std::abs(own) + std::abs(t) + 1);
        const double term = static_cast<double>(p.w[static_cast<std::size_t>(j)]) * std::exp2(t);
        sum += term;
        error += term * (std::expm1(std::log(2.0) * off) + 4 * ulp + longest_run * ulp);
    }
    return {sum, error};
}

using Launch = void (*)(const Pairs<float>&, const Cut&, double*, cudaStream_t);

std::vector<double> sums_of(Launch launch_sums, const Pairs<float>& pairs, const Cut& cut) {
    const auto n = static_cast<std::size_t>(cut.chunks * pairs.staying.rows);
    const OnDevice<double> partial{std::vector<double>(n, -77.0), 1};
    const Stream stream;
    launch_sums(pairs, cut, partial.get(), stream.get());
    stream.wait();
    std::vector<double> values = partial.values();
    values.resize(n);
    return values;
}

template <class Raw>
void expect_sums(const Problem& p, const Cut& cut, const std::vector<double>& partial, const Raw& raw) {
    const std::int64_t rows = p.pairs.staying.rows, columns = p.pairs.summed.rows;
    for (std::int64_t c = 0; c < cut.chunks; ++c) {
        for (std::int64_t i = 0; i < rows; ++i) {
            const std::int64_t begin = std::min(c * cut.chunk, columns), end = std::min(begin + cut.chunk, columns);
            const Expected expected = expected_sum(p, i, begin, end, raw);
            ASSERT_LE(std::abs(partial[static_cast<std::size_t>(c * rows + i)] - expected.sum), expected.error)
                << "chunk " << c << ", row " << i;
        }
    }
}

using SplitSums = OnADevice;

TEST_F(SplitSums, AreThoseOfDoubleLoops) {
    for (const Size& size : sizes) {
        const SplitCloud x{size.rows, size.dimension, 1}, y{size.columns, size.dimension, 2};
        Problem p{x, y};
        p.send();
        // One chunk too many: its sums are 0.
        for (const Cut cut : {Cut{384, 1}, Cut{128, 4}}) {
            SCOPED_TRACE(testing::Message() << size.rows << " x " << size.columns << ", d = " << size.dimension
                                            << ", chunks of " << cut.chunk);
            const std::vector<double> partial = sums_of(launch_sums_split, p.pairs, cut);
            expect_sums(p, cut, partial, [&](std::int64_t i, std::int64_t j) { return product(x, i, y, j); });
        }
    }
}

// More terms than a lane adds up in fp32.
TEST_F(SplitSums, OfLongRowsGoOnInDoublePrecision) {
    for (const std::int64_t dimension : {3, 65}) {
        const SplitCloud x{2, dimension, 1}, y{2900, dimension, 2};
        Problem p{x, y};
        p.send();

        const std::vector<double> partial = sums_of(launch_sums_split, p.pairs, {2944, 1});

        expect_sums(p, {2944, 1}, partial, [&](std::int64_t i, std::int64_t j) { return product(x, i, y, j); });
    }
}

// What the launch order of tiles must not miss: more rows than are run at a time, and several chunks.
TEST_F(SplitSums, OfManyTilesReachEveryRowAndChunk) {
    for (const Size& size : {Size{128 * 35 + 5, 300, 1}, Size{256 * 33 + 5, 130, 65}}) {
        const SplitCloud x{size.rows, size.dimension, 1}, y{size.columns, size.dimension, 2};
        Problem p{x, y};
        p.send();

        const std::vector<double> partial = sums_of(launch_sums_split, p.pairs, {128, 3});

        expect_sums(p, {128, 3}, partial, [&](std::int64_t i, std::int64_t j) { return product(x, i, y, j); });
    }
}

TEST_F(SplitSums, LeaveOutColumnsWithoutMass) {
    for (const std::int64_t dimension : {20, 100}) {
        const SplitCloud x{5, dimension, 1}, y{140, dimension, 2};
        Problem p{x, y};
        std::fill(p.g.begin(), p.g.end(), static_cast<float>(no_mass));
        std::fill(p.w.begin(), p.w.end(), 0.0f);
        p.send();
        for (const double sum : sums_of(launch_sums_split, p.pairs, {256, 1})) EXPECT_EQ(sum, 0.0);

        // One with mass: its term alone, to the last bit the same as without the others.
        p.g[77] = 1;
        p.w[77] = 1;
        p.send();
        const std::vector<double> among_others = sums_of(launch_sums_split, p.pairs, {256, 1});
        Pairs<float> alone = p.pairs;
        alone.summed.rows = 1;
        alone.summed.split = y.from(77);
        alone.summed.logits += 77;
        alone.summed.weights += 77;
        EXPECT_EQ(among_others, sums_of(launch_sums_split, alone, {256, 1}));
    }
}

TEST_F(SplitSums, ShowPotentialsThatAreNoNumbers) {
    for (const std::int64_t dimension : {20, 100}) {
        const SplitCloud x{4, dimension, 1}, y{260, dimension, 2};
        Problem p{x, y};
        p.g[200] = std::numeric_limits<float>::quiet_NaN();
        p.send();

        const std::vector<double> partial = sums_of(launch_sums_split, p.pairs, {128, 3});

        for (std::size_t i = 0; i < 4; ++i) {
            EXPECT_TRUE(std::isfinite(partial[i]));
            EXPECT_TRUE(std::isnan(partial[4 + i]));
            EXPECT_TRUE(std::isfinite(partial[8 + i]));
        }
    }
}

TEST_F(SplitSums, OfNothingAreZeroOrNotThere) {
    const SplitCloud x{3, 20, 1}, none{0, 20, std::vector<float>{}};
    Problem p{x, none};
    p.send();
    for (const double sum : sums_of(launch_sums_split, p.pairs, {128, 1})) EXPECT_EQ(sum, 0);
    Problem q{none, x};
    q.send();
    EXPECT_TRUE(sums_of(launch_sums_split, q.pairs, {128, 1}).empty());
}

#ifdef CONVOY_EMULATED
// An A100's blocks have less shared memory, and smaller tiles; those of its smaller relatives less still.
TEST_F(SplitSums, AreTheSameBitsOnDevicesWithLessSharedMemory) {
    for (const std::int64_t dimension : {32, 64, 65, 130, 330}) {
        const auto sums = [&](int capability) {
            emulation::Devices devices;
            devices.capability = capability;
            emulation::set_devices(devices);
            use_cuda_device(0, 8e9);
            const SplitCloud x{270, dimension, 1}, y{300, dimension, 2};
            Problem p{x, y};
            p.send();
            return sums_of(launch_sums_split, p.pairs, {256, 2});
        };
        const std::vector<double> here = sums(90);
        EXPECT_EQ(sums(80), here) << dimension;
        EXPECT_EQ(sums(89), here) << dimension;
        emulation::set_devices({});
    }
}

TEST_F(SplitSums, AreTheSameBitsInWhateverOrderThreadsRun) {
    for (const std::int64_t dimension : {40, 130, 330}) {
        const SplitCloud x{130, dimension, 1}, y{300, dimension, 2};
        Problem p{x, y};
        p.send();
        const std::vector<double> partial = sums_of(launch_sums_split, p.pairs, {256, 2});
        for (const std::uint64_t seed : {1, 2, 3}) {
            emulation::set_order(seed);
            EXPECT_EQ(partial, sums_of(launch_sums_split, p.pairs, {256, 2})) << seed;
        }
        emulation::set_order(0);
    }
}
#endif

// --- Hopper's instructions
// --------------------------------------------------------------------------------------------

#ifdef CONVOY_EMULATED
using HopperSums = OnADevice;

TEST_F(HopperSums, AreThoseOfDoubleLoops) {
    for (const Size& size : {Size{1, 1, 17}, Size{3, 64, 20}, Size{5, 65, 33}, Size{64, 128, 48}, Size{191, 129, 49},
                             Size{192, 300, 64}, Size{193, 70, 50}, Size{400, 515, 32}}) {
        const SplitCloud x{size.rows, size.dimension, 1}, y{size.columns, size.dimension, 2};
        Problem p{x, y};
        p.send();
        for (const Cut cut : {Cut{640, 1}, Cut{128, 6}}) {
            SCOPED_TRACE(testing::Message() << size.rows << " x " << size.columns << ", d = " << size.dimension
                                            << ", chunks of " << cut.chunk);
            expect_sums(p, cut, sums_of(launch_sums_hopper, p.pairs, cut), [&](std::int64_t i, std::int64_t j) {
                Product r = product(x, i, y, j);
                r.error *= 4;  // sums of up to 64 coordinates are those of tensor cores
                return r;
            });
        }
    }
}

TEST_F(HopperSums, OfLongRowsGoOnInDoublePrecision) {
    const SplitCloud x{2, 20, 1}, y{2900, 20, 2};
    Problem p{x, y};
    p.send();
    expect_sums(p, {2944, 1}, sums_of(launch_sums_hopper, p.pairs, {2944, 1}),
                [&](std::int64_t i, std::int64_t j) { return product(x, i, y, j); });
}

TEST_F(HopperSums, LeaveOutColumnsWithoutMassAndShowWhatIsNoNumber) {
    const SplitCloud x{4, 40, 1}, y{260, 40, 2};
    Problem p{x, y};
    std::fill_n(p.g.begin(), 128, static_cast<float>(no_mass));
    std::fill_n(p.w.begin(), 128, 0.0f);
    p.g[200] = std::numeric_limits<float>::quiet_NaN();
    p.send();

    const std::vector<double> partial = sums_of(launch_sums_hopper, p.pairs, {128, 4});

    for (std::size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(partial[i], 0);
        EXPECT_TRUE(std::isnan(partial[4 + i]));
        EXPECT_TRUE(std::isfinite(partial[8 + i]));
        EXPECT_EQ(partial[12 + i], 0);
    }
}

TEST_F(HopperSums, AreTheSameBitsInWhateverOrderThreadsRun) {
    const SplitCloud x{200, 40, 1}, y{700, 40, 2};
    Problem p{x, y};
    p.send();
    const std::vector<double> partial = sums_of(launch_sums_hopper, p.pairs, {384, 2});
    for (const std::uint64_t seed : {1, 2, 3}) {
        emulation::set_order(seed);
        EXPECT_EQ(partial, sums_of(launch_sums_hopper, p.pairs, {384, 2})) << seed;
    }
    emulation::set_order(0);
}
#endif

// --- Logits ----------------------------------------------------------------------------------------------------------

using LaunchLogits = void (*)(const Pairs<float>&, const LogitTile<float>&, cudaStream_t);

template <class Raw>
void expect_logits(LaunchLogits launch_logits, const Problem& p, bool costs, bool offsets, const Raw& raw) {
    const std::int64_t rows = p.pairs.staying.rows, columns = p.pairs.summed.rows, stride = columns + columns % 2 + 1;
    const std::vector<float> u = noise(rows, 5, 31), v = noise(columns, 5, 32);
    const OnDevice<float> row{u}, column{v};
    const std::vector<float> nothing(static_cast<std::size_t>(rows * stride), 77.0f);
    const OnDevice<float> logits{nothing}, costs_there{nothing};
    const Stream stream;
    launch_logits(p.pairs,
                  {logits.get(), costs ? costs_there.get() : nullptr, stride, offsets ? row.get() : nullptr,
                   offsets ? column.get() : nullptr},
                  stream.get());
    stream.wait();
    const std::vector<float> t = logits.values(), c = costs_there.values();
    const auto off = [](const Product& r, double slope, double own, double value) {
        return std::abs(slope) * r.error + ulp * (std::abs(own) + std::abs(value));
    };
    for (std::int64_t i = 0; i < rows; ++i) {
        for (std::int64_t j = 0; j < stride; ++j) {
            const auto at = static_cast<std::size_t>(i * stride + j);
            if (j >= columns || !costs) {
                ASSERT_EQ(c[at], 77.0f);
            }
            if (j >= columns) {
                ASSERT_EQ(t[at], 77.0f);
                continue;
            }
            const auto of_row = static_cast<std::size_t>(i), of_column = static_cast<std::size_t>(j);
            const Product r = raw(i, j);
            const double own = static_cast<double>(p.f[of_row]) + static_cast<double>(p.g[of_column]);
            const double slope = static_cast<double>(p.pairs.slope), logit = own + slope * r.exact;
            ASSERT_LE(std::abs(static_cast<double>(t[at]) - logit), off(r, slope, own, logit)) << i << " " << j;
            if (!costs) continue;
            const double offset = offsets ? static_cast<double>(u[of_row]) + static_cast<double>(v[of_column]) : 0;
            const double factor = static_cast<double>(p.pairs.factor), cost = offset + factor * r.exact;
            ASSERT_LE(std::abs(static_cast<double>(c[at]) - cost), off(r, factor, offset, cost)) << i << " " << j;
        }
    }
}

using SplitLogits = OnADevice;

TEST_F(SplitLogits, AreThoseOfDoubleLoops) {
    int kind = 0;
    for (const Size& size : sizes) {
        SCOPED_TRACE(testing::Message() << size.rows << " x " << size.columns << ", d = " << size.dimension);
        const SplitCloud x{size.rows, size.dimension, 1}, y{size.columns, size.dimension, 2};
        Problem p{x, y};
        p.send();
        ++kind;
        expect_logits(launch_logits_split, p, kind % 3 != 0, kind % 3 == 1,
                      [&](std::int64_t i, std::int64_t j) { return product(x, i, y, j); });
    }
}

TEST_F(SplitLogits, OfColumnsWithoutMassAreFarBelowAll) {
    const SplitCloud x{3, 20, 1}, y{5, 20, 2};
    Problem p{x, y};
    p.g[2] = static_cast<float>(no_mass);
    p.send();
    expect_logits(launch_logits_split, p, false, false,
                  [&](std::int64_t i, std::int64_t j) { return product(x, i, y, j); });
}

// --- Kept products ---------------------------------------------------------------------------------------------------

// Products that are numbers like any others; either way round, where rows begin anywhere.
struct Kept {
    Kept(std::int64_t rows, std::int64_t columns, bool transposed, std::int64_t pad, std::int64_t first)
        : stride{(transposed ? rows : columns) + pad},
          shift{first},
          turned{transposed},
          numbers{noise((transposed ? columns : rows) * stride + first, 2, 41)},
          device{numbers},
          f{noise(rows, 3, 21)},
          g{noise(columns, 3, 22)},
          w{noise(columns, 0.1f, 23)} {}

    Product operator()(std::int64_t i, std::int64_t j) const {
        const std::int64_t at = shift + (turned ? j * stride + i : i * stride + j);
        return {static_cast<double>(numbers[static_cast<std::size_t>(at)]), 0};
    }
    KeptView view() const { return {device.get() + shift, stride, turned}; }

    std::int64_t stride, shift;
    bool turned;
    std::vector<float> numbers;
    OnDevice<float> device;
    std::vector<float> f, g, w;
};

class EitherWayRound : public OnADevice, public testing::WithParamInterface<bool> {
 protected:
    // Calls use(problem, kept products) for sizes around what a warp and a block take, aligned and not.
    template <class Use>
    void for_all(const Use& use) {
        const Size sizes[] = {{1, 1, 0},     {4, 128, 0},  {5, 127, 0},  {33, 129, 0},   {128, 32, 0},
                              {129, 37, 0},  {7, 300, 0},  {200, 61, 0}, {31, 8300, 0},  {3, 40000, 0},
                              {8300, 31, 0}, {257, 65, 0}, {130, 1, 0},  {127, 2500, 0}, {600, 3, 0}};
        for (const Size& size : sizes) {
            for (const std::int64_t first : {0, 1, 4}) {
                const std::int64_t row = GetParam() ? size.rows : size.columns;
                const std::int64_t pad = first == 0   ? stride_of_products(row) - row
                                         : first == 1 ? 0
                                                      : (8 - row % 4) % 4;
                const Kept kept{size.rows, size.columns, GetParam(), pad, first};
                SCOPED_TRACE(testing::Message()
                             << size.rows << " x " << size.columns << ", stride " << kept.stride << ", from " << first);
                const SplitCloud nowhere{0, 1, std::vector<float>{}};
                Problem p{nowhere, nowhere};
                p.f = kept.f;
                p.g = kept.g;
                p.w = kept.w;
                for (float& weight : p.w) weight = std::exp2(weight);
                p.send();
                p.pairs.form = PairForm::kept;
                p.pairs.slope = 0.7f;
                p.pairs.factor = -3;
                p.pairs.staying.rows = size.rows;
                p.pairs.summed.rows = size.columns;
                p.pairs.kept = kept.view();
                use(p, kept);
            }
        }
    }
};

TEST_P(EitherWayRound, SumsAreThoseOfDoubleLoops) {
    for_all([](Problem& p, const Kept& kept) {
        const std::int64_t columns = p.pairs.summed.rows;
        const std::int64_t chunk = (columns / 3 + 128) / 128 * 128;
        for (const Cut cut : {Cut{(columns + 127) / 128 * 128, 1}, Cut{chunk, static_cast<int>(columns / chunk) + 2}}) {
            expect_sums(p, cut, sums_of(launch_sums_kept, p.pairs, cut), kept);
        }
    });
}

TEST_P(EitherWayRound, LogitsAreThoseOfDoubleLoops) {
    int kind = 0;
    for_all([&](Problem& p, const Kept& kept) {
        ++kind;
        if (p.pairs.staying.rows * p.pairs.summed.rows > 50000) return;
        expect_logits(launch_logits_kept, p, kind % 3 != 0, kind % 3 == 1, kept);
    });
}

TEST_P(EitherWayRound, SumsShowWhatIsNoNumberAndLeaveOutWhatHasNoMass) {
    const Kept kept{6, 300, GetParam(), 0, 0};
    const SplitCloud nowhere{0, 1, std::vector<float>{}};
    Problem p{nowhere, nowhere};
    p.f = kept.f;
    p.g.assign(300, static_cast<float>(no_mass));
    p.w.assign(300, 0.0f);
    p.pairs.form = PairForm::kept;
    p.pairs.slope = 0.7f;
    p.pairs.staying.rows = 6;
    p.pairs.summed.rows = 300;
    p.pairs.kept = kept.view();
    p.g[299] = std::numeric_limits<float>::quiet_NaN();
    p.send();

    const std::vector<double> partial = sums_of(launch_sums_kept, p.pairs, {256, 3});

    for (std::size_t i = 0; i < 6; ++i) {
        EXPECT_EQ(partial[i], 0);
        EXPECT_TRUE(std::isnan(partial[6 + i]));
        EXPECT_EQ(partial[12 + i], 0);
    }
}

#ifdef CONVOY_EMULATED
TEST_P(EitherWayRound, SumsAreTheSameBitsInWhateverOrderThreadsRun) {
    const Kept kept{140, 2500, GetParam(), 0, 0};
    const SplitCloud nowhere{0, 1, std::vector<float>{}};
    Problem p{nowhere, nowhere};
    p.f = kept.f;
    p.g = kept.g;
    p.w.assign(2500, 1.0f);
    p.send();
    p.pairs.slope = 0.7f;
    p.pairs.staying.rows = 140;
    p.pairs.summed.rows = 2500;
    p.pairs.kept = kept.view();
    const std::vector<double> partial = sums_of(launch_sums_kept, p.pairs, {1280, 2});
    for (const std::uint64_t seed : {1, 2, 3}) {
        emulation::set_order(seed);
        EXPECT_EQ(partial, sums_of(launch_sums_kept, p.pairs, {1280, 2})) << seed;
    }
    emulation::set_order(0);
}
#endif

INSTANTIATE_TEST_SUITE_P(KeptProducts, EitherWayRound, testing::Bool(),
                         [](const auto& info) { return info.param ? "ColumnsStay" : "RowsStay"; });

}  // namespace
}  // namespace convoy::cuda
