#pragma once
// From questions to the arrays that answer them.

#include <optional>
#include <string>
#include <vector>

#include "app/loaded_plan.hpp"
#include "app/query_labels.hpp"
#include "app/query_options.hpp"
#include "io/array_file.hpp"
#include "io/point_names.hpp"

namespace convoy::app {

// What the closing summary says of an answer: a line each.
struct AnswerLine {
    std::string name, value;
};

struct TransitionTable {
    std::vector<std::string> source_levels, target_levels;
    std::vector<double> joint;          // source_levels x target_levels
    double equal = 0, independent = 0;  // mass between equal labels: of the plan, and if partners did not matter
};

struct Asked {
    io::ArrayFile answers;  // arrays and groups; the rest is the command's
    std::vector<AnswerLine> lines;
    std::optional<TransitionTable> transition;
    std::vector<std::pair<std::string, double>> numbers;  // for programs: "trace", ...
};

// Names of the points of both sides, where their files have them.
struct SideNames {
    std::optional<io::PointNames> source, target;
    std::optional<io::PointNames>& of(Side side) { return side == Side::row ? source : target; }
};

// Groups by --transition or by --source-labels and --target-labels; nothing if that is not asked. \throws InputError
// where a side has no such column. Collective.
struct SideLabels {
    Labels source, target;
};
std::optional<SideLabels> read_labels(const Grid& grid, const io::Model& model, const QueryOptions& options,
                                      SideNames& names);

// Columns of --push and --pull: of this rank's part of that side.
struct Columns {
    std::int64_t width = 0;
    std::vector<double> values;
};
Columns read_columns(const Grid& grid, Side side, const Partition& partition, const std::string& file,
                     const std::string& option);

// Asks everything. Collective.
Asked ask(LoadedPlan& loaded, const SolvedPlan& plan, const QueryOptions& options,
          const std::optional<SideLabels>& labels, const Columns& pushed, const Columns& pulled, Run& run);

}  // namespace convoy::app
