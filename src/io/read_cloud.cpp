// Reading a cloud on all ranks: who reads what, and what must be true of the numbers.

#include <fmt/format.h>

#include <algorithm>
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

// This rank's part of the input (its rows x columns), and the checksum of the whole.
struct Part {
    std::vector<double> values;
    std::uint32_t checksum = 0;
};

// What this rank reads: `run` of the points.
std::vector<double> read_here(const Communicator& world, Input& input, GlobalRun run, std::uint32_t& checksum) {
    std::vector<double> values;
    Faults faults;
    agree(world, [&] {
        if (run.count == 0) return;
        open_here(input);
        make_room(input, run.count, values);
        input.reader->read(run.first.value, run.count, values);
        faults.look(*input.reader, run.first.value, values, input.weights);
    });
    expect_no_faults(world, input, faults);
    checksum = crc32c_of_all(world, crc32c(values), static_cast<std::int64_t>(values.size() * 8), run.first.value);
    return values;
}

// Every rank reads its stripe of its part; the ranks that share the part then exchange them.
Part read_stripes(const Grid& grid, Side side, const Partition& partition, Input& input) {
    const GlobalRun stripe = my_stripe(grid, side, partition);
    const bool shared = grid.sharers(side).size() > 1;
    expect_room(grid.world(), input, stripe.count + (shared ? partition.count(grid.part(side)) : 0));
    Part part;
    part.values = read_here(grid.world(), input, stripe, part.checksum);
    if (shared) part.values = join_stripes(grid, side, partition, input.columns, part.values);
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
    part.values = regroup(grid, side, pieces, partition, input.columns, mine);
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

Shape shape_of(const Communicator& world, const InputOptions& input) {
    const Input opened = open_points(world, input);
    return {opened.rows, opened.columns};
}

DistributedCloud read_cloud(const Grid& grid, Side side, const Partition& partition, const InputOptions& options,
                            InputIdentity& identity) {
    Input points = open_points(grid.world(), options);
    expect_length(points, partition.items());
    Input weights;
    if (!options.weights.empty()) {
        weights = open_weights(grid.world(), options, points);
        expect_length(weights, partition.items());
    }

    DistributedCloud cloud{partition, {}};
    cloud.local.rows = partition.count(grid.part(side));
    cloud.local.dimension = points.columns;
    Part part = read_part(grid, side, partition, points);
    cloud.local.points = std::move(part.values);
    identity = identity_of(points, options);
    identity.checksum = part.checksum;
    scale(grid.world(), side == Side::row ? "--source-scale" : "--target-scale", points, options.scaling,
          cloud.local.points);

    if (options.weights.empty()) {
        cloud.local.weights.assign(static_cast<std::size_t>(cloud.local.rows),
                                   1 / static_cast<double>(partition.items()));
    } else {
        Part masses = read_part(grid, side, partition, weights);
        cloud.local.weights = std::move(masses.values);
        normalise(grid, side, weights.location, cloud.local.weights);
        identity.weights_path = weights.location.path;
        identity.weights_key = weights.location.key;
        identity.weights_checksum = masses.checksum;
    }
    return cloud;
}

}  // namespace convoy::io
