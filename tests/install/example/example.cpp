// Two points against two points on one rank, without MPI: <P,C> = 1 / (1 + e) = 0.2689414...
#include <cstdio>

#include "convoy/epsilon.hpp"
#include "convoy/sinkhorn.hpp"
#include "convoy/values.hpp"

int main() {
    using namespace convoy;
    const auto cloud = [](std::vector<double> points) {
        Cloud whole = uniform_cloud(std::move(points), 1);
        return DistributedCloud{Partition::even(whole.rows, 1), std::move(whole)};
    };
    Coupling coupling{Grid{}, cloud({0, 1}), cloud({0, 1}), Cost::parse("sqeuclidean"), Precision::fp64};

    SinkhornOptions options;
    options.epsilon = EpsilonRule::parse("2mean").resolve(coupling);  // the mean of C is 1/2
    options.tolerance = 1e-12;
    const Sinkhorn sinkhorn{coupling, options};
    SinkhornState state = sinkhorn.start();
    while (state.status == Status::running) sinkhorn.step(state);

    const Verdict verdict = audit_and_value(coupling, state.f, state.g, options.epsilon, 0);
    std::printf("%s, marginal error %.1e, transport cost %.12f\n", name_of(state.status).c_str(), verdict.audit.error(),
                verdict.values.transport_cost);
    return state.status == Status::converged ? 0 : 1;
}
