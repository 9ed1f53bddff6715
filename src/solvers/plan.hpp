#pragma once
// The plan of a run: everything that is decided before the work begins, from counts and not from clocks, on rank 0, and
// told to all. A rerun of the same plan gives the same bits.

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
#include "convoy/sinkhorn.hpp"
#include "convoy/verbs.hpp"
#include "parallel/device_choice.hpp"

namespace convoy {

// Whether inner products are kept between passes: where it pays and they fit, always, never.
enum class Cache { automatic, on, off };

// What a command holds beside what solving does: copies of a side's points in fp64, numbers for each point of the
// target.
struct HeldMore {
    double sources = 0, targets = 0;
    double numbers_of_target = 0;
    double moving_sources = 0, moving_targets = 0;  // for a while only, when no start is looked for
    double bytes = 0, bytes_of_thread = 0;          // of a rank and of each of its threads, on any grid
    std::int64_t columns_averaged = 0;              // at a time, beside points
    bool self_problems = false;  // each side against itself is solved, too, before the problem itself
    bool wide_averages = false;  // of points or gradients, as many numbers as dimensions
    bool target_itself = false;  // the target is mapped onto itself, to choose epsilons
};

struct PlanRequest {
    std::int64_t rows = 0, columns = 0, dimension = 0;
    std::int64_t read_dimension = 0;  // of points that are transformed before they are solved; 0: they are not
    Cost cost;
    std::optional<Precision> precision;
    Backend backend = Backend::cpu;
    DevicesInShort devices;  // of Backend::cuda
    std::optional<GridShape> grid;
    std::optional<double> memory;  // bytes a rank may use; nothing: its share of what this node has
    std::optional<int> threads;    // of a rank; nothing: OMP_NUM_THREADS, else the node's cores shared by its ranks
    Cache cache = Cache::automatic;
    std::string start = "auto";  // its name, or the file whose potentials are taken; empty: nothing is solved
    bool annealing = true;
    HeldMore more;
    std::optional<Acceleration> acceleration;  // nothing: coarse where there are pairs enough, else anderson
};

// What one grid shape would cost: the largest rank's memory, and a model of the communication of one iteration (two
// allreduces: latency times rounds, and bytes over bandwidth).
struct GridChoice {
    GridShape shape;
    double memory = 0;                 // bytes of the largest rank
    double device_memory = 0;          // on its device, with as little there as possible
    double communication_bytes = 0;    // sent by a rank in one iteration
    double communication_seconds = 0;  // by the model
    bool fits = true;
};

struct Plan {
    GridShape grid;
    Precision precision = Precision::single;
    Backend backend = Backend::cpu;
    int threads = 1;
    Acceleration acceleration = Acceleration::anderson;
    std::string instruction_set;
    double memory = 0, memory_limit = 0;                // bytes a rank: needed (estimate), allowed
    double device_memory = 0, device_memory_limit = 0;  // the same on its device
    bool stream_points = false;                         // through the device; else they lie there
    bool keep_products = false;
    double products = 0;                 // bytes of them on the largest rank, in (device_)memory too
    std::vector<GridChoice> candidates;  // best first
    // Whether so many bytes of products more would fit beside all that is planned.
    bool has_room_for(double more_products) const {
        if (backend == Backend::cuda) return device_memory + more_products < device_memory_limit;
        return memory + more_products < memory_limit;
    }
    std::string explain;  // a line or two for the log
    std::vector<std::pair<std::string, std::variant<std::string, double, std::int64_t>>> attributes;  // for /run
};

// All shapes for this many ranks, best first: those that fit before those that do not, then less communication, then
// blocks nearer to a square. Pure arithmetic.
std::vector<GridChoice> grid_choices(const PlanRequest& request, int ranks, double memory_limit, int threads);

// Bytes that the largest rank of this grid holds while solving: points as given and as rounded, vectors, the
// accelerator's memory, tiles. Pure arithmetic.
double memory_of_rank(const PlanRequest& request, GridShape shape, int threads);

// Bytes that the products of points take on the largest rank. Pure arithmetic.
double bytes_of_products(const PlanRequest& request, GridShape shape);

// Whether keeping products is quicker than computing them in every pass, on a node with so many cores at work: all of
// them read the same memory. Pure arithmetic.
bool products_pay(std::int64_t dimension, int cores);

// Share of a node's memory that is ours by default: the rest is the file cache's, MPI's and the system's.
inline constexpr double default_memory_share = 0.85;
// What CUDA's driver and page-locked buffers take on the host for a process, roughly.
inline constexpr double host_memory_of_cuda = 500e6;
// OMP_NUM_THREADS, 0 where it says nothing.
int threads_from_environment();

// \throws InputError where a given grid does not match the ranks, or nothing fits the memory (naming the ranks that
// would do). Collective.
Plan resolve_plan(const Communicator& world, const PlanRequest& request);

}  // namespace convoy
