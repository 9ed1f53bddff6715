#pragma once
// Both clouds of a problem, from their files to what is solved. Two steps, since the plan of a run lies between them:
// first how many points there are, for which equal ones have to be found; then the clouds on the plan's grid.

#include <functional>
#include <optional>

#include "app/options.hpp"
#include "app/run_plan.hpp"
#include "convoy/features.hpp"
#include "solvers/duplicates.hpp"

namespace convoy::app {

// As they are solved, and what has become of the rows of the files on the way.
struct ProblemClouds {
    DistributedCloud source, target;
    io::InputIdentity source_input, target_input;
    std::optional<MergedRows> merged_source, merged_target;
    std::optional<Features> features;
};

class ProblemInputs {
 public:
    // Looks at both inputs, and reads them if equal points are merged. \param heed called between inputs; it may throw
    // \throws InputError, also where their dimensions differ. Collective.
    ProblemInputs(const Communicator& world, const ProblemOptions& problem, std::function<void()> heed);

    const ProblemShape& shape() const { return shape_; }  // as solved
    const ProblemShape& given() const { return given_; }  // of the files
    // Both clouds, transformed together where that is asked for. Once. Collective.
    ProblemClouds read(const Grid& grid, std::uint64_t seed);

 private:
    struct Merging {
        DuplicateSearch search;
        io::InputIdentity identity;
    };
    Merging merge(const Communicator& world, const io::InputOptions& input, const std::string& prefix) const;
    DistributedCloud read_side(const Grid& grid, Side side, std::int64_t rows, const io::InputOptions& input,
                               std::optional<Merging>& merging, io::InputIdentity& identity,
                               std::optional<MergedRows>& merged) const;

    void expect_directions(const Communicator& world, Side side, const Cloud& points, const MergedRows& merged) const;

    const ProblemOptions& problem_;
    std::function<void()> heed_;
    ProblemShape given_, shape_;
    std::optional<Merging> source_, target_;
};

}  // namespace convoy::app
