#pragma once
/// \file
/// The coupling of two distributed clouds: the three verbs over all ranks of a grid. Solvers see only this.

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "convoy/cloud.hpp"
#include "convoy/cost.hpp"
#include "convoy/grid.hpp"
#include "convoy/partition.hpp"
#include "convoy/verbs.hpp"

namespace convoy {

class Block;
struct Sums;

/// What works on the local blocks: a sequential fp64 program to check against, this node's cores, or a CUDA device (the
/// one that this process was given; \throws Failure in a build without CUDA).
enum class Backend { reference, cpu, cuda };

/// One side of the problem as this rank sees it: how the whole cloud is cut, and this rank's part of it.
struct DistributedCloud {
    Partition partition;
    Cloud local;
};

/// Counters of the work done, summed by nobody: this rank's own.
struct Meters {
    std::int64_t safe_rows = 0;        ///< sums that took the safe form, the first half-pass included; ranks add up
    double pairs = 0;                  ///< pairs this rank worked on
    double kernel_seconds = 0;         ///< in the block
    double communication_seconds = 0;  ///< in sums over ranks, waiting included
    double bytes_sent = 0;             ///< payload of those sums
    double products_bytes = 0;         ///< inner products that are kept between passes
    double products_seconds = 0;       ///< that computing them took, moves of the source included
};

/// A verb throws Failure on all ranks where a device fails on one. Local vectors: f-like ones have source().local.rows
/// numbers, g-like ones target().local.rows. Every call of a verb is collective over the grid, and its results are the
/// same bits on all ranks that share a part.
class Coupling {
 public:
    /// Collective. Points without a shape error are trusted to be finite and of one dimension. keep_products: inner
    /// products are computed once and kept, n m numbers of the precision over all ranks, where the cost is formed from
    /// them (Cost::uses_products()) and the backend can; the caller knows that they fit.
    Coupling(Grid grid, DistributedCloud source, DistributedCloud target, Cost cost, Precision precision,
             Backend backend = Backend::cpu, bool keep_products = false);
    ~Coupling();
    Coupling(Coupling&&) noexcept;
    Coupling& operator=(Coupling&&) noexcept;

    const Grid& grid() const { return grid_; }
    const Cost& cost() const { return cost_; }
    Precision precision() const { return precision_; }
    Backend backend() const { return backend_; }
    bool keeps_products() const { return keep_products_; }
    const DistributedCloud& cloud(Side side) const { return side == Side::row ? *source_ : *target_; }
    const Cloud& local(Side side) const { return cloud(side).local; }
    std::int64_t points(Side side) const { return cloud(side).partition.items(); }
    std::int64_t dimension() const { return source_->local.dimension; }

    /// log s_i for s_i = sum_j b_j exp((f_i + g_j - C_ij)/eps), or over i for Side::column; natural logarithm, fp64.
    /// Shifted sums are checked after they are summed over ranks; those outside [2^-100, 2^100] are done again, safely.
    std::vector<double> reduce(Side stays, const Potentials& potentials, double epsilon, Safety safety);

    struct Average {
        std::vector<double> log_sum;  ///< as reduce()
        std::vector<double> value;    ///< rows x width: sum_j b_j exp(t_ij) w_ij, divided by s_i if safe
        std::vector<double>
            dropped;  ///< rows: the share of s_i that Weighting::negligible left out of them; may be empty
    };
    /// sum_j P_ij w_ij / a_i (shifted), or the average of w under the row's conditional plan (safe: also right for
    /// potentials of the staying side that are unknown, given as 0).
    Average apply(Side stays, const Potentials& potentials, double epsilon, Safety safety, const Weighting& weighting);
    /// Of a run of this rank's part alone, the same on all ranks that share the part; parts may take different ones.
    Average apply(Side stays, LocalRun range, const Potentials& potentials, double epsilon, Safety safety,
                  const Weighting& weighting);

