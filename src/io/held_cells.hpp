#pragma once
// The cells of all groups (see cell_pairs.hpp), read once and kept, a piece on every rank: clouds are made of them by
// an exchange, and are what read_cloud() gives for the condition that chooses the group, bit for bit.

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "convoy/coupling.hpp"
#include "convoy/grid.hpp"
#include "io/cell_pairs.hpp"
#include "io/reader.hpp"

namespace convoy::io {

class HeldCells {
 public:
    // \param source, target of one file, with the same conditions, columns and scaling; weights are columns of its
    // table, or none
    // \param memory bytes that this may take on each rank
    // \throws InputError on all ranks. Collective.
    HeldCells(const Communicator& world, const InputOptions& source, const InputOptions& target, CellPairs pairs,
              double memory);

    const CellPairs& pairs() const { return pairs_; }
    std::int64_t dimension() const { return input_.columns; }
    // Of all of them.
    const InputIdentity& input() const { return input_; }
    // What it takes on the largest rank.
    double bytes() const { return bytes_; }

    // A group as one side of a problem. \throws InputError on all ranks. Collective.
    DistributedCloud cloud(const Grid& grid, Side side, const Partition& partition, std::size_t group,
                           InputIdentity& identity) const;

 private:
    struct Weights {
        std::string key;             // empty: equal weights
        std::vector<double> values;  // of this rank's cells
    };
    Weights read_weights(const Communicator& world, const InputOptions& input, const std::string& option) const;
    std::span<const std::int16_t> groups_in(GlobalRun run) const;
    std::vector<double> gathered(std::span<const double> held, std::int64_t width, std::size_t group) const;

    CellPairs pairs_;
    InputIdentity input_;  // of all groups' cells
    std::vector<std::string> where_;
    Partition pieces_;
    GlobalRun mine_;
    std::vector<double> points_;  // of this rank's cells, as read
    std::array<Weights, 2> weights_;
    std::vector<Partition> pieces_of_;  // of each group
    double bytes_ = 0;
};

}  // namespace convoy::io
