#pragma once
/// \file
/// Initial potentials for Sinkhorn: where a run starts decides how many passes over all pairs it needs.

#include <cstdint>
#include <functional>
#include <string>

#include "convoy/sinkhorn.hpp"

namespace convoy {

enum class StartKind {
    automatic,  ///< what promises most, judged by the marginal error after one half-pass
    zero,       ///< f = 0 and annealing: epsilon from an upper bound of C by halves
    gaussian,   ///< the potential between the Gaussians fitted to the clouds, at epsilon (GaussianKind::entropic)
    bures,      ///< the same at epsilon = 0 (GaussianKind::bures)
    subsample,  ///< the potential of a problem on some of the points, extended to all by one soft minimum
    given       ///< potentials that the caller has: a file's, those of the step before
};
std::string name_of(StartKind kind);

/// Points that a sub-sample takes of a cloud of so many, in so many dimensions: every rank holds them in full.
std::int64_t subsample_size(std::int64_t points, std::int64_t dimension);
/// Pairs below which `automatic` means `zero`: annealing is quick enough there.
inline constexpr double small_problem = 1e6;

struct Start {
    SinkhornState state;
    StartKind kind = StartKind::zero;
    std::string explain;  ///< for the log: what was looked at and what it promised
};

/// The state that `sinkhorn` begins with, for the coupling and options that it was made of. Work done on the way is in
/// state.half_passes and state.other_work. Collective. \throws InputError where the kind asked for has no meaning for
/// the cost.
/// \param stop asked now and then on every rank; true on any ends the search early, with a state that is good enough to
/// stop from.
Start make_start(
    Coupling& coupling, const Sinkhorn& sinkhorn, StartKind kind,
    const std::function<bool()>& stop = [] { return false; });

/// As `automatic`, with potentials of the caller's among the candidates: they are taken where they promise enough, or
/// more than the others, and in small problems unseen. Collective.
Start make_start_near(
    Coupling& coupling, const Sinkhorn& sinkhorn, std::vector<double> f, std::vector<double> g,
    const std::function<bool()>& stop = [] { return false; });

/// The same where nothing is known of how near they are: in small problems, too, they are looked at first, and taken
/// where their first error is small; else `automatic` decides. Collective.
Start make_start_if_near(
    Coupling& coupling, const Sinkhorn& sinkhorn, std::vector<double> f,
    const std::function<bool()>& stop = [] { return false; });

}  // namespace convoy
