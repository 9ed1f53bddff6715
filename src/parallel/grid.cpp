#include "convoy/grid.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "convoy/error.hpp"

namespace convoy {

GridShape GridShape::parse(const std::string& text) {
    GridShape shape;
    const char* end = text.data() + text.size();
    const auto rows = std::from_chars(text.data(), end, shape.rows);
    const bool cross = rows.ec == std::errc{} && rows.ptr != end && (*rows.ptr == 'x' || *rows.ptr == 'X');
    const auto columns = cross ? std::from_chars(rows.ptr + 1, end, shape.columns) : rows;
    CONVOY_VALIDATE(
        cross && columns.ec == std::errc{} && columns.ptr == end && shape.rows > 0 && shape.columns > 0,
        fmt::format("'{}' is no process grid (need ROWSxCOLUMNS, both positive); write for example 2x3", text));
    return shape;
}

std::string GridShape::name() const {
    return fmt::format("{}x{}", rows, columns);
}

Grid::Grid(Communicator world, GridShape shape) : world_{std::move(world)}, shape_{shape} {
    CONVOY_VALIDATE(
        std::int64_t{shape.rows} * shape.columns == world_.size(),
        fmt::format("a grid of {} needs {} ranks ({} are running); choose --grid so that rows times columns "
                    "is the number of ranks, or leave it out",
                    shape.name(), std::int64_t{shape.rows} * shape.columns, world_.size()));
    r_ = world_.rank() / shape.columns;
    c_ = world_.rank() % shape.columns;
    along_row_ = world_.split(r_, c_);
    along_column_ = world_.split(c_, r_);
}

std::vector<double> redistribute(const Grid& grid, Side side, const Partition& from, const Partition& to,
                                 std::int64_t width, std::span<const double> mine) {
    CONVOY_EXPECT(from.items() == to.items());
    CONVOY_EXPECT(from.parts() == grid.parts(side) && to.parts() == grid.parts(other(side)));
    CONVOY_EXPECT(static_cast<std::int64_t>(mine.size()) == from.count(grid.part(side)) * width);
    // The holders of `side`, one of each part, all need the same part of the other distribution: each brings what it
    // has of it, in order of the parts.
    const GlobalRun have = from.run(grid.part(side));
    const GlobalRun common = intersect(have, to.run(grid.part(other(side))));
    const std::int64_t skip = common.count > 0 ? common.first.value - have.first.value : 0;
    return grid.holders(side).gather_all(
        mine.subspan(static_cast<std::size_t>(skip * width), static_cast<std::size_t>(common.count * width)));
}

GlobalRun my_stripe(const Grid& grid, Side side, const Partition& partition) {
    const Communicator& sharers = grid.sharers(side);
    return partition.stripe(grid.part(side), sharers.size(), sharers.rank());
}

std::vector<double> regroup(const Grid& grid, Side side, const Partition& pieces, const Partition& to,
                            std::int64_t width, std::span<const double> mine) {
    const Communicator& world = grid.world();
    CONVOY_EXPECT(pieces.items() == to.items() && pieces.parts() == world.size());
    const GlobalRun piece = pieces.run(PartIndex{world.rank()}), part = to.run(grid.part(side));
    CONVOY_EXPECT(static_cast<std::int64_t>(mine.size()) == piece.count * width);
    std::vector<double> whole(static_cast<std::size_t>(part.count * width));
    std::vector<std::span<const double>> sent;
    std::vector<std::span<double>> received;
    for (int rank = 0; rank < world.size(); ++rank) {
        const GlobalRun given = intersect(piece, to.run(grid.part_of(rank, side)));
        const GlobalRun taken = intersect(part, pieces.run(PartIndex{rank}));
        const auto from = given.count > 0 ? (given.first.value - piece.first.value) * width : 0;
        const auto at = taken.count > 0 ? (taken.first.value - part.first.value) * width : 0;
        sent.push_back(mine.subspan(static_cast<std::size_t>(from), static_cast<std::size_t>(given.count * width)));
        received.push_back(
            std::span{whole}.subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(taken.count * width)));
    }
    world.exchange(sent, received);
    return whole;
}

std::vector<double> cut_into_pieces(const Grid& grid, Side side, const Partition& from, const Partition& pieces,
                                    std::int64_t width, std::span<const double> mine) {
    const Communicator& world = grid.world();
    CONVOY_EXPECT(pieces.items() == from.items() && pieces.parts() == world.size());
    const GlobalRun part = from.run(grid.part(side)), piece = pieces.run(PartIndex{world.rank()});
    CONVOY_EXPECT(static_cast<std::int64_t>(mine.size()) == part.count * width);
    // Of ranks that share a part, each brings its stripe.
    const std::int64_t sharers = grid.parts(other(side));
    const auto stripe_of = [&](int rank) {
        return from.stripe(grid.part_of(rank, side), sharers, grid.part_of(rank, other(side)).value);
    };
    std::vector<double> own(static_cast<std::size_t>(piece.count * width));
    std::vector<std::span<const double>> sent;
    std::vector<std::span<double>> received;
    for (int rank = 0; rank < world.size(); ++rank) {
        const GlobalRun given = intersect(stripe_of(world.rank()), pieces.run(PartIndex{rank}));
        const GlobalRun taken = intersect(stripe_of(rank), piece);
        const auto from_here = given.count > 0 ? (given.first.value - part.first.value) * width : 0;
        const auto at = taken.count > 0 ? (taken.first.value - piece.first.value) * width : 0;
        sent.push_back(
            mine.subspan(static_cast<std::size_t>(from_here), static_cast<std::size_t>(given.count * width)));
        received.push_back(
            std::span{own}.subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(taken.count * width)));
    }
    world.exchange(sent, received);
    return own;
}

std::vector<double> join_stripes(const Grid& grid, Side side, const Partition& partition, std::int64_t width,
                                 std::span<const double> mine) {
    CONVOY_EXPECT(static_cast<std::int64_t>(mine.size()) == my_stripe(grid, side, partition).count * width);
    static_cast<void>(partition), static_cast<void>(width);
    return grid.sharers(side).gather_all(mine);
}

}  // namespace convoy
