#include "io/exact_sum.hpp"

#include <cmath>
#include <utility>

namespace convoy::io {

void ExactSum::add(double value) {
    std::size_t kept = 0;
    for (double partial : partials_) {
        if (std::abs(value) < std::abs(partial)) std::swap(value, partial);
        const double high = value + partial;
        const double low = partial - (high - value);
        if (low != 0) partials_[kept++] = low;
        value = high;
    }
    partials_.resize(kept);
    partials_.push_back(value);
}

double ExactSum::value() const {
    double sum = 0, rest = 0;
    std::size_t i = partials_.size();
    while (i > 0) {
        const double partial = partials_[--i];
        const double before = sum;
        sum = before + partial;
        rest = partial - (sum - before);
        if (rest != 0) break;
    }
    // A rest of exactly half a unit was rounded to even; what lies below it decides which way is right.
    if (i > 0 && ((rest < 0 && partials_[i - 1] < 0) || (rest > 0 && partials_[i - 1] > 0))) {
        const double twice = 2 * rest;
        const double nudged = sum + twice;
        if (twice == nudged - sum) sum = nudged;
    }
    return sum;
}

void ExactSum::join(const Communicator& comm) {
    const std::vector<double> all = comm.gather_all(partials_);
    partials_.clear();
    add(all);
}

}  // namespace convoy::io
