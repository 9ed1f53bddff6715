#pragma once
// What comes before the tiles of a reduction: the points of a block, and everything about one call that its tasks
// share - potentials and columns in the kernels' precision, and how the summed side is cut.
//
// How a call is cut depends on sizes only, never on the number of threads: results are the same bits for any of them.
//
//     staying side    tasks of task_rows points (whole panels); if there are few of them, the summed side is cut into
//                     chunks as well, whose partial results are added up in order
//     summed side     tiles whose points fill a part of the L2 cache; single-precision sums end at a tile, in fp64

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "convoy/cost.hpp"
#include "convoy/partition.hpp"
#include "convoy/verbs.hpp"
#include "kernels/block.hpp"
#include "kernels/cpu/kept_products.hpp"
#include "kernels/cpu/tile.hpp"
#include "kernels/rounded_cloud.hpp"

namespace convoy::cpu {

using kernels::Aligned;
using kernels::allocate;
using kernels::OwnTerm;
using kernels::RoundedCloud;

constexpr std::int64_t task_rows = 128;
// The logit of a point without mass: its terms are exactly 0, and a maximum this low means that there was no other.
constexpr double no_mass = -1e30;

inline std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
    return (a + b - 1) / b;
}

template <class T>
struct BlockPoints {
    explicit BlockPoints(const BlockProblem& problem);
    const RoundedCloud<T>& side(Side s) const { return sides[s == Side::row ? 0 : 1]; }

    Cost cost;
    std::int64_t dimension, panel_rows;
    OwnTerm own_term;
    RoundedCloud<T> sides[2];
    std::optional<KeptProducts<T>> kept;
};

template <class T>
struct Call {
    Call(const BlockPoints<T>& points, Side stays, LocalRun range, const Potentials& potentials, double epsilon,
         Safety safety, const Weighting* weighting);

    const RoundedCloud<T>& staying() const { return points->side(stays); }
    const RoundedCloud<T>& summed() const { return points->side(other(stays)); }
    bool own_terms_count() const { return kernels::own_terms_count(form); }
    // f or g with everything of the logit that belongs to one point, in units of log 2.
    double own_logit(double of_point, double own) const { return scale == 0 ? 0 : scale * (of_point - own); }
    // Kept products lie row beside row: where columns stay, tiles of them are turned round.
    bool transposed() const { return form == PairForm::kept && stays == Side::column; }
    // What a kept product is multiplied with in a logit.
    T kept_unit() const { return static_cast<T>(scale * factor / points->kept->unit()); }
    // What the form's raw number is multiplied with in a cost.
    T cost_factor() const { return static_cast<T>(form == PairForm::kept ? -factor / points->kept->unit() : factor); }
    // Logits of a tile are stored, not used at once.
    bool buffered() const { return safe || weighting != nullptr; }
    std::int64_t width() const { return weighting == nullptr ? 0 : weighting->width; }
    // Small terms may be left out of the values.
    bool leaves_out() const {
        return weighting != nullptr && weighting->kind == Weighting::Kind::columns && weighting->negligible > 0;
    }

    const BlockPoints<T>* points;
    Side stays;
    LocalRun range;
    bool safe;
    const Weighting* weighting;
    std::span<const double> potential;  // of the staying side
    PairForm form;
    double factor;       // of the form's cost
    double scale;        // log2(e) / eps, 0 for eps = infinity
    Aligned<T> g, w;     // of the summed side
    Aligned<T> columns;  // Weighting::columns, rounded about their means
    std::vector<double> column_means;
    Aligned<T> cost_columns;     // W_j in the precision of the costs
    Aligned<T> density_columns;  // -log2 of the summed weights, and what rounding took off g_j
    std::int64_t tile, chunks, chunk;

 private:
    void round_potentials(std::span<const double> of_summed);
    void round_offsets();
    void round_columns();
    void cut();
};

}  // namespace convoy::cpu
