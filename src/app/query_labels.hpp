#pragma once
// Groups of points, by what a column of obs or a file of numbers says of them.

#include <string>
#include <vector>

#include "convoy/grid.hpp"
#include "convoy/partition.hpp"
#include "convoy/plan_questions.hpp"
#include "io/point_names.hpp"

namespace convoy::app {

// What points are called that have no label.
inline constexpr const char* no_label = "(none)";

struct Labels {
    std::vector<std::string> levels;  // numbers in their order, else texts in theirs; no_label last, if there are any
    Groups groups;                    // of this rank's part
};

// Of a column of obs: `names` are those of the side's input. Collective; throws the same InputError on all ranks.
Labels labels_of_column(const Grid& grid, Side side, const Partition& partition, io::PointNames& names,
                        const std::string& column);
// Of a file with a number for each point. Collective, likewise.
Labels labels_of_file(const Grid& grid, Side side, const Partition& partition, const std::string& file,
                      const std::string& option);

}  // namespace convoy::app
