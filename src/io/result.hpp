#pragma once
// The result file (one HDF5 file; its layout is in DESIGN-level docs: docs of each struct below give group and
// attribute names = member names), written in two phases by all ranks, complete or absent.

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "convoy/coupling.hpp"
#include "convoy/sinkhorn.hpp"
#include "convoy/values.hpp"
#include "io/reader.hpp"

namespace convoy::io {

// Attributes of one group, in order.
using Attribute = std::variant<std::string, double, std::int64_t>;
using Attributes = std::vector<std::pair<std::string, Attribute>>;

// min, mean and max over ranks of one phase's seconds: /timing, one row each.
struct PhaseTiming {
    std::string phase;
    double min = 0, mean = 0, max = 0;
};

// Everything a result holds. Vectors f, g, a, b and the embedded points are this rank's parts; the rest is the same on
// all ranks (rank 0's is written).
struct Result {
    Attributes root;      // format, format_version, program, version, command, created, status (complete is the writer's)
    Attributes solution;  // epsilon, epsilon_rule, cost, dual_value, ...
    Attributes run;       // the plan of the run and where it ran
    InputIdentity source_input, target_input;
    std::vector<HalfPass> history;
    std::vector<PhaseTiming> timing;
    std::vector<double> f, g;
    bool store_points = false;  // /source/points, /target/points: embedded, fp64
};

// Refuses (InputError, before any work is done) an output that exists (without overwrite), a missing or unwritable
// folder, a path that is a folder. Collective.
void check_output(const Communicator& world, const std::string& path, bool overwrite);

// Two phases: rank 0 creates PATH.part.XXXXXX with the serial driver and reserves its whole length; every rank writes
// its stripes (independent transfers of at most 1 GiB; parallel HDF5 where there are several ranks); fsync; rank 0
// fills in the checksums and `complete`, renames, fsyncs the folder. On failure the part file is removed, an existing
// file at `path` is untouched, and all ranks throw Failure (FatalFailure once a parallel file is open). Collective.
void write_result(const Coupling& coupling, const Result& result, const std::string& path, bool overwrite);

// For info: every attribute by its path ("/solution/epsilon"), and datasets with their shapes. Serial.
struct Description {
    std::vector<std::pair<std::string, std::string>> attributes;
    std::vector<std::pair<std::string, std::string>> datasets;  // path, "float64 (1000)"
    bool complete = false;
};
Description describe(const std::string& path);

// f and g of a result whose sizes must match; each rank gets its parts. InputError on all ranks. Collective.
struct StoredPotentials {
    std::vector<double> f, g;
    double epsilon = 0;
    std::string cost;
};
StoredPotentials read_potentials(const Grid& grid, const Partition& rows, const Partition& columns,
                                 const std::string& path);

}  // namespace convoy::io
