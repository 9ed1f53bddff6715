#pragma once
// The plan of mapping points: grid, portions and memory, decided before the work begins, from counts.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "convoy/communicator.hpp"
#include "convoy/cost.hpp"
#include "convoy/coupling.hpp"
#include "convoy/grid.hpp"
#include "parallel/device_choice.hpp"

namespace convoy {

struct MapRequest {
    std::int64_t points = 0;  // to be mapped
    std::int64_t target = 0;  // of the model, on the side that is mapped to
    std::int64_t dimension = 0;
    std::int64_t read_dimension = 0;  // of points as they are read, where they are transformed then; 0: the same
    std::int64_t steps = 1;
    std::int64_t self_points = 0;    // of the side that is mapped from, where its self map is taken off; 0: it is not
    bool solve_self = false;         // or its potential is known
    std::int64_t compared_with = 0;  // points that all images are then held against; 0: none
    Cost cost;
    std::optional<Precision> precision;  // nothing: single
    Backend backend = Backend::cpu;
    DevicesInShort devices;  // of Backend::cuda
    std::optional<GridShape> grid;
    std::optional<double> memory;  // bytes a rank may use; nothing: its share of what this node has
    std::optional<int> threads;    // of a rank; nothing: OMP_NUM_THREADS, else the node's cores shared by its ranks
};

// Pairs that each mapped point meets.
double pairs_of_a_point(const MapRequest& request);

// How points are dealt out: `portions` runs of consecutive rows, each cut evenly over the rows of the grid.
struct Portions {
    std::int64_t count = 1;
    std::int64_t rows = 1;  // of a grid row in one portion, at most
};

struct MapPlan {
    GridShape grid;
    Portions portions;
    Precision precision = Precision::single;
    Backend backend = Backend::cpu;
    int threads = 1;
    double memory = 0, memory_limit = 0;                // bytes a rank: needed (estimate), allowed
    double device_memory = 0, device_memory_limit = 0;  // the same on its device
    bool stream_points = false;                         // through the device; else they lie there
    std::string explain;                                // a line for the log
    std::vector<std::pair<std::string, std::variant<std::string, double, std::int64_t>>> attributes;  // for /run
};

// Portions that take seconds and bounded memory. Pure arithmetic.
Portions portions_of(const MapRequest& request, GridShape shape, double memory_limit);

// Bytes that the largest rank of this grid holds while mapping. Pure arithmetic.
double memory_of_mapping(const MapRequest& request, GridShape shape, int threads, double memory_limit);

// The grid with the fewest columns that fits, nothing if none does: R x 1 needs no sums over ranks, and every rank
// holds the whole target. Pure arithmetic.
std::optional<GridShape> grid_for_mapping(const MapRequest& request, int ranks, int threads, double memory_limit);

// \throws InputError where a given grid does not match the ranks, or nothing fits the memory (naming the ranks that
// would do). Collective.
MapPlan resolve_map_plan(const Communicator& world, const MapRequest& request);

}  // namespace convoy
