#include "app/problem_inputs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "app/quantities.hpp"
#include "convoy/error.hpp"
#include "io/point_stream.hpp"

namespace convoy::app {

ProblemInputs::ProblemInputs(const Communicator& world, const ProblemOptions& problem, std::function<void()> heed)
    : problem_{problem}, heed_{std::move(heed)}, given_{shape_of_problem(world, problem)}, shape_{given_} {
    if (problem.joint.merge_duplicates) {
        source_ = merge(world, problem.source, "--source-");
        shape_.rows = source_->search.finish();
        target_ = merge(world, problem.target, "--target-");
        shape_.columns = target_->search.finish();
    }
    const std::int64_t components = problem.joint.features.components;
    CONVOY_VALIDATE(components <= given_.dimension,
                    fmt::format("--pca: points of {} have no {} principal components; ask for fewer",
                                plural(given_.dimension, "dimension", "dimensions"), components));
    if (components > 0) shape_.dimension = components;
    if (problem.joint.transforms()) shape_.read_dimension = given_.dimension;
}

// A portion at a time: what is held beside it are the distinct points, a share of them on each rank.
ProblemInputs::Merging ProblemInputs::merge(const Communicator& world, const io::InputOptions& input,
                                            const std::string& prefix) const {
    constexpr std::int64_t bytes_at_once = std::int64_t{16} << 20;  // of a rank
    io::PointStream stream{world, input, prefix};
    Merging merging{DuplicateSearch{world, stream.columns()}, {}};
    const std::int64_t step =
        std::max<std::int64_t>(1, bytes_at_once / 8 / stream.columns()) * std::int64_t{world.size()};
    for (std::int64_t first = 0; first < stream.rows(); first += step) {
        const std::int64_t count = std::min(step, stream.rows() - first);
        const GlobalRun share = Partition::even(count, world.size()).run(PartIndex{world.rank()});
        const GlobalRun portion{GlobalIndex{first}, count}, mine{GlobalIndex{first + share.first.value}, share.count};
        merging.search.add(portion, mine, stream.read(portion, mine));
        heed_();
    }
    merging.identity = stream.identity();
    return merging;
}

DistributedCloud ProblemInputs::read_side(const Grid& grid, Side side, std::int64_t rows, const io::InputOptions& input,
                                          std::optional<Merging>& merging, io::InputIdentity& identity,
                                          std::optional<MergedRows>& merged) const {
    const Partition given = Partition::even(rows, grid.parts(side));
    if (!merging) return io::read_cloud(grid, side, given, input, identity);
    identity = std::move(merging->identity);
    merged.emplace();
    DistributedCloud cloud = merging->search.distribute(grid, side, *merged);
    merging.reset();
    expect_directions(grid.world(), side, cloud.local, *merged);
    merged->weights = io::read_weights(grid, side, given, input, identity);
    if (!input.weights.empty()) {
        cloud.local.weights = merged->sum(grid, merged->weights);
        return cloud;
    }
    // Equal masses are counted, not added: k/n without rounding on the way.
    cloud.local.weights = merged->sum(grid, std::vector<double>(merged->weights.size(), 1.0));
    for (double& weight : cloud.local.weights) weight /= static_cast<double>(rows);
    return cloud;
}

// A zero row has no direction; the coupling would name it by its place among the distinct points.
void ProblemInputs::expect_directions(const Communicator& world, Side side, const Cloud& points,
                                      const MergedRows& merged) const {
    if (!problem_.cost.normalises_rows() || problem_.joint.transforms()) return;
    agree(world, [&] {
        for (std::int64_t i = 0; i < points.rows; ++i)
            CONVOY_VALIDATE(std::ranges::any_of(points.point(i), [](double x) { return x != 0; }),
                            fmt::format("row {} of the {} is zero (cost {} divides rows by their norm); remove the row "
                                        "or choose another cost",
                                        merged.first_row[static_cast<std::size_t>(i)],
                                        side == Side::row ? "source" : "target", problem_.cost.name()));
    });
}

ProblemClouds ProblemInputs::read(const Grid& grid, std::uint64_t seed) {
    ProblemClouds clouds;
    clouds.source =
        read_side(grid, Side::row, given_.rows, problem_.source, source_, clouds.source_input, clouds.merged_source);
    heed_();
    clouds.target = read_side(grid, Side::column, given_.columns, problem_.target, target_, clouds.target_input,
                              clouds.merged_target);
    heed_();
    if (!problem_.joint.transforms()) return clouds;
    FeatureOptions options = problem_.joint.features;
    options.seed = seed;
    clouds.features = find_features(grid, clouds.source, clouds.target, options);
    transform(*clouds.features, clouds.source);
    transform(*clouds.features, clouds.target);
    agree(grid.world(), [&] {
        for (const DistributedCloud* cloud : {&clouds.source, &clouds.target})
            CONVOY_VALIDATE(
                std::ranges::all_of(cloud->local.points, [](double z) { return std::isfinite(z); }),
                fmt::format(
                    "a point is not finite once it is standardized or projected (it lies too far from all points "
                    "that have mass); remove it, see: convoy check {} {}",
                    problem_.source.points, problem_.target.points));
    });
    return clouds;
}

}  // namespace convoy::app
