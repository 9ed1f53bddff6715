#pragma once
// A fitted map on disk: the result of `solve`, or a model of `progot`, which is a result that also has
//
//     /steps            attributes: steps, schedule; epsilon alpha ... (K); g (m x K, attribute checksum): row j holds
//                       the potentials of target point j in the K steps
//     /target/points    the target's points, so that it maps new points alone

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "convoy/cost.hpp"
#include "convoy/features.hpp"
#include "convoy/map.hpp"
#include "io/reader.hpp"

namespace convoy::io {

// One large dataset of the file. Checked for its shape when the model was opened.
struct StoredRows {
    std::string key;
    std::int64_t rows = 0, columns = 0;
    std::uint32_t checksum = 0;
    bool there() const { return !key.empty(); }
};

// What the file says of one of its clouds.
struct ModelSide {
    std::string name;  // source or target
    StoredRows potential, weights;
    StoredRows points;           // where they are in the model
    InputIdentity input;         // where they were read from
    std::string relative_input;  // that path, seen from the model's folder
};

struct Model {
    std::string path, command, status;
    Cost cost;
    double epsilon = 0, tolerance = 0;     // of the solution; of a model's last step
    std::vector<double> epsilons, alphas;  // of the steps; empty for a result
    StoredRows steps;
    std::optional<Features> features;  // that both clouds, and all points to be mapped, go through first
    ModelSide source, target;

    bool progressive() const { return !epsilons.empty(); }
    const ModelSide& side(Side side) const { return side == Side::row ? source : target; }
    std::int64_t points(Side side) const;
    std::int64_t dimension() const;  // of the points that the solver saw
    std::int64_t inputs() const { return features ? features->inputs : dimension(); }  // of points as they are read
};

// Looks at everything but the large numbers. All ranks know all of it. \throws InputError: no result, another version
// of the format, incomplete, contradicting itself. Collective.
Model open_model(const Communicator& world, const std::string& path);

// The cloud of one side of the model in the distribution of Side::column, masses as they were solved with. Its points:
// those in the model; else from the input that the model names, looked for at its absolute path and at the relative
// one, seen from the model; else from `moved`, a PATH[#KEY]. They are verified, and as the solver saw them (prepared,
// and in the coordinates of the model's features). \throws InputError that names the file, what differs, and what to
// do. Collective.
DistributedCloud read_model_cloud(const Grid& grid, const Partition& partition, const Model& model, Side side,
                                  const std::string& moved);
// The files that read_model_cloud() might read, for comparing names.
std::vector<std::string> files_of(const Model& model, Side side, const std::string& moved);

// The file that this side was read from, as read_model_cloud() would; nothing where there is none any more, or where it
// is another one by its looks. Collective.
std::optional<InputOptions> find_input(const Communicator& world, const Model& model, Side side,
                                       const std::string& moved);

// What maps points of `from` to the other side: the potential of that other side, or the steps of a model (Side::row
// only). In the distribution of Side::column. Collective.
std::vector<MapStep> read_steps(const Grid& grid, const Partition& partition, const Model& model, Side from);

}  // namespace convoy::io
