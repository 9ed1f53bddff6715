#pragma once
// The result file: one HDF5 file, written in two phases by all ranks, complete or absent.
//
//     /                     attributes: format, format_version, then Result::root, complete (uint8: 0, at the end 1)
//     /potentials  f g      /weights  a b            fp64, one number a point; attribute checksum (uint32, CRC-32C)
//     /solution  /run       attributes
//     /history              half_pass (int64) epsilon marginal_error seconds
//     /timing               phase (string) min mean max
//     /inputs/source target attributes of InputIdentity; relative_path: seen from the result's folder
//     /source/points /target/points                  fp64, if embedded; attribute checksum
//     /features             where points were standardized or projected: io/features_layout.hpp
//
// and what a command adds: Result::datasets, with a checksum each, and Result::groups; of many pairs that were solved
// together, each has
//
//     /pair                 attributes: column, and its values source and target
//
// A model of progressive OT is a result (of its last step, whose source is the travelled cloud) that also holds its
// target's points and
//
//     /steps                attributes: steps (K), schedule
//       epsilon alpha travelled tolerance marginal_error transport_cost work seconds dropped   fp64 (K)
//       half_passes (int64, K)  status (string, K)
//       g                   fp64 (m x K): row j has target point j's potentials in the K steps; attribute checksum
//       source_2 ... _K     fp64 (n x d): the source before each later step, if asked for; attribute checksum

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "convoy/coupling.hpp"
#include "convoy/features.hpp"
#include "convoy/progot.hpp"
#include "convoy/sinkhorn.hpp"
#include "convoy/values.hpp"
#include "io/reader.hpp"

namespace convoy::io {

inline constexpr std::string_view result_format = "convoy-result";
inline constexpr std::int64_t result_format_version = 1;

// Attributes of one group, in order.
using Attribute = std::variant<std::string, double, std::int64_t>;
using Attributes = std::vector<std::pair<std::string, Attribute>>;

// min, mean and max over ranks of one phase's seconds: /timing, one row each.
struct PhaseTiming {
    std::string phase;
    double min = 0, mean = 0, max = 0;
};

// A dataset beside the potentials: `width` numbers for each point of one side.
struct ExtraDataset {
    std::string path;  // "gradient/source"; groups on the way are made
    Side side = Side::row;
    std::int64_t width = 1;
    std::vector<double> values;  // this rank's part
    bool matrix = false;         // (points x width), also where width is 1
    bool by_mass = false;        // equal points that were solved as one share the numbers by their masses
};

// Everything a result holds. Vectors f, g, a, b, the embedded points and the values of `datasets` are this rank's
// parts; the rest is the same on all ranks (rank 0's is written).
struct Result {
    Attributes root;      // program, version, command, created, status (the format's and `complete` are the writer's)
    Attributes solution;  // epsilon, epsilon_rule, cost, dual_value, ...
    Attributes run;       // the plan of the run and where it ran
    InputIdentity source_input, target_input;
    std::vector<HalfPass> history;
    std::vector<PhaseTiming> timing;
    std::vector<double> f, g;
    std::optional<Features> features;
    std::vector<ExtraDataset> datasets;
    std::vector<std::pair<std::string, Attributes>> groups;  // path and attributes; a group above comes first
    bool store_source = false, store_target = false;         // /source/points, /target/points: embedded, fp64

    // A model's; no steps: a result.
    std::vector<ProgotStep> steps;
    std::string schedule;
    std::vector<double> steps_g;                         // this rank's m x K
    std::vector<std::vector<double>> travelled_sources;  // X(2) ... X(K), or nothing
};

// Refuses (InputError, before any work is done) an output that exists (without overwrite), a missing or unwritable
// folder, a path that is a folder. Collective.
void check_output(const Communicator& world, const std::string& path, bool overwrite);

// Two phases: rank 0 creates PATH.part.XXXXXX with the serial driver and reserves its whole length; every rank writes
// its stripes (independent transfers of at most 1 GiB; parallel HDF5 where there are several ranks); fsync; rank 0
// fills in the checksums and `complete`, renames, fsyncs the folder. On failure the part file is removed, an existing
// file at `path` is untouched, and all ranks throw Failure (FatalFailure once HDF5 has failed on an open file: leave by
// abort). Collective. If another file appeared at `path` meanwhile and may not be replaced, the finished part file
// stays and the Failure names it.
void write_result(const Grid& grid, const DistributedCloud& source, const DistributedCloud& target,
                  const Result& result, const std::string& path, bool overwrite);
inline void write_result(const Coupling& coupling, const Result& result, const std::string& path, bool overwrite) {
    write_result(coupling.grid(), coupling.cloud(Side::row), coupling.cloud(Side::column), result, path, overwrite);
}

// For info: every attribute by its path ("/solution/epsilon"), and datasets with their types and shapes. Serial.
// InputError if it is no file of Convoy's.
struct Description {
    std::vector<std::pair<std::string, std::string>> attributes;
    std::vector<std::pair<std::string, std::string>> datasets;  // path, "float64 (1000)"
    bool complete = false;
};
Description describe(const std::string& path);

// f and g of a complete result whose sizes must match and whose checksums must hold; each rank gets its parts.
// InputError on all ranks. Collective.
struct StoredPotentials {
    std::vector<double> f, g;
    double epsilon = 0;
    std::string cost;
};
StoredPotentials read_potentials(const Grid& grid, const Partition& rows, const Partition& columns,
                                 const std::string& path);
// Another dataset of a complete result that has a number for each point of `side`: this rank's part, likewise checked.
std::vector<double> read_stored_vector(const Grid& grid, Side side, const Partition& partition, const std::string& path,
                                       const std::string& dataset);

}  // namespace convoy::io
