#pragma once
// What a kernel's logit says about the score of its pair.
//
// Scores are compared within a row, so kernels leave out what belongs to the staying point alone. With E = eps (1 where
// nothing is divided by eps: hard picks, eps = infinity), F_i = f_i (0 for these), G_j = g_j + E log b_j (hard: g_j;
// eps = infinity: log b_j), K = 1 (eps = infinity: 0) and C_ij = V_i + W_j + D_ij (D_ij = -factor <x_i, y_j> where
// costs are formed from products; elsewhere V and W are 0),
//
//     E score_ij - F_i + K V_i = G_j - K W_j - K D_ij,    and a kernel's number is    t_ij ~ U times that + B_j,
//
// U a power of two that keeps all of it near 1, whatever eps. Proven below, of scores as PairScores rounds them:
//
//     t_ij - 2 B_j - A_i  <=  U (E score_ij - F_i + K V_i)  <=  t_ij + A_i.
//
// The errors. u: the kernels' rounding unit, v: fp64's. x', y': centred points, r, q their norms; d coordinates. S_ij:
// (r + q)^2 for squared distances, r + q for distances, (r + q)^p / p, (r + |c|)(q + |c|) for inner products about the
// centre c, 2 for cosines; half of it for |z|^2 / 2.
//
//   - Points are rounded: |dx| <= u r. That moves a squared distance by (2u + u^2)(r + q)^2 at most (triangle
//     inequality), a distance by u (r + q), |z|_p^p by p u (r + q)^p, an inner product by 2 u S_ij.
//   - A sum of d terms, each of which goes through n = min(d, 256) + ceil(d / 256) + 2 roundings (parts of 256, the
//     multiply-add of a step perhaps two instructions): n u times the sum of the terms' sizes. For products these are
//     at most r q (Cauchy-Schwarz), and 2 r q <= (r + q)^2 / 2. Differences z round once before that, which counts p
//     times; a root halves what its argument is off by.
//   - Powers of any p: log2 to 2 ulps, its product with p, p itself and 2^x, together 10 units of the exponent. That
//     is below 128 (fp64: 1024) where the result counts.
//   - G_j - K W_j is rounded upwards, and the last additions round the result, which is U (|G_j - K W_j| + S_ij) at
//     most: 8 u U |G_j - K W_j|, and a few u S_ij.
//   - The reference: (2d + 32 + 2p) v S_ij covers its cost (cosines, which normalise first, need most) and as much of
//     potentials and logarithms their four roundings; also the terms of one point, V and W, formed in fp64 here.
//   - What is below the smallest normal number may be lost: d times that, times what it is multiplied with.
//
// First-order bounds, rounded up by a few units so that squares of u are covered. S_ij is cut into a part of i and one
// of j: 2 r q <= L r^2 + q^2 / L for any L > 0 (the ratio of mean norms here: one far-off point then loosens its own
// bound only), (r + q)^p <= 2^(p-1) (r^p + q^p).

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "kernels/block.hpp"
#include "kernels/cpu/call.hpp"

namespace convoy::cpu {

// A number of T above (below) x, two or three further on.
template <class T>
T just_above(double x) {
    const auto y = static_cast<T>(x);
    return y + (std::abs(y) * std::numeric_limits<T>::epsilon() + std::numeric_limits<T>::min());
}
template <class T>
T just_below(double x) {
    const auto most = static_cast<double>(std::numeric_limits<T>::max());
    const auto y = static_cast<T>(std::clamp(x, -most, most));
    return y - (std::abs(y) * std::numeric_limits<T>::epsilon() + std::numeric_limits<T>::min());
}

template <class T>
struct PickBounds {
    PickBounds(const BlockPoints<T>& points, const BlockProblem& problem, Side stays, LocalRun range,
               const Potentials& potentials, double epsilon, const PickRule& rule);

    // A_i; nan if nothing can be said.
    double of_row(std::int64_t i) const;
    // U (E score - F_i + K V_i)
    double in_units(std::int64_t i, double score) const { return unit * (energy * score - potential(i) + own_term(i)); }
    // A little below t for the exact score of a pair in row i: no pair of a smaller t beats it.
    T reached(std::int64_t i, double score) const;

    PairForm form = PairForm::product;
    double factor = 1;     // of the form's cost
    double unit = 1;       // U
    double energy = 1;     // E
    double cost_unit = 1;  // U K
    Aligned<T> g;          // of the summed side, B_j included; -inf: no mass, nan: look closer
    Aligned<T> twice;      // 2 B_j

 private:
    std::vector<double> norms_of(const RoundedCloud<T>& cloud, LocalRun run) const;
    double size(double norm, double relative) const;
    double potential(std::int64_t i) const { return divided ? of_staying[static_cast<std::size_t>(i)] : 0; }  // F_i
    double own_term(std::int64_t i) const { return own ? staying->own[static_cast<std::size_t>(i)] : 0; }     // K V_i
    bool has_mass(std::size_t j) const { return summed->log_weights[j] > -std::numeric_limits<double>::infinity(); }
    void form_potentials(std::span<const double> of_summed, bool with_weights);
    void choose_unit(double noise);
    void round_potentials();

    const BlockPoints<T>* points;
    const RoundedCloud<T>*staying, *summed;
    Cost cost;
    LocalRun range;
    std::span<const double> of_staying;
    bool divided;          // scores are, by eps, and hold the staying side's potential
    bool own = false;      // terms of one point count
    bool trusted = false;  // numbers stay in the range of T
    double centre_norm = 0;
    double ratio = 1;                      // L
    double multiplier = 1;                 // of what the form adds up over coordinates
    double kernel_error, reference_error;  // times S_ij
    double draw_error = 0;
    double largest_potential = 0;
    std::vector<double> staying_norms, summed_norms;
    std::vector<double> exact, parts;  // G_j - K W_j, and the sum of the sizes of what it is made of
};

}  // namespace convoy::cpu
