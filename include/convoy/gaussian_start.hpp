#pragma once
/// \file
/// Initial potentials: the closed form between the Gaussians fitted to the two clouds.

#include <memory>
#include <vector>

#include "convoy/coupling.hpp"

namespace convoy {

/// Which problem between the two Gaussians is solved.
enum class GaussianKind {
    entropic,  ///< at the epsilon asked for: wins where the plan is smooth at the points' spacing
    bures      ///< at epsilon = 0: wins where it is sharp
};

/// Costs with a closed form: `sqeuclidean`, `pnorm:2`, `dot`, and `cosine` (of the rows divided by their norms).
bool gaussian_start_applies(const Cost& cost);

/// The source's potential between N(p, S) and N(q, T), means and covariances those of the clouds (weighted). For the
/// cost |x - y|^2, u = x - p and up to a constant
///
///     f(x) = |u|^2 + 2 <u, p - q> - u^T A u,    A = S^(-1/2) (D - t I) S^(-1/2) / 2,
///     D = (4 S^(1/2) T S^(1/2) + t^2 I)^(1/2),  t = epsilon/2 (entropic) or 0 (Bures);
///
/// x -> q + A u is the map E[y|x]. Janati, Muzellec, Peyre & Cuturi (2020), "Entropic optimal transport between
/// unbalanced Gaussian measures has a closed form", theorem 1 (sigma^2 = epsilon/2); Mallasto, Gerolin & Minh (2020),
/// "Entropy-regularized 2-Wasserstein distance between Gaussian measures". On what S does not span, A is 0: constant
/// coordinates, fewer points than dimensions and clouds of one point are all right, and so are points without mass.
/// `pnorm:2` at epsilon has half the potential of |x - y|^2 at 2 epsilon; `dot` that less |x|^2/2; `cosine` is
/// `pnorm:2` of the rows divided by their norms.
///
/// Work: covariances (n + m) d^2 / 2 multiply-adds and potentials n d^2 over all ranks, some 20 d^3 on rank 0 alone.
/// Memory: about 6 d^2 numbers on rank 0, 2 d^2 on others.
class GaussianStart {
 public:
    /// Moments and factorisations, once for any epsilon. The coupling outlives this and does not move. Collective.
    /// \throws InputError if the cost has no closed form, d exceeds 32766 or a covariance overflows fp64.
    /// \throws Failure if an eigenvalue iteration does not converge.
    explicit GaussianStart(const Coupling& coupling);
    ~GaussianStart();
    GaussianStart(GaussianStart&&) noexcept;
    GaussianStart& operator=(GaussianStart&&) noexcept;

    /// This rank's part of f for each kind (all of them cost hardly more than one), in cost units, of mean 0 under the
    /// weights; the same bits on all ranks that share a part. Epsilon > 0 in units of the coupling's cost. Collective.
    std::vector<std::vector<double>> potentials(double epsilon, const std::vector<GaussianKind>& kinds) const;

 private:
    struct Fit;
    std::unique_ptr<const Fit> fit_;
};

/// One potential, where no other is wanted: as GaussianStart{coupling}.potentials(epsilon, {kind}). Collective.
std::vector<double> gaussian_potential(const Coupling& coupling, double epsilon, GaussianKind kind);

}  // namespace convoy
