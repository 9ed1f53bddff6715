#pragma once
// Equal points as one: found over all ranks while a cloud is read, solved with their summed masses, and given back as
// the rows that they were. Points are equal where all of their numbers are.

#include <cstdint>
#include <span>
#include <vector>

#include "convoy/coupling.hpp"
#include "geometry/row_table.hpp"

namespace convoy {

// How a cloud's rows became distinct points, as the ranks that hold one part of it know it. Distinct points are counted
// in the order of their first rows: the same on every grid.
struct MergedRows {
    Side side = Side::row;
    Partition rows, points;                  // both over the parts of `side`
    std::vector<std::int64_t> point_of_row;  // of this part's rows
    std::vector<std::int64_t> first_row;     // of this part's points
    std::vector<double> weights;             // of this part's rows, normalised

    // Numbers of this part's points, `width` each, for this part's rows. Collective.
    std::vector<double> expand(const Grid& grid, std::int64_t width, std::span<const double> of_points) const;
    // Likewise, but numbers that a point's rows share by their masses: gradients. Collective.
    std::vector<double> share(const Grid& grid, std::int64_t width, std::span<const double> of_points,
                              std::span<const double> masses) const;
    // Numbers of this part's rows for this part's points: those of their first rows. Collective.
    std::vector<double> contract(const Grid& grid, std::int64_t width, std::span<const double> of_rows) const;
    // Summed over the rows of each of this part's points, in the order of the rows. Collective.
    std::vector<double> sum(const Grid& grid, std::span<const double> of_rows) const;
};

// Looks for equal rows in a matrix that comes in portions. Each row goes to the rank that its hash names, which knows
// all rows of that hash: every rank holds its share of the distinct points and one number a row.
class DuplicateSearch {
 public:
    DuplicateSearch(Communicator world, std::int64_t dimension);

    // The next rows, `portion`, without a gap to those before; this rank brings its run of them, `mine`: runs ascend
    // with the ranks and together are the portion. Collective.
    void add(GlobalRun portion, GlobalRun mine, std::span<const double> points);
    // All rows were added. Returns the number of distinct points. Collective.
    std::int64_t finish();

    // The distinct points, each part where the grid wants it, all of mass 0; `merged` is told all but the weights. This
    // object's own share is given up. Collective.
    DistributedCloud distribute(const Grid& grid, Side side, MergedRows& merged);

 private:
    std::int64_t point_of(std::int64_t first_row) const;  // its number, from that of its first row

    struct Portion {
        GlobalRun all;
        std::vector<double> first_rows;  // of this rank's run of it: for each row the first one that is equal
    };
    Communicator world_;
    std::int64_t dimension_ = 0, rows_ = 0, points_ = 0;
    RowTable table_;
    std::vector<std::int64_t> first_row_;  // of the table's rows
    std::vector<Portion> portions_;
    // A bit for each row of the whole cloud, set where it is the first of its kind; and how many are set before a word.
    std::vector<std::int64_t> is_first_, before_;
};

}  // namespace convoy
