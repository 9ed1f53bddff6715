#pragma once
// A fitted map, ready for points in portions: what belongs to the target stays, the source's points come and go.

#include <cstdint>
#include <span>
#include <vector>

#include "convoy/coupling.hpp"
#include "convoy/map.hpp"

namespace convoy {

class PortionedMap {
 public:
    // \param target what points are mapped towards, with the masses of the solved problem
    // \param steps one for a coupling's potential, several for a model; their potentials are spread like the target
    // \param rows points of a portion that each row of the grid has, at most
    // Points are centred on the target's mean, so images do not depend on the portion. Collective.
    // \throws InputError if the cost has no map.
    PortionedMap(const Grid& grid, DistributedCloud target, const Cost& cost, Precision precision, Backend backend,
                 std::vector<MapStep> steps, std::int64_t rows);

    // The images of up to rows() points, the same ones on all ranks of a grid row; some grid rows may have fewer, or
    // none. Collective.
    std::vector<double> operator()(std::span<const double> points);

    std::int64_t rows() const { return rows_; }
    const std::vector<MapStep>& steps() const { return steps_; }
    const Coupling& coupling() const { return coupling_; }
    // The largest that any portion so far had, in units of the cost.
    double rounding_of_cost() const { return rounding_; }

 private:
    std::vector<MapStep> steps_;
    std::int64_t rows_;
    Coupling coupling_;
    double rounding_ = 0;
};

}  // namespace convoy
