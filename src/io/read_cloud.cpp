// Reading a cloud on all ranks: who reads what, and what must be true of the numbers.

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "convoy/error.hpp"
#include "io/checksum.hpp"
#include "io/input.hpp"
#include "io/input_error.hpp"
#include "io/reader.hpp"
#include "io/weights.hpp"

namespace convoy::io {

namespace {

void expect_length(const Input& input, std::int64_t rows) {
    if (input.weights && (input.rows != rows || input.columns != 1))
        refuse(input.location,
               fmt::format("it holds {} x {} numbers, and there are {} points", input.rows, input.columns, rows),
               "need one weight a point", "give weights in the order of the points");
    if (input.rows != rows)
        refuse(input.location, fmt::format("it has {} rows now", input.rows), fmt::format("{} at first", rows),
               "do not change inputs during a run");
}

// This rank's part of the points (or weights), and the checksum of the whole as it was read.
struct Part {
    std::vector<double> values;
    std::uint32_t checksum = 0;
};

// Every rank reads its stripe of its part; the ranks that share the part then exchange them.
Part read_stripes(const Grid& grid, Side side, const Partition& partition, Input& input) {
    const GlobalRun stripe = my_stripe(grid, side, partition);
    const bool shared = grid.sharers(side).size() > 1;
    expect_room(grid.world(), input, stripe.count + (shared ? partition.count(grid.part(side)) : 0));
    Part part;
    part.values = read_here(grid.world(), input, stripe, part.checksum);
    if (shared) part.values = join_stripes(grid, side, partition, input.dimension, part.values);
    return part;
}

// Every rank reads some of the bands, whole ones, and all ranks exchange them: no band is unpacked twice.
Part read_bands(const Grid& grid, Side side, const Partition& partition, Input& input) {
    const Communicator& world = grid.world();
    const Partition pieces = cut_at_bands(input.rows, input.selection.get(), input.band, world.size());
    expect_room(world, input, pieces.count(PartIndex{world.rank()}) + partition.count(grid.part(side)));
    Part part;
    const std::vector<double> mine = read_here(world, input, pieces.run(PartIndex{world.rank()}), part.checksum);
    agree(world, [&] { make_room(input, partition.count(grid.part(side)), part.values); });
    part.values = regroup(grid, side, pieces, partition, input.dimension, mine);
    return part;
}

Part read_part(const Grid& grid, Side side, const Partition& partition, Input& input) {
    if (input.sequential) {
        Part part;
        part.values = read_and_send(grid.world(), input, {GlobalIndex{0}, input.rows}, partition.run(grid.part(side)),
                                    part.checksum);
        return part;
    }
    return input.band > 1 && grid.world().size() > 1 ? read_bands(grid, side, partition, input)
                                                     : read_stripes(grid, side, partition, input);
}

}  // namespace

Shape shape_of(const Communicator& world, const InputOptions& input, const std::string& option_prefix) {
    const Input opened = open_points(world, input, option_prefix);
    return {opened.rows, opened.dimension};
}

namespace {

const char* prefix_of(Side side) {
    return side == Side::row ? "--source-" : "--target-";
}

// Nothing if they are equal.
std::optional<Input> weights_of(const Grid& grid, const Partition& partition, const InputOptions& options,
                                const Input& points) {
    if (options.weights.empty()) return std::nullopt;
    std::optional<Input> weights = open_weights(grid.world(), options, points);
    expect_length(*weights, partition.items());
    return weights;
}

std::vector<double> read_masses(const Grid& grid, Side side, const Partition& partition, std::optional<Input> opened,
                                InputIdentity& identity) {
    if (!opened)
        return std::vector<double>(static_cast<std::size_t>(partition.count(grid.part(side))),
                                   1 / static_cast<double>(partition.items()));
    Input& weights = *opened;
    Part masses = read_part(grid, side, partition, weights);
    normalise(grid, side, weights.location, masses.values);
    identity.weights_path = weights.location.path;
    identity.weights_key = weights.location.key;
    identity.weights_checksum = masses.checksum;
    return std::move(masses.values);
}

}  // namespace

std::vector<double> read_weights(const Grid& grid, Side side, const Partition& partition, const InputOptions& options,
                                 InputIdentity& identity) {
    if (options.weights.empty()) return read_masses(grid, side, partition, std::nullopt, identity);
    const Input points = open_points(grid.world(), options, prefix_of(side));
    expect_length(points, partition.items());
    return read_masses(grid, side, partition, weights_of(grid, partition, options, points), identity);
}

DistributedCloud read_cloud(const Grid& grid, Side side, const Partition& partition, const InputOptions& options,
                            InputIdentity& identity) {
    Input points = open_points(grid.world(), options, prefix_of(side));
    expect_length(points, partition.items());
    std::optional<Input> weights = weights_of(grid, partition, options, points);

    DistributedCloud cloud{partition, {}};
    cloud.local.rows = partition.count(grid.part(side));
    cloud.local.dimension = points.dimension;
    Part part = read_part(grid, side, partition, points);
    cloud.local.points = std::move(part.values);
    identity = identity_of(points);
    identity.checksum = part.checksum;
    cloud.local.weights = read_masses(grid, side, partition, std::move(weights), identity);
    return cloud;
}

}  // namespace convoy::io
