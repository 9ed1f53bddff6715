#pragma once
// A map that was fitted before: the options that name it, what it can do, and the map itself on the ranks of this run.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "app/command_line.hpp"
#include "app/console.hpp"
#include "app/run.hpp"
#include "io/model.hpp"
#include "io/points_file.hpp"
#include "solvers/map_plan.hpp"
#include "solvers/portioned_map.hpp"

namespace convoy::app {

struct FitOptions {
    std::string model;
    Side from = Side::row;  // the side that the new points belong to
    bool debiased = false;
    std::string self;            // a file with the self potential
    std::string source, target;  // where the model's inputs are, if they have moved

    const std::string& moved(Side side) const { return side == Side::row ? source : target; }
};
void declare(CommandLine& line, FitOptions& options, bool with_direction);

// \throws InputError where this model has no such map, or an option would have no effect with it.
void check_fit(const FitOptions& options, const io::Model& model);
// The files that the map is read from.
std::vector<std::string> files_of(const FitOptions& options, const io::Model& model);
// Sizes and cost of the model, for the plan.
MapRequest request_of(const FitOptions& options, const io::Model& model);
// For a file's /model.
io::Attributes attributes_of(const FitOptions& options, const io::Model& model);
// In words: a result of solve, sqeuclidean, epsilon 0.1.
std::string in_words(const io::Model& model);

class FittedMap {
 public:
    // Reads what is needed, and solves the self problem if there is one. Collective.
    FittedMap(const Grid& grid, const io::Model& model, const FitOptions& options, const MapPlan& plan, Run& run);

    // The images of up to plan.portions.rows points a grid row. Collective.
    std::vector<double> operator()(std::span<const double> points);

    // The potential of the symmetric problem, its points and how they are spread.
    struct Self {
        io::SelfPotential potential;
        Partition partition;
        std::int64_t half_passes = 0;  // 0: it was read
        PortionedMap map;
    };
    const std::optional<Self>& self() const { return self_; }
    // Error of the logits by rounding, in units of epsilon: the largest so far.
    double rounding() const;
    Meters meters() const;

 private:
    std::optional<Self> self_;  // first: solving it takes memory that is given back
    std::optional<PortionedMap> map_;
};

void warn_of_status(Console& console, const io::Model& model);
void warn_of_rounding(Console& console, const FittedMap& map);

}  // namespace convoy::app
