#pragma once
// The verbs on one local block of the cost matrix: the rows of X_r against the columns Y_c, on one device. A block
// knows its points, its weights, its cost and where it sits in the whole problem; it knows no other rank.
//
// Every verb keeps one index (Side: row keeps i and sums over j) and serves a range of it. With the logit
//
//     t_ij = (f_i + g_j - C_ij) / eps            (eps = infinity: t_ij = 0, so P = a b^T)
//
// and, for Side::row, weights w_j = b_j of the summed side (Side::column: w_i = a_i):
//
//     reduce   s_i = sum_j b_j exp(t_ij)
//     apply    s_i, and v_i = sum_j b_j exp(t_ij) w_ij         = (P w)_i / a_i
//     pick     entries of the row
//
// In the safe form s and v carry a factor exp(-max_i), max_i the largest t_ij over summed points that have mass.
// A point without mass takes part in no sum and is never picked; it has a row of its own like any other.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "convoy/cloud.hpp"
#include "convoy/cost.hpp"
#include "convoy/partition.hpp"
#include "convoy/verbs.hpp"

namespace convoy {

struct BlockProblem {
    Cost cost;
    const Cloud* source = nullptr;  // outlive the block
    const Cloud* target = nullptr;
    std::vector<double> centre;  // d numbers taken off every point before rounding (empty: nothing)
    GlobalIndex first_row, first_column;
    Precision precision = Precision::single;
    // Compute all inner products of the block once and keep them, where the cost is formed from them: n m numbers of
    // the block's precision. The caller knows that they fit. Passes over costs or gradients compute theirs anew.
    bool keep_products = false;
    // CUDA: points pass through the device so many of a side at a time. 0: they lie there, where they fit.
    std::int64_t streamed_rows = 0;
};

// What a reduction gives for each index of its range. `max` is filled in the safe form only: -inf (and sum 0) where
// no summed point has mass. `dropped`, as `sum`: the terms that Weighting::negligible left out (empty where it is 0, or
// the backend leaves nothing out).
struct Sums {
    std::vector<double> sum;
    std::vector<double> max;
    std::vector<double> dropped;
};

class Block {
 public:
    virtual ~Block() = default;

    virtual void reduce(Side stays, LocalRun range, const Potentials& potentials, double epsilon, Safety safety,
                        Sums& out) const = 0;
    // values: range.count x weighting.width, row-major, overwritten.
    virtual void apply(Side stays, LocalRun range, const Potentials& potentials, double epsilon, Safety safety,
                       const Weighting& weighting, Sums& out, std::vector<double>& values) const = 0;
    virtual void pick(Side stays, LocalRun range, const Potentials& potentials, double epsilon, const PickRule& rule,
                      Picks& out) const = 0;

    // What rounding to this block's precision costs: the error of t_ij in units of eps is about this / eps.
    virtual double rounding_of_cost() const = 0;

    // Pairs of one call that take a second or so: longer ones are cut, so that somebody can look at the clock.
    virtual double pairs_of_a_part() const { return 8e9; }

    // Inner products that are kept between passes: their size, and what computing them took. Zeros if there are none.
    struct Kept {
        double bytes = 0, seconds = 0;
    };
    virtual Kept kept_products() const { return {}; }
};

std::unique_ptr<Block> make_reference_block(const BlockProblem& problem);
std::unique_ptr<Block> make_cpu_block(const BlockProblem& problem);
// On the device of use_cuda_device(). \throws Failure where there is none, or the build has no CUDA
std::unique_ptr<Block> make_cuda_block(const BlockProblem& problem);
// What the CPU backend runs on here: "AVX3", "AVX2", "NEON", ...
const char* cpu_instruction_set();
// How it cuts its work, for the record: rows of a task, bytes and points of a tile.
std::string cpu_tiling();

// The picks from the whole of the summed side, of those from its parts: same rows and count in each.
Picks best_of(const std::vector<Picks>& parts);

}  // namespace convoy
