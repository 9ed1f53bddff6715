// Progressive OT from five points to the same ones two further on, and the map of a point it never saw.
#include <cstdio>

#include "convoy/progot.hpp"

int main() {
    using namespace convoy;
    const auto cloud = [](std::vector<double> points) {
        Cloud whole = uniform_cloud(std::move(points), 1);
        return DistributedCloud{Partition::even(whole.rows, 1), std::move(whole)};
    };
    const DistributedCloud target = cloud({2, 3, 4, 5, 6});
    Coupling coupling{Grid{}, cloud({0, 1, 2, 3, 4}), target, Cost::parse("sqeuclidean"), Precision::fp64};

    ProgotOptions options;
    options.alphas = step_lengths(Schedule::constant, 4);
    options.rule = EpsilonRule::parse("0.01mean");
    options.tolerances = loose_to_tight(4, 1e-6);
    const Progot progot{coupling, options};
    ProgotState state = progot.start();
    while (state.status == Status::running) progot.step(state);

    Coupling unseen{Grid{}, cloud({2}), target, Cost::parse("sqeuclidean"), Precision::fp64};
    std::printf("%s, 2 is sent to %.6f\n", name_of(state.status).c_str(), map_through(unseen, maps_of(state))[0]);
    return state.status == Status::converged ? 0 : 1;
}
