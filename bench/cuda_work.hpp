#pragma once
// What a pair costs the CUDA backend at least, counted, and how many pairs a second a device with given limits can do
// at best: the bound that rates are held against.

#include <cstdint>
#include <string>

#include "convoy/cost.hpp"
#include "convoy/verbs.hpp"
#include "device_limits.hpp"

namespace convoy::bench {

// Of one pair. `slots`: instructions of one lane, of any kind; special functions take one each, too. Exponentials can
// be polynomials instead, which take more slots (kernels/cuda/exp2.hpp); roots cannot.
struct Work {
    double slots = 0, exponentials = 0, roots = 0, tensor = 0, doubles = 0;
    double read = 0, cached = 0;  // bytes, of memory and of L2
    double launches = 0;
};

struct Bound {
    double rate = 0;  // pairs a second
    std::string by;   // what it is that bounds it
};
Bound bound_of(const Work& work, const DeviceLimits& limits);

enum class Verb { reduce, products, kept, safe, columns, cost, values, pick };

struct Asked {
    Verb verb = Verb::reduce;
    Cost cost;
    Precision precision = Precision::single;
    std::int64_t dimension = 1, points = 1;
    std::int64_t width = 0;  // of columns
};
Work work_of(const Asked& asked);

}  // namespace convoy::bench
