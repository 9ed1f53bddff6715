#pragma once
/// \file
/// The R x C process grid: rank r C + c sits in row r and column c.

#include <string>
#include <vector>

#include "convoy/communicator.hpp"
#include "convoy/partition.hpp"
#include "convoy/verbs.hpp"

namespace convoy {

struct GridShape {
    int rows = 1;
    int columns = 1;
    bool operator==(const GridShape&) const = default;
    /// From `RxC`. \throws InputError
    static GridShape parse(const std::string& text);
    std::string name() const;
};

/// Rank (r, c) holds X_r, Y_c, f_r and g_c. Ranks of one grid row share X_r, ranks of one grid column share Y_c.
class Grid {
 public:
    Grid() = default;  ///< 1 x 1, serial
    /// Collective. \throws InputError unless shape.rows * shape.columns is the number of ranks.
    Grid(Communicator world, GridShape shape);

    const Communicator& world() const { return world_; }
    GridShape shape() const { return shape_; }
    PartIndex part(Side side) const { return PartIndex{side == Side::row ? r_ : c_}; }
    /// The part of `side` that another rank holds.
    PartIndex part_of(int rank, Side side) const {
        return PartIndex{side == Side::row ? rank / shape_.columns : rank % shape_.columns};
    }
    int parts(Side side) const { return side == Side::row ? shape_.rows : shape_.columns; }
    /// The ranks that hold the same part of `side`'s cloud: partial sums of that part are summed over them.
    const Communicator& sharers(Side side) const { return side == Side::row ? along_row_ : along_column_; }
    /// One rank for each part of `side`'s cloud, this one among them: together they hold all of it.
    const Communicator& holders(Side side) const { return side == Side::row ? along_column_ : along_row_; }

 private:
    Communicator world_, along_row_, along_column_;
    GridShape shape_;
    int r_ = 0, c_ = 0;
};

/// A vector or matrix (rows x width, row-major) of one side's distribution brought to the other's: `mine` is this
/// rank's part under `from` (parts = parts of `side`); returned is its part under `to` (parts = parts of the other
/// side). from.items() == to.items(). Collective.
std::vector<double> redistribute(const Grid& grid, Side side, const Partition& from, const Partition& to,
                                 std::int64_t width, std::span<const double> mine);

/// Joins the stripes of a part: `mine` holds stripe k of this rank's part of `side`, k = its rank among the sharers;
/// returned is the whole part, on all sharers. Collective.
std::vector<double> join_stripes(const Grid& grid, Side side, const Partition& partition, std::int64_t width,
                                 std::span<const double> mine);
/// Rows in consecutive pieces, one a rank of grid.world(), brought to the distribution `to` of `side`: `mine` is this
/// rank's piece (rows x width), returned is its part. Collective.
std::vector<double> regroup(const Grid& grid, Side side, const Partition& pieces, const Partition& to,
                            std::int64_t width, std::span<const double> mine);
/// The reverse: from the distribution `from` of `side` to consecutive pieces, one a rank. `mine` is this rank's part,
/// returned is its piece. Collective.
std::vector<double> cut_into_pieces(const Grid& grid, Side side, const Partition& from, const Partition& pieces,
                                    std::int64_t width, std::span<const double> mine);
/// This rank's stripe of its part of `side`: the rows that it reads from and writes to files.
GlobalRun my_stripe(const Grid& grid, Side side, const Partition& partition);

}  // namespace convoy
