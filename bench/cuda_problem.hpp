#pragma once
// A problem whose calls are timed, one call of a block, and how far its answer is from the sequential reference's.

#include <cstdint>
#include <string>
#include <vector>

#include "cuda_work.hpp"
#include "kernels/block.hpp"

namespace convoy::bench {

struct Subject {
    std::string cost;
    Precision precision = Precision::single;
    std::int64_t d = 1, n = 1;
    std::string name() const;
};

// Two normal clouds, potentials on which the answers depend, an epsilon at which shifted sums are in range.
struct Problem {
    Subject subject;
    Cost cost;
    Cloud source, target;
    std::vector<double> f, g, columns;
    double epsilon = 1;

    explicit Problem(const Subject& s);

    Potentials potentials() const { return {f, g}; }
    LocalRun all() const { return {LocalIndex{0}, subject.n}; }
    double pairs() const { return static_cast<double>(subject.n) * static_cast<double>(subject.n); }
    bool single() const { return subject.precision == Precision::single; }
    BlockProblem block() const { return {cost, &source, &target, {}, {}, {}, subject.precision}; }
    // Of apply; views `columns`, which are made anew.
    Weighting weighting(Verb verb, std::int64_t width);
    // Whether a device with so many bytes holds it.
    bool fits(std::int64_t width, bool keep_products, double memory) const;
};

struct Answer {
    Sums sums;
    std::vector<double> values;
    Picks picks;
};

// One call of a block: whichever verb it is.
struct Call {
    std::string name;
    Asked asked;
    Side side = Side::row;
    Weighting weighting;
    PickRule rule;

    void operator()(const Block& block, const Problem& problem, LocalRun range, Answer& answer) const;
};

// The largest error of some rows of an answer to the whole: of sums relative to themselves; of averages to the sum, or
// to themselves where they are larger; of picks that of their scores, infinite where other points were picked.
double error_of(const Call& call, const Problem& problem, const Block& reference, const Answer& found);

}  // namespace convoy::bench