    Picks pick(Side stays, const Potentials& potentials, double epsilon, const PickRule& rule);
    Picks pick(Side stays, LocalRun range, const Potentials& potentials, double epsilon, const PickRule& rule);

    /// Numbers that each part of one side has, summed over its parts: in place, in order, the same bits on all ranks of
    /// the grid. What steers a run goes through here: ranks that disagreed in a bit would part ways in a branch.
    void sum_over_parts(Side side, std::span<double> values) const;
    /// sum_i w_i u_i v_i over the whole of one side, w the weights. fp64, ranks in order, same bits on all ranks.
    double dot(Side side, std::span<const double> u, std::span<const double> v) const;
    /// dot(side, u, v) for each of several v, with one exchange.
    std::vector<double> dots(Side side, std::span<const double> u, const std::vector<std::vector<double>>& vs) const;
    /// sum_i w_i u_i likewise; points without mass take no part, whatever u is there.
    double mean(Side side, std::span<const double> u) const;
    /// sum_i w_i |exp(log_s_i) - 1|: the L1 marginal error of the side that is not exact.
    double marginal_error(Side side, std::span<const double> log_sum) const;

    /// What depends on the target is kept, the source's points are replaced (same partition, same weights). Collective.
    void move_source(std::vector<double> points);
    /// The two sides exchanged or one side set against itself, on the same grid: this side's cloud in the other's
    /// distribution. Collective.
    DistributedCloud redistributed(Side side) const;

    /// This problem with one side's cloud replaced, sharing the other's points: a coarse problem, a sample of the rows.
    /// Same centre, cost and precision. Collective.
    Coupling with(Side side, DistributedCloud cloud, bool keep_products = false) const;
    /// From here on products are kept. Collective.
    void keep_products();

    /// Joint weighted mean of both clouds, which points are centred on (zeros where the cost forbids it).
    const std::vector<double>& centre() const { return centre_; }
    /// Error of the logit t_ij that rounding to this precision brings, in cost units (divide by eps).
    double rounding_of_cost() const { return rounding_of_cost_; }
    /// An upper bound of the range of C over all pairs. Collective.
    double cost_range_bound() const;

    const Meters& meters() const { return meters_; }
    /// Called on this rank several times within a long reduction, with the share of its rows that are done. It may look
    /// at clocks and speak, not communicate.
    void while_reducing(std::function<void(double)> call) { while_reducing_ = std::move(call); }

 private:
    Coupling(const Coupling& like, std::shared_ptr<const DistributedCloud> source,
             std::shared_ptr<const DistributedCloud> target, bool keep_products);
    void rebuild();
    void refuse_zero_rows() const;
    void sum_over_sharers(Side stays, std::span<double> values);
    void max_over_sharers(Side stays, std::span<double> values);
    void count_pairs(Side stays, std::int64_t rows);
    void count_safe(Side stays, std::int64_t rows);
    template <class Use>
    void in_parts(Side stays, LocalRun range, const Use& use, double work = 1);
    template <class Work>
    void attempt(const Work& work);
    void leave_if_troubled();
    Sums local_sums(Side stays, LocalRun range, const Potentials& potentials, double epsilon, Safety safety);
    std::vector<double> shifted_sums(Side stays, const Potentials& potentials, double epsilon);
    void choose_among_sharers(Side stays, const PickRule& rule, Picks& mine);
    std::vector<double> safe_sums(Side stays, LocalRun range, const Potentials& potentials, double epsilon);

    Grid grid_;
    std::shared_ptr<const DistributedCloud> source_, target_;  // where the block finds them
    Cost cost_;
    Precision precision_;
    Backend backend_;
    bool keep_products_;
    std::vector<double> centre_;
    double rounding_of_cost_ = 0;
    std::unique_ptr<Block> block_;
    Meters meters_;
    std::function<void(double)> while_reducing_;
    std::exception_ptr trouble_;  // that this rank's device is in, until the end of a verb
};

}  // namespace convoy
