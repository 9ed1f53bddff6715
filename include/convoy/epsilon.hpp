#pragma once
/// \file
/// Rules for epsilon: absolute, or relative to the mean or the standard deviation of the cost.

#include <string>

#include "convoy/coupling.hpp"

namespace convoy {

/// Mean and standard deviation of C over all pairs under a x b, fp64, points as given.
struct CostMoments {
    double mean = 0;
    double standard_deviation = 0;
};

/// Closed form from the clouds' moments for `sqeuclidean`, `pnorm:2` and `dot`, else two streamed passes in fp64 (the
/// mean first, so that the variance does not cancel). Collective; the same bits on every rank.
/// \param with_deviation false leaves standard_deviation at 0 and spares the d x d covariances.
CostMoments cost_moments(const Coupling& coupling, bool with_deviation = true);

/// `0.05std` (the default), `0.05mean`, or a positive number in units of the cost.
struct EpsilonRule {
    enum class Unit { absolute, standard_deviation, mean };
    double factor = 0.05;
    Unit unit = Unit::standard_deviation;

    static EpsilonRule parse(const std::string& text);  ///< \throws InputError
    std::string name() const;
    /// Epsilon in units of C. Collective. \throws InputError if the rule gives nothing positive and finite.
    double resolve(const Coupling& coupling) const;
};

}  // namespace convoy
