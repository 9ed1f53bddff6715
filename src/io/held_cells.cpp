#include "io/held_cells.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "convoy/error.hpp"
#include "io/checksum.hpp"
#include "io/conditions.hpp"
#include "io/input.hpp"
#include "io/input_error.hpp"
#include "io/weights.hpp"
#include "parallel/node.hpp"

namespace convoy::io {

namespace {

// A piece of all cells on each rank.
Grid one_piece_a_rank(const Communicator& world) {
    return {world, {world.size(), 1}};
}

}  // namespace

HeldCells::HeldCells(const Communicator& world, const InputOptions& source, const InputOptions& target, CellPairs pairs,
                     double memory)
    : pairs_{std::move(pairs)}, where_{source.where} {
    const Grid grid = one_piece_a_rank(world);
    pieces_ = Partition::even(std::ssize(pairs_.group_of_cell), world.size());
    mine_ = pieces_.run(PartIndex{world.rank()});

    InputOptions all{
        .points = source.points, .weights = {}, .scaling = "1", .where = source.where, .prepare = source.prepare};
    all.where.push_back(pairs_.condition_of_all());
    const Shape shape = shape_of(world, all);
    const int columns_of_weights = (source.weights.empty() ? 0 : 1) + (target.weights.empty() ? 0 : 1);
    bytes_ = 8 * static_cast<double>(pieces_.largest()) * static_cast<double>(shape.columns + columns_of_weights) +
             2 * static_cast<double>(pieces_.items());
    // Ranks that unpack chunks for others hold what they read and what they keep.
    const double while_reading = bytes_ * (world.size() > 1 ? 2 : 1);
    CONVOY_VALIDATE(while_reading < memory,
                    fmt::format("the cells of all pairs take {} on one rank while they are read, of {} that are there "
                                "({} x {} numbers over {} rank{}); use more ranks or memory, or fewer pairs at a time",
                                in_bytes(while_reading), in_bytes(memory), pieces_.items(), shape.columns, world.size(),
                                world.size() > 1 ? "s" : ""));
    points_ = std::move(read_cloud(grid, Side::row, pieces_, all, input_).local.points);
    input_.scaling = source.scaling;
    const auto [factor, offset] = parse_scaling(source.scaling);
    agree(world, [&, factor = factor, offset = offset] {
        const auto endless =
            std::ranges::find_if(points_, [&](double x) { return !std::isfinite(x * factor + offset); });
        if (endless != points_.end())
            refuse(Location::parse(all.points), fmt::format("{} times {} is infinite", *endless, source.scaling),
                   "beyond what fp64 holds", "give a smaller --source-scale");
    });

    // Of each group, how many cells each rank has.
    std::vector<std::vector<std::int64_t>> counts(pairs_.values.size());
    for (std::vector<std::int64_t>& of_ranks : counts) of_ranks.resize(static_cast<std::size_t>(world.size()));
    for (std::size_t rank = 0; rank < static_cast<std::size_t>(world.size()); ++rank) {
        const GlobalRun run = pieces_.run(PartIndex{static_cast<std::int64_t>(rank)});
        for (const std::int16_t group : groups_in(run)) ++counts[static_cast<std::size_t>(group)][rank];
    }
    for (const std::vector<std::int64_t>& of_ranks : counts) pieces_of_.push_back(Partition::of_counts(of_ranks));
    weights_ = {read_weights(world, source, "--source-weights"), read_weights(world, target, "--target-weights")};
}

HeldCells::Weights HeldCells::read_weights(const Communicator& world, const InputOptions& input,
                                           const std::string& option) const {
    if (input.weights.empty()) return {};
    const Location location{input_.path, input.weights};
    InputOptions column{.points = location.name(), .weights = {}, .scaling = "1", .where = where_};
    column.where.push_back(pairs_.condition_of_all());
    InputIdentity identity;
    DistributedCloud read = read_cloud(one_piece_a_rank(world), Side::row, pieces_, column, identity);
    if (read.local.dimension != 1)
        refuse(location, fmt::format("it holds {} numbers for each cell", read.local.dimension), "need one weight each",
               fmt::format("give one column to {}", option));
    agree(world, [&] {
        const auto negative = std::ranges::find_if(read.local.points, [](double weight) { return weight < 0; });
        if (negative != read.local.points.end())
            refuse(location, fmt::format("a weight is {}", *negative), "need values of at least 0",
                   "repair or remove these cells");
    });
    return {identity.key, std::move(read.local.points)};
}

std::span<const std::int16_t> HeldCells::groups_in(GlobalRun run) const {
    return std::span{pairs_.group_of_cell}.subspan(static_cast<std::size_t>(run.first.value),
                                                   static_cast<std::size_t>(run.count));
}

// This rank's cells of the group.
std::vector<double> HeldCells::gathered(std::span<const double> held, std::int64_t width, std::size_t group) const {
    std::vector<double> rows;
    auto at = held.begin();
    for (const std::int16_t other : groups_in(mine_)) {
        if (static_cast<std::size_t>(other) == group) rows.insert(rows.end(), at, at + width);
        at += width;
    }
    return rows;
}

DistributedCloud HeldCells::cloud(const Grid& grid, Side side, const Partition& partition, std::size_t group,
                                  InputIdentity& identity) const {
    const Communicator& world = grid.world();
    const Partition& pieces = pieces_of_[group];
    const auto whole = [&](std::span<const double> held, std::int64_t width, std::uint32_t& checksum) {
        std::vector<double> rows;
        agree(world, [&] {
            try {
                rows = gathered(held, width, group);
            } catch (const std::bad_alloc&) {
                throw Failure{"not enough memory (for the cells of one pair); use more ranks or nodes"};
            }
        });
        checksum = crc32c_of_all(world, crc32c(rows), static_cast<std::int64_t>(rows.size() * 8),
                                 pieces.first(PartIndex{world.rank()}).value);
        return regroup(grid, side, pieces, partition, width, rows);
    };

    identity = input_;
    identity.rows = partition.items();
    std::vector<std::string> where = where_;
    where.push_back(pairs_.condition(group));
    identity.where = joined_conditions(where);

    DistributedCloud cloud{partition, {}};
    cloud.local.rows = partition.count(grid.part(side));
    cloud.local.dimension = input_.columns;
    cloud.local.points = whole(points_, input_.columns, identity.checksum);
    const auto [factor, offset] = parse_scaling(input_.scaling);
    for (double& x : cloud.local.points) x = offset == 0 ? x * factor : x * factor + offset;

    const Weights& weights = weights_[side == Side::row ? 0 : 1];
    if (weights.key.empty()) {
        cloud.local.weights.assign(static_cast<std::size_t>(cloud.local.rows),
                                   1 / static_cast<double>(partition.items()));
        return cloud;
    }
    cloud.local.weights = whole(weights.values, 1, identity.weights_checksum);
    identity.weights_path = input_.path;
    identity.weights_key = weights.key;
    normalise(grid, side, {input_.path, weights.key}, cloud.local.weights);
    return cloud;
}

}  // namespace convoy::io
