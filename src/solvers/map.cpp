#include "convoy/map.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "convoy/error.hpp"

namespace convoy {

namespace {

// Of a row's mass, in single precision: what rounding costs anyway.
constexpr double most_dropped = 1e-7;

// T = z - grad h*(w): here sum_j w_j y_j, a product with the points. Moving both clouds changes nothing (`dot`, too:
// its map is that of half the squared distance).
bool barycentric(const Cost& cost) {
    return cost.uses_products();
}

}  // namespace

void expect_map(const Cost& cost) {
    CONVOY_VALIDATE(cost.has_map(), fmt::format("cost {} has no map (maps exist for sqeuclidean, pnorm:P and dot); "
                                                "choose one of those",
                                                cost.name()));
}

std::vector<double> entropic_map(Coupling& coupling, Side stays, std::span<const double> potential, double epsilon,
                                 double* dropped) {
    const Cost& cost = coupling.cost();
    expect_map(cost);
    const Cloud& from = coupling.local(stays);
    const Cloud& to = coupling.local(other(stays));
    // The potential of the staying side is not needed, nor known for new points: the safe form does without. The cost
    // to the centre stands in for it: logits are then differences of costs, small also for a point far from everything.
    std::vector<double> unknown(static_cast<std::size_t>(from.rows));
    for (std::int64_t i = 0; i < from.rows; ++i)
        unknown[static_cast<std::size_t>(i)] = cost(from.point(i), coupling.centre());
    const Potentials potentials = stays == Side::row ? Potentials{unknown, potential} : Potentials{potential, unknown};
    if (barycentric(cost)) {
        const double share = coupling.precision() == Precision::single ? most_dropped : 0;
        const Weighting points =
            Weighting::of_columns(to.points, to.dimension, share / static_cast<double>(coupling.points(other(stays))));
        Coupling::Average average = coupling.apply(stays, potentials, epsilon, Safety::safe, points);
        if (dropped != nullptr) {
            *dropped = average.dropped.empty() ? 0 : *std::ranges::max_element(average.dropped);
            coupling.grid().world().max(std::span{dropped, 1});
        }
        return std::move(average.value);
    }
    if (dropped != nullptr) *dropped = 0;
    std::vector<double> mapped =
        coupling.apply(stays, potentials, epsilon, Safety::safe, Weighting::of_gradient(from.dimension)).value;
    std::vector<double> move(static_cast<std::size_t>(from.dimension));
    for (std::int64_t i = 0; i < from.rows; ++i) {
        const std::span gradient{mapped.data() + i * from.dimension, move.size()};
        cost.grad_h_conjugate(gradient, move);
        const auto z = from.point(i);
        for (std::size_t k = 0; k < move.size(); ++k) gradient[k] = z[k] - move[k];
    }
    return mapped;
}

void travel(Coupling& coupling, const MapStep& step, double* dropped) {
    std::vector<double> z = entropic_map(coupling, Side::row, step.g, step.epsilon, dropped);
    const std::vector<double>& from = coupling.local(Side::row).points;
    for (std::size_t k = 0; k < z.size(); ++k) z[k] = (1 - step.alpha) * from[k] + step.alpha * z[k];
    coupling.move_source(std::move(z));
}

std::vector<double> map_through(Coupling& coupling, std::span<const MapStep> steps) {
    CONVOY_EXPECT(!steps.empty());
    for (const MapStep& step : steps.first(steps.size() - 1)) travel(coupling, step);
    return entropic_map(coupling, Side::row, steps.back().g, steps.back().epsilon);
}

}  // namespace convoy
