#pragma once
/// \file
/// Entropic maps: where the plan sends a point, seen or not (Pooladian and Niles-Weed 2021; Kassraie et al. 2024).

#include <span>
#include <vector>

#include "convoy/coupling.hpp"

namespace convoy {

/// Refuses a cost without a map. \throws InputError
void expect_map(const Cost& cost);

/// T(z) for every point z of the staying side, this rank's part of it (rows x d):
///
///     w_j(z) = softmax_j(log b_j + (g_j - h(z - y_j)) / epsilon)
///     T(z)   = z - grad h*(sum_j w_j(z) grad h(z - y_j))
///
/// for Side::row; for Side::column f, a, x take the places of g, b, y. For `sqeuclidean`, `pnorm:2` and `dot` that is
/// the barycentric projection sum_j w_j(z) y_j; the points of the plan itself and others are treated alike. The softmax
/// is safe: a point far from everything is sent to what it is nearest to. Epsilon > 0 in units of the cost. Collective.
/// In single precision and for those three costs, entries that are nothing in a row are left out: less than 1e-7 of its
/// mass in all.
/// \param potential of the other side, this rank's part
/// \param dropped if given, becomes the largest share of a row's mass that was left out, over all ranks
/// \throws InputError if the cost has no map (see Cost::has_map()).
std::vector<double> entropic_map(Coupling& coupling, Side stays, std::span<const double> potential, double epsilon,
                                 double* dropped = nullptr);

/// One of the maps that a model is made of: the potential of the target (this rank's part), at its epsilon, and the
/// share of the way that a point goes before the next.
struct MapStep {
    double epsilon = 0;
    double alpha = 1;
    std::vector<double> g;
};

/// Moves the source the share alpha of its way along one map: X <- (1 - alpha) X + alpha T(X). Collective.
/// \param dropped as in entropic_map()
void travel(Coupling& coupling, const MapStep& step, double* dropped = nullptr);

/// The source's points through all steps (Kassraie et al. 2024, algorithm 2):
///
///     z(1) = z,   z(k+1) = (1 - alpha_k) z(k) + alpha_k T_k(z(k)),   the answer is T_K(z(K)),
///
/// the last step in full, whatever its alpha. Returned is this rank's part; the coupling's source is left at z(K).
/// Collective. \throws InputError if the cost has no map.
std::vector<double> map_through(Coupling& coupling, std::span<const MapStep> steps);

}  // namespace convoy
