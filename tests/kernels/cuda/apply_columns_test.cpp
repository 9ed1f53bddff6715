// Averages in one kernel, against plain double loops, and their joining across chunks and portions.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include "emulation.hpp"
#include "kernels/cuda/apply_columns.hpp"
#include "kernels/cuda/device.hpp"
#include "kernels/cuda/split_points.hpp"
#include "kernels/device_memory.hpp"
#include "kernels/devices.hpp"

namespace convoy::cuda {
namespace {

constexpr double ulp = 0x1p-24;

template <class T>
class OnDevice {
 public:
    explicit OnDevice(const std::vector<T>& values) : array_{std::ssize(values)} {
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

struct SplitCloud {
    SplitCloud(std::int64_t n, std::int64_t d, std::uint32_t seed)
        : rows{n}, dimension{d}, stride{stride_of_split(d)}, points{noise(n * d, 1, seed)}, device{points} {
        float largest = 0;
        for (const float coordinate : points) largest = std::max(largest, std::abs(coordinate));
        exponent = split_exponent(static_cast<double>(largest));
        const Stream stream;
        launch_split(device.get(), rows, dimension, exponent, high.get(), low.get(), stride, stream.get());
        stream.wait();
    }
    SplitPoints from(std::int64_t row) const { return {high.get() + row * stride, low.get() + row * stride, stride}; }

    std::int64_t rows, dimension, stride;
    std::vector<float> points;
    OnDevice<float> device;
    int exponent;
    Array<__half> high{(rows + 127) / 128 * 128 * stride}, low{(rows + 127) / 128 * 128 * stride};
};

// Of points that are near each other, so that many terms count; values of columns of very different size, one of them
// 0.
struct Problem {
    Problem(std::int64_t n, std::int64_t m, std::int64_t dimension, std::int64_t k)
        : rows{n},
          columns{m},
          width{k},
          x{n, dimension, 1},
          y{m, dimension, 2},
          f{noise(n, 3, 21)},
          g{noise(m, 3, 22)},
          w{noise(m, 0.1f, 23)},
          v{noise(m * k, 1, 24)} {
        for (float& weight : w) weight = std::exp2(weight);
        for (std::int64_t j = 0; j < m; ++j) {
            for (std::int64_t c = 0; c < k; ++c)
                at(j, c) *= c == 1 ? 0 : std::ldexp(1.0f, static_cast<int>(c % 41) - 20);
        }
        scale = 2 / std::sqrt(static_cast<double>(dimension));
        pairs.dimension = dimension;
        pairs.slope = static_cast<float>(std::ldexp(scale, -x.exponent - y.exponent));
    }
    float& at(std::int64_t j, std::int64_t c) { return v[static_cast<std::size_t>(j * width + c)]; }

    void send() {
        send(f, f_on_device, pairs.staying.logits);
        send(g, g_on_device, pairs.summed.logits);
        send(w, w_on_device, pairs.summed.weights);
        pairs.staying.rows = rows;
        pairs.staying.split = x.from(0);
        pairs.summed.rows = columns;
        pairs.summed.split = y.from(0);
        v_on_device = OnDevice{v};
        const std::int64_t stride = stride_of_split(width);
        high = Array<__half>{columns * stride};
        low = Array<__half>{columns * stride};
        largest = Array<float>{width};
        split = {{high.get(), low.get(), stride}, largest.get(), width};
        const Stream stream;
        launch_split_columns(v_on_device.get(), columns, width, largest.get(), high.get(), low.get(), stride,
                             stream.get());
        stream.wait();
    }

    std::int64_t rows, columns, width;
    SplitCloud x, y;
    std::vector<float> f, g, w, v;
    double scale;
    Pairs<float> pairs;
    SplitColumns split;

 private:
    static void send(const std::vector<float>& from, OnDevice<float>& to, const float*& pointer) {
        to = OnDevice{from};
        pointer = to.get();
    }
    OnDevice<float> f_on_device{{}}, g_on_device{{}}, w_on_device{{}}, v_on_device{{}};
    Array<__half> high, low;
    Array<float> largest;
};

struct Result {
    std::vector<float> maximum;
    std::vector<double> sums, values;
};

// As a call does it: the summed side in portions, each in chunks.
Result averages(const Problem& p, const Cut& cut, const std::vector<std::int64_t>& portions) {
    const auto n = static_cast<std::size_t>(p.rows), k = static_cast<std::size_t>(p.width);
    const auto chunks = static_cast<std::size_t>(cut.chunks);
    const OnDevice<float> maximum{std::vector<float>(n, static_cast<float>(no_mass))};
    const OnDevice<double> sums{std::vector<double>(n, 0.0)}, values{std::vector<double>(n * k, 0.0)};
    const ChunkAverages all{maximum.get(), sums.get(), values.get()};
    Array<float> partial_maximum{std::ssize(maximum.values()) * cut.chunks};
    Array<double> partial_sums{static_cast<std::int64_t>(n * chunks)},
        partial_values{static_cast<std::int64_t>(n * k * chunks)};
    const ChunkAverages partial{partial_maximum.get(), partial_sums.get(), partial_values.get()};
    const Stream stream;
    std::int64_t first = 0;
    for (const std::int64_t count : portions) {
        Pairs<float> pairs = p.pairs;
        pairs.summed.rows = count;
        pairs.summed.split = p.y.from(first);
        pairs.summed.logits += first;
        pairs.summed.weights += first;
        SplitColumns v = p.split;
        v.split.high += first * v.split.stride;
        v.split.low += first * v.split.stride;
        launch_average_split(pairs, v, cut, partial, stream.get());
        launch_join_averages(partial, cut.chunks, p.rows, p.width, all, stream.get());
        first += count;
    }
    stream.wait();
    return {maximum.values(), sums.values(), values.values()};
}

// Sums are within `relative` of what double loops give, values within that of the sums of their terms' sizes: what a
// logit is off by (its product by 2^-20 of the largest, roundings), 2 ulp of the exponential and as much of the
// maximum's, 2^-22 of terms and values when they are split, a few truncations; what is below 2^-38 of the largest term
// is lost, and 2^-33 of the column's largest value.
void expect_averages(const Problem& p, const Result& result) {
    for (std::int64_t i = 0; i < p.rows; ++i) {
        std::vector<double> logits;
        double largest = no_mass, most_off = 0;
        for (std::int64_t j = 0; j < p.columns; ++j) {
            double product = 0, size = 0;
            for (std::int64_t c = 0; c < p.x.dimension; ++c) {
                const double term = static_cast<double>(p.x.points[static_cast<std::size_t>(i * p.x.dimension + c)]) *
                                    static_cast<double>(p.y.points[static_cast<std::size_t>(j * p.x.dimension + c)]);
                product += term;
                size += std::abs(term);
            }
            const double own = static_cast<double>(p.f[static_cast<std::size_t>(i)]) +
                               static_cast<double>(p.g[static_cast<std::size_t>(j)]);
            logits.push_back(own + p.scale * product);
            if (own < no_mass / 2) continue;
            largest = std::max(largest, logits.back());
            most_off =
                std::max(most_off, 0x1p-20 * p.scale * size + 3 * ulp * (std::abs(own) + std::abs(logits.back())));
        }
        const double relative = std::log(2.0) * 2 * most_off + 0x1p-19;
        const auto at = static_cast<std::size_t>(i);
        if (largest == no_mass) {
            EXPECT_LE(result.maximum[at], no_mass / 2);
            EXPECT_EQ(result.sums[at], 0);
        } else {
            EXPECT_NEAR(static_cast<double>(result.maximum[at]), largest, most_off);
        }
        double sum = 0;
        for (std::int64_t j = 0; j < p.columns; ++j) {
            sum += static_cast<double>(p.w[static_cast<std::size_t>(j)]) *
                   std::exp2(logits[static_cast<std::size_t>(j)] - static_cast<double>(result.maximum[at]));
        }
        ASSERT_NEAR(result.sums[at], sum, relative * sum) << "row " << i;
        for (std::int64_t c = 0; c < p.width; ++c) {
            double value = 0, sizes = 0, of_column = 0;
            for (std::int64_t j = 0; j < p.columns; ++j) {
                const double number = static_cast<double>(p.v[static_cast<std::size_t>(j * p.width + c)]);
                const double term =
                    static_cast<double>(p.w[static_cast<std::size_t>(j)]) *
                    std::exp2(logits[static_cast<std::size_t>(j)] - static_cast<double>(result.maximum[at]));
                value += term * number;
                sizes += term * std::abs(number);
                of_column = std::max(of_column, std::abs(number));
            }
            const double lost = static_cast<double>(p.columns) * 0x1p-38 * of_column + 0x1p-32 * of_column * sum;
            ASSERT_NEAR(result.values[at * static_cast<std::size_t>(p.width) + static_cast<std::size_t>(c)], value,
                        relative * sizes + lost)
                << "row " << i << ", column " << c;
        }
    }
}

class FusedAverages : public testing::Test {
 protected:
    void SetUp() override {
        use_cuda_device(0, 8e9);
        emulation::set_order(0);
    }
    void TearDown() override { emulation::set_order(0); }
};

TEST_F(FusedAverages, AreThoseOfDoubleLoops) {
    struct Size {
        std::int64_t rows, columns, dimension, width;
    };
    const Size sizes[] = {{1, 1, 1, 1},       {3, 2, 5, 3},       {130, 129, 17, 2}, {64, 64, 64, 64},
                          {5, 300, 65, 65},   {129, 140, 50, 63}, {7, 131, 20, 256}, {2, 257, 257, 100},
                          {131, 127, 330, 7}, {9, 64, 128, 129}};
    for (const Size& size : sizes) {
        SCOPED_TRACE(testing::Message() << size.rows << " x " << size.columns << ", d = " << size.dimension
                                        << ", width " << size.width);
        Problem p{size.rows, size.columns, size.dimension, size.width};
        p.send();
        expect_averages(p, averages(p, {384, 1}, {size.columns}));
        expect_averages(p, averages(p, {128, 4}, {size.columns}));  // one chunk or more is empty
    }
}

// The maximum rises in the midst, and values go to memory more than once.
TEST_F(FusedAverages, OfLongRowsRiseWithTheirMaximum) {
    Problem p{3, 5000, 3, 5};
    for (std::size_t j = 0; j < 5000; ++j) p.g[j] += static_cast<float>(j) * 0.01f - (j % 2 == 0 ? 30.0f : 0.0f);
    p.send();
    expect_averages(p, averages(p, {5120, 1}, {5000}));
    expect_averages(p, averages(p, {2560, 2}, {5000}));
    expect_averages(p, averages(p, {1280, 2}, {2500, 1, 2499}));
}

TEST_F(FusedAverages, FallFarBelowWithoutHarm) {
    Problem p{4, 400, 3, 3};
    for (std::size_t j = 0; j < 400; ++j) p.g[j] -= static_cast<float>(j);
    p.send();
    expect_averages(p, averages(p, {512, 1}, {400}));
    expect_averages(p, averages(p, {128, 4}, {400}));
}

TEST_F(FusedAverages, LeaveOutColumnsWithoutMass) {
    Problem p{5, 300, 20, 4};
    for (std::size_t j = 0; j < 300; ++j) {
        if (j % 3 != 1 || j > 200) {
            p.g[j] = static_cast<float>(no_mass);
            p.w[j] = 0;
        }
    }
    p.send();
    expect_averages(p, averages(p, {128, 3}, {300}));  // the last chunk has none at all
    std::fill(p.g.begin(), p.g.end(), static_cast<float>(no_mass));
    std::fill(p.w.begin(), p.w.end(), 0.0f);
    p.send();
    const Result result = averages(p, {128, 3}, {300});
    expect_averages(p, result);
    for (const double value : result.values) EXPECT_EQ(value, 0);
}

TEST_F(FusedAverages, ShowPotentialsThatAreNoNumbers) {
    Problem p{3, 200, 20, 2};
    p.g[150] = std::numeric_limits<float>::quiet_NaN();
    p.send();
    const Result result = averages(p, {256, 1}, {200});
    for (const double sum : result.sums) EXPECT_TRUE(std::isnan(sum));
    for (const double value : result.values) EXPECT_TRUE(std::isnan(value));
}

TEST_F(FusedAverages, ShiftBack) {
    Problem p{3, 200, 20, 2};
    p.send();
    Result result = averages(p, {256, 1}, {200});
    const OnDevice<float> maximum{result.maximum};
    const OnDevice<double> sums{result.sums}, values{result.values};
    const Stream stream;
    launch_unshift({maximum.get(), sums.get(), values.get()}, 3, 2, stream.get());
    stream.wait();
    for (std::size_t i = 0; i < 3; ++i) {
        const double factor = std::exp2(static_cast<double>(result.maximum[i]));
        EXPECT_DOUBLE_EQ(sums.values()[i], factor * result.sums[i]);
        for (std::size_t k = 2 * i; k < 2 * i + 2; ++k) EXPECT_DOUBLE_EQ(values.values()[k], factor * result.values[k]);
    }
}

TEST_F(FusedAverages, FitDevicesWithEnoughSharedMemory) {
    for (const auto& [capability, fits] : {std::pair{90, true}, std::pair{80, true}, std::pair{89, false}}) {
        emulation::Devices devices;
        devices.capability = capability;
        emulation::set_devices(devices);
        EXPECT_EQ(averages_fit(), fits) << capability;
    }
    emulation::set_devices({});
}

TEST_F(FusedAverages, OfNothingAreZero) {
    Problem p{3, 0, 20, 2};
    p.send();
    const Result result = averages(p, {128, 1}, {0});
    for (const double sum : result.sums) EXPECT_EQ(sum, 0);
    for (const double value : result.values) EXPECT_EQ(value, 0);
}

TEST_F(FusedAverages, AreTheSameBitsInWhateverOrderThreadsRun) {
    Problem p{140, 300, 70, 70};
    p.send();
    const Result first = averages(p, {256, 2}, {300});
    for (const std::uint64_t seed : {1, 2, 3}) {
        emulation::set_order(seed);
        const Result again = averages(p, {256, 2}, {300});
        EXPECT_EQ(first.maximum, again.maximum);
        EXPECT_EQ(first.sums, again.sums);
        EXPECT_EQ(first.values, again.values);
    }
}

}  // namespace
}  // namespace convoy::cuda
