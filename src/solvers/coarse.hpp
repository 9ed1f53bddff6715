#pragma once
// The coarse-corrected step: a Newton correction of Sinkhorn's iteration whose slow part is solved on a sample of both
// clouds and extended to all points by one average under the kernel (a Nystrom extension).
//
// One alternating iteration is f <- T(f), with residual r = T(f) - f and derivative J = R Q, where R is the plan with
// its rows normalised and Q its transpose likewise. Newton's step solves (I - J) s = r, so s = r + R (I - Q R)^-1 Q r.
// Q r is averaged over all x_i, the system is that of k sampled points of either side, with R_c and Q_c made of
// K_c = exp((f + g - C)/eps'), and R extends its solution to all x_i:
//
//     u_j = sum_i w_i(y_j) r_i                                w_i(y_j) = softmax over all x_i at a sampled y_j
//     (I - Q_c R_c + 1 b^T) v = u                             dense, symmetric after scaling: Cholesky
//     s_i = r_i + (eps'/eps) sum_j w_j(x_i) v_j               w_j(x_i) = softmax over the sampled y_j at x_i
//
// Both averages are k n pairs, the n m of a half-pass times a small k/m.
//
// Two things keep a coarse problem honest that sees fewer points than the plan does:
//
//   - It is formed at eps' >= eps, wide enough for its rows to spread over `wanted_perplexity` points. Plans forget
//     smooth errors at a rate of 1 - lambda ~ eps (they diffuse), so what eps' underestimates is a factor eps'/eps.
//   - A sampled point returns to itself with probability (Q_c R_c)_jj, which in the whole problem is nearly 0. Isolated
//     points would look like errors that never decay: they are damped by 1 - (Q_c R_c)_jj^2.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "convoy/coupling.hpp"
#include "solvers/sample.hpp"

namespace convoy {

class CoarseCorrection {
 public:
    // Points of either side that pay: the k^3 of the factorisation stays a small share of a pass over all pairs.
    static std::int64_t good_size(double pairs);

    // Draws the samples. `fine` outlives this. Collective.
    CoarseCorrection(const Coupling& fine, double epsilon, std::int64_t size, std::uint64_t seed);

    // The potentials of the sampled points, which is all that build() looks at. Collective.
    struct Potentials {
        std::vector<double> f, g;
        bool operator==(const Potentials&) const = default;
    };
    Potentials at_samples(std::span<const double> f, std::span<const double> g) const;
    // Forms and factors the coarse problem there. False where there is none to be had: rows that do not spread however
    // large eps' is, a matrix that is not positive definite. Collective.
    bool build(const Potentials& potentials);
    const Potentials& built_at() const { return built_at_; }

    // s - r for the residual r of the source side, at these potentials. Collective.
    std::vector<double> operator()(std::span<const double> f, std::span<const double> g,
                                   std::span<const double> residual);
    // Pairs that one correction reduces, of all ranks.
    double pairs() const;

 private:
    bool build_on_root();
    void solve(std::vector<double>& averages) const;

    const Coupling* fine_;
    double epsilon_;
    Sample source_, target_;
    Coupling extension_;  // all sources against the sampled targets
    Potentials built_at_;
    double widening_ = 1;  // eps' / eps
    struct Dense;
    std::shared_ptr<const Dense> dense_;  // on rank 0
};

}  // namespace convoy
