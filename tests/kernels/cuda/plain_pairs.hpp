#pragma once
// Problems for the kernels, and what they should give: plain double loops over the numbers as they were rounded.

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "kernels/cuda/device.hpp"
#include "kernels/cuda/tile.hpp"

namespace convoy::cuda::test {

// Numbers on a device. `late` numbers are before them: they begin at any address that a T may have.
template <class T>
class OnDevice {
 public:
    explicit OnDevice(const std::vector<T>& numbers, std::int64_t late = 0)
        : memory_{static_cast<std::int64_t>(numbers.size()) + late}, late_{late}, size_{numbers.size()} {
        check(cudaMemcpy(get(), numbers.data(), size_ * sizeof(T), cudaMemcpyHostToDevice), "copying");
    }
    T* get() const { return memory_.get() + late_; }
    std::vector<T> numbers() const {
        std::vector<T> result(size_);
        check(cudaDeviceSynchronize(), "waiting");
        check(cudaMemcpy(result.data(), get(), size_ * sizeof(T), cudaMemcpyDeviceToHost), "copying");
        return result;
    }

 private:
    Array<T> memory_;
    std::int64_t late_;
    std::size_t size_;
};

template <class T>
std::vector<T> random_numbers(std::int64_t n, double low, double high, unsigned seed) {
    std::mt19937 source{seed};
    std::uniform_real_distribution<double> uniform{low, high};
    std::vector<T> numbers(static_cast<std::size_t>(n));
    for (T& number : numbers) number = static_cast<T>(uniform(source));
    return numbers;
}

struct Sizes {
    std::int64_t rows = 1, columns = 1, dimension = 1;
};

struct Kind {
    PairForm form = PairForm::product;
    double p = 2;
};

inline double raw_of_coordinate(const Kind& kind, double x, double y) {
    switch (kind.form) {
        case PairForm::square:
        case PairForm::root:
            return (x - y) * (x - y);
        case PairForm::power:
            return std::pow(std::abs(x - y), kind.p);
        default:
            return x * y;
    }
}

// Two sides with logits of a few units, whatever the form and the dimension; every seventh column has no mass.
template <class T>
struct Problem {
    Kind kind;
    Sizes sizes;
    T slope, factor = T(0.75);
    std::vector<T> x, y, f, g, w;

    Problem(const Kind& k, const Sizes& s) : kind{k}, sizes{s} {
        const auto d = static_cast<double>(s.dimension);
        const double q = kind.form == PairForm::power ? kind.p : 2;
        const double scale = std::pow(d, -1 / q) * (kind.form == PairForm::product ? 3 : 1);
        slope = kind.form == PairForm::product ? T(1) : T(-2.5);
        x = random_numbers<T>(s.rows * s.dimension, -scale, scale, 1);
        y = random_numbers<T>(s.columns * s.dimension, -scale, scale, 2);
        f = random_numbers<T>(s.rows, -3, 3, 3);
        g = random_numbers<T>(s.columns, -3, 3, 4);
        w = random_numbers<T>(s.columns, 0.7, 1.4, 5);
        for (std::size_t j = 3; j < w.size(); j += 7) {
            w[j] = 0;
            g[j] = static_cast<T>(no_mass);
        }
    }

    double raw(std::int64_t i, std::int64_t j) const {
        double sum = 0;
        for (std::int64_t k = 0; k < sizes.dimension; ++k) {
            sum += raw_of_coordinate(kind, static_cast<double>(x[static_cast<std::size_t>(i * sizes.dimension + k)]),
                                     static_cast<double>(y[static_cast<std::size_t>(j * sizes.dimension + k)]));
        }
        return kind.form == PairForm::root ? std::sqrt(sum) : sum;
    }
    double logit(std::int64_t i, std::int64_t j) const {
        return static_cast<double>(f[static_cast<std::size_t>(i)]) +
               static_cast<double>(g[static_cast<std::size_t>(j)]) + static_cast<double>(slope) * raw(i, j);
    }
    std::vector<double> sums() const {
        std::vector<double> result(static_cast<std::size_t>(sizes.rows));
        for (std::int64_t i = 0; i < sizes.rows; ++i) {
            for (std::int64_t j = 0; j < sizes.columns; ++j) {
                const auto weight = static_cast<double>(w[static_cast<std::size_t>(j)]);
                if (weight != 0) result[static_cast<std::size_t>(i)] += weight * std::exp2(logit(i, j));
            }
        }
        return result;
    }
};

// The same on a device.
template <class T>
struct PairsOnDevice {
    OnDevice<T> x, y, f, g, w;
    Pairs<T> pairs;

    explicit PairsOnDevice(const Problem<T>& p, std::int64_t late = 0)
        : x{p.x, late}, y{p.y, late}, f{p.f}, g{p.g}, w{p.w} {
        pairs.form = p.kind.form;
        pairs.slope = p.slope;
        pairs.factor = p.factor;
        pairs.p = static_cast<T>(p.kind.p);
        pairs.dimension = p.sizes.dimension;
        pairs.staying.rows = p.sizes.rows;
        pairs.staying.points = x.get();
        pairs.staying.logits = f.get();
        pairs.summed.rows = p.sizes.columns;
        pairs.summed.points = y.get();
        pairs.summed.logits = g.get();
        pairs.summed.weights = w.get();
    }
};

}  // namespace convoy::cuda::test
