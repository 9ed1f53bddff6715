// Counted by hand from the form of each pass (src/kernels/cuda/tile.hpp); every count is the least that the form needs.
// Loads, addresses and loops come on top: a kernel is good that comes near.
//
// A logit of a product over d dimensions: f + g, then d multiply-adds; its term: an exponential, a multiply-add with
// the weight. Differences take two instructions a dimension. In fp64 an exponential is a polynomial of some 18
// instructions.
//
// Passes that are not plain sums, nor averages of few columns from tensor cores, go through tiles of logits in L2,
// kernel after kernel. Bytes of a pair there, numbers of s bytes: logits written (s), maxima read (s, safe form), terms
// read and written (2 s), read again for averages (s).

#include "cuda_work.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "kernels/device_memory.hpp"

namespace convoy::bench {

namespace {

constexpr double exponential_in_doubles = 18, root_in_doubles = 8;
constexpr double polynomial = 12;                   // slots
constexpr std::int64_t widest_in_one_kernel = 256;  // kernels/cuda/apply_columns.hpp

bool on_tensor_cores(const Asked& a) {
    return a.precision == Precision::single && a.cost.uses_products() && a.dimension > cuda::few_dimensions;
}

// The raw number of a pair: a product, or sums over differences.
Work raw(const Asked& a, bool from_differences) {
    const auto d = static_cast<double>(a.dimension);
    Work work;
    if (on_tensor_cores(a) && !from_differences) {
        // high high + high low + low high
        work.tensor = 3 * static_cast<double>(cuda::stride_of_split(a.dimension));
        return work;
    }
    const bool differences = (from_differences && a.cost.translation_invariant()) || !a.cost.uses_products();
    double operations = (differences ? 2 : 1) * d;
    if (a.cost.kind() == CostKind::euclidean)
        work.exponentials = 1, operations += 1;  // the root, and its multiplication
    if (a.cost.kind() == CostKind::pnorm && !a.cost.uses_products()) {
        work.exponentials = d;  // one special function for a root; powers in general take two
        operations += d;
    }
    (a.precision == Precision::single ? work.slots : work.doubles) += operations;
    work.slots += a.precision == Precision::single ? work.exponentials : 0;
    if (a.precision == Precision::fp64) {
        work.doubles += work.exponentials * exponential_in_doubles;
        work.exponentials = 0;
    }
    return work;
}

// From the raw number to the term that is added up.
void add_term(const Asked& a, Work& work) {
    if (a.precision == Precision::fp64) {
        work.doubles += 2 + exponential_in_doubles;
        return;
    }
    work.exponentials += 1;
    // f + g; a slope that is no part of the points; the exponential; the sum
    work.slots += 3 + (on_tensor_cores(a) || !a.cost.uses_products() || a.verb == Verb::kept ? 1 : 0);
}

void add_tiles(const Asked& a, double numbers, double kernels, Work& work) {
    const double size = a.precision == Precision::single ? 4 : 8;
    const auto side = static_cast<double>(std::min<std::int64_t>(a.points, cuda::tile_rows));
    work.cached += numbers * size;
    work.launches += kernels / (side * side);
}

// Tensor cores for the products, and once more for the averages of 64 columns at a time; nothing is stored.
Work averages_in_one_kernel(const Asked& a) {
    constexpr double columns = 64;
    const double passes = std::ceil(static_cast<double>(a.width) / columns);
    Work work = raw(a, false);
    work.tensor = passes * (work.tensor + 3 * columns);
    add_term(a, work);
    work.slots *= passes;
    work.exponentials *= passes;
    return work;
}

// Seconds of all instructions and of those of the special function units, with the best share of polynomials.
std::pair<double, double> balanced(const Work& work, const DeviceLimits& limits) {
    const double slot = 1 / limits.multiply_adds, special = 1 / limits.exponentials, e = work.exponentials;
    const double slots = work.slots * slot, specials = (e + work.roots) * special;
    if (e == 0 || specials <= slots) return {slots, specials};
    // slots + share e (polynomial - 1) slot = specials - share e special
    const double share = std::min((specials - slots) / (e * ((polynomial - 1) * slot + special)), 1.0);
    return {slots + share * e * (polynomial - 1) * slot, specials - share * e * special};
}

}  // namespace

Bound bound_of(const Work& work, const DeviceLimits& limits) {
    struct Part {
        double seconds;
        const char* name;
    };
    const auto [slots, specials] = balanced(work, limits);
    const std::array parts{Part{specials, "exponentials"},
                           Part{slots, "instructions"},
                           Part{work.tensor / limits.tensor, "tensor cores"},
                           Part{work.doubles / limits.doubles, "doubles"},
                           Part{work.read / limits.read, "memory"},
                           Part{work.cached / limits.cached, "L2"},
                           Part{work.launches / limits.launches, "launches"}};
    const Part slowest = *std::max_element(parts.begin(), parts.end(),
                                           [](const Part& a, const Part& b) { return a.seconds < b.seconds; });
    return {slowest.seconds > 0 ? 1 / slowest.seconds : 0, slowest.name};
}

Work work_of(const Asked& a) {
    switch (a.verb) {
        case Verb::reduce: {
            Work work = raw(a, false);
            add_term(a, work);
            return work;
        }
        case Verb::products: {
            Work work = raw(a, false);
            work.read += 4;  // written
            return work;
        }
        case Verb::kept: {
            Work work;
            add_term(a, work);
            work.read += 4;
            return work;
        }
        case Verb::safe: {
            Work work = raw(a, false);
            add_term(a, work);
            add_tiles(a, 4, 4, work);  // logits, maxima, rescaling, terms
            return work;
        }
        case Verb::columns: {
            if (on_tensor_cores(a) && a.width <= widest_in_one_kernel) return averages_in_one_kernel(a);
            Work work = raw(a, false);
            add_term(a, work);
            add_tiles(a, 4, 3, work);  // logits, terms, averages
            (a.precision == Precision::single ? work.slots : work.doubles) += static_cast<double>(a.width);
            return work;
        }
        case Verb::cost:
        case Verb::values: {
            Work work = raw(a, true);
            add_term(a, work);
            const bool values = a.verb == Verb::values;
            // Costs written and read; for values the logits are copied and read once more.
            add_tiles(a, values ? 9 : 6, values ? 4 : 3, work);
            work.slots += values ? 4 : 3;
            return work;
        }
        case Verb::pick: {
            Asked in_doubles = a;
            in_doubles.precision = Precision::fp64;
            Work work = raw(in_doubles, true);
            work.doubles += 2;
            add_tiles(in_doubles, 2, 2, work);
            return work;
        }
    }
    return {};
}

}  // namespace convoy::bench
