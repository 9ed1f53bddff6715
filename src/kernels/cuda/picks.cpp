// Picks, always in fp64 and from differences, as the reference's.

#include <limits>
#include <numbers>

#include "kernels/cuda/call.hpp"
#include "kernels/cuda/pick.hpp"
#include "kernels/cuda/tiles.hpp"

namespace convoy::cuda {

namespace {

void fetch(const Workspace<double>& w, std::int64_t rows, std::int64_t count, Picks& out) {
    const std::int64_t n = rows * count;
    out.rows = rows;
    out.count = count;
    Pinned<std::int64_t> index{n};
    Pinned<double> score{n};
    copy_to_host(w.pick_index.get(), index.get(), n, w.stream);
    copy_to_host(w.pick_score.get(), score.get(), n, w.stream);
    w.stream.wait();
    out.index.assign(index.get(), index.get() + n);
    out.score.assign(score.get(), score.get() + n);
}

}  // namespace

void pick(BlockPoints<double>& points, Workspace<double>& w, Side stays, LocalRun range, const Potentials& potentials,
          double epsilon, const PickRule& rule, Picks& out) {
    const bool hard = rule.kind == PickRule::Kind::hard;
    const Request request{stays, range, epsilon};
    // A hard transform has costs for logits: no epsilon, no weights, nothing of the staying side's potential.
    const double scale = hard ? 1 : request.scale();
    const CostForm form = kernels::cost_form(points.problem().cost);
    const Call<double> call{points, w, request, points.forms_of(form, scale),
                            PotentialRule{scale, kernels::own_terms_count(form.form), !hard}};
    call.upload(potentials);
    if (hard) clear(w.potentials[stays == Side::row ? 0 : 1].get(), points.side(stays).rows(), w.stream);
    call.clear_results();
    const std::int64_t slots = range.count * rule.count;
    w.pick_index.need(slots);
    w.pick_score.need(slots);
    launch_fill(w.pick_index.get(), slots, std::int64_t{-1}, w.stream.get());
    launch_fill(w.pick_score.get(), slots, -std::numeric_limits<double>::infinity(), w.stream.get());

    const BlockProblem& problem = points.problem();
    const std::int64_t staying = (stays == Side::row ? problem.first_row : problem.first_column).value;
    const std::int64_t summed = (stays == Side::row ? problem.first_column : problem.first_row).value;
    const double unit = hard ? 1 : std::numbers::ln2;
    call.for_each_part([&](const Part<double>& part) {
        for_each_tile(call, part, false, [&](const TermTile<double>& tile, const auto&, const TilePlace& at) {
            const std::int64_t slot = (part.done + at.row) * rule.count;
            const PickState state{w.pick_index.get() + slot, w.pick_score.get() + slot, rule.count};
            const PickTile logits{tile, unit, summed + part.first_summed + at.column};
            const DrawRule draws{rule.seed, stays == Side::column, staying + part.first_staying + at.row};
            if (rule.kind == PickRule::Kind::sample) {
                launch_pick_sample(logits, draws, state, w.stream.get());
            } else {
                launch_pick_top(logits, state, w.stream.get());
            }
        });
    });
    fetch(w, range.count, rule.count, out);
}

}  // namespace convoy::cuda
