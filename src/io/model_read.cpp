// The large numbers of a model, and the inputs that it names.

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "convoy/error.hpp"
#include "io/conditions.hpp"
#include "io/input_error.hpp"
#include "io/model.hpp"
#include "io/pattern.hpp"
#include "io/result_open.hpp"

namespace convoy::io {

namespace {

std::string with_key(const std::string& path, const std::string& key) {
    return key.empty() ? path : path + "#" + key;
}

bool exists(const std::string& path) {
    struct stat status;
    if (is_pattern(path)) return !files_named(path).empty();
    return !path.empty() && ::stat(path.c_str(), &status) == 0;
}

// PATH[#KEY] of the inputs that might be it: the absolute path, then the relative one.
std::vector<std::string> candidates(const Model& model, Side side, const std::string& moved) {
    const ModelSide& one = model.side(side);
    if (!moved.empty()) {
        const Location given = Location::parse(moved);
        // A file that has moved keeps its datasets' names.
        const bool alike =
            std::filesystem::path{given.path}.extension() == std::filesystem::path{one.input.absolute_path}.extension();
        return {given.key.empty() && alike ? with_key(given.path, one.input.key) : moved};
    }
    const auto folder = std::filesystem::path{model.path}.parent_path();
    const std::string relative =
        one.relative_input.empty() ? std::string{} : (folder / one.relative_input).lexically_normal().string();
    std::vector<std::string> paths{one.input.absolute_path};
    if (relative != paths[0]) paths.push_back(relative);
    std::erase_if(paths, [](const std::string& path) { return path.empty(); });
    for (std::string& path : paths) path = with_key(path, one.input.key);
    return paths;
}

// Those of the candidates that are there, as rank 0 sees them.
std::vector<std::string> present(const Communicator& world, const std::vector<std::string>& all) {
    std::vector<std::string> there;
    for (const std::string& text : all) {
        int found = exists(Location::parse(text).path) ? 1 : 0;
        world.broadcast(found);
        if (found != 0) there.push_back(text);
    }
    return there;
}

struct Tried {
    DistributedCloud cloud;
    std::string difference;  // empty: it is the right one
};

InputOptions options_of(const ModelSide& side, const std::string& text) {
    return {.points = text,
            .weights = {},
            .scaling = side.input.scaling,
            .where = split_conditions(side.input.where),
            .prepare = side.input.prepare};
}

Tried try_input(const Grid& grid, const Partition& partition, const Model& model, const ModelSide& side,
                const std::string& text) {
    const InputOptions options = options_of(side, text);
    const Shape shape = shape_of(grid.world(), options);
    if (shape.rows != partition.items() || (side.input.dimension > 0 && shape.columns != side.input.dimension))
        return {{},
                fmt::format("it has {} x {} numbers now, and had {} x {}", shape.rows, shape.columns, partition.items(),
                            side.input.dimension)};
    InputIdentity found;
    Tried tried{read_cloud(grid, Side::column, partition, options, found), {}};
    if (found.checksum != side.input.checksum)
        tried.difference =
            fmt::format("its numbers have changed: checksum {:08x}, was {:08x}", found.checksum, side.input.checksum);
    if (model.features) transform(*model.features, tried.cloud);
    return tried;
}

DistributedCloud read_input(const Grid& grid, const Partition& partition, const Model& model, Side side,
                            const std::string& moved) {
    const ModelSide& one = model.side(side);
    const std::vector<std::string> all = candidates(model, side, moved);
    const std::vector<std::string> there = present(grid.world(), all);
    if (there.empty()) {
        throw InputError{fmt::format(
            "the {} of '{}' is not at '{}' (the points are not in the model itself); say where it is: --{} PATH[#KEY]",
            one.name, model.path, all.empty() ? "(not said)" : all.front(), one.name)};
    }
    std::string difference;
    for (const std::string& text : there) {
        Tried tried = try_input(grid, partition, model, one, text);
        if (tried.difference.empty()) return std::move(tried.cloud);
        if (difference.empty()) difference = std::move(tried.difference);
    }
    throw InputError{
        fmt::format("'{}' is not the {} that '{}' was solved with ({}); give the right file with --{} PATH[#KEY], or "
                    "solve again",
                    there.front(), one.name, model.path, difference, one.name)};
}

}  // namespace

std::vector<std::string> files_of(const Model& model, Side side, const std::string& moved) {
    std::vector<std::string> files;
    if (model.side(side).points.there()) return files;
    for (const std::string& text : candidates(model, side, moved))
        for (std::string& file : files_named(Location::parse(text).path)) files.push_back(std::move(file));
    return files;
}

std::optional<InputOptions> find_input(const Communicator& world, const Model& model, Side side,
                                       const std::string& moved) {
    const ModelSide& one = model.side(side);
    if (one.input.rows == 0) return std::nullopt;
    for (const std::string& text : present(world, candidates(model, side, moved))) {
        const InputOptions options = options_of(one, text);
        const Shape shape = shape_of(world, options);
        if (shape.rows == one.input.rows && shape.columns == one.input.dimension) return options;
    }
    return std::nullopt;
}

DistributedCloud read_model_cloud(const Grid& grid, const Partition& partition, const Model& model, Side side,
                                  const std::string& moved) {
    const ModelSide& one = model.side(side);
    const auto read = [&](const StoredRows& rows) {
        return read_rows(grid, Side::column, partition, {model.path, rows.key}, rows.columns, rows.checksum);
    };
    if (!one.weights.there())
        throw InputError{fmt::format("'{}' does not hold the masses of its {}; solve again", model.path, one.name)};
    DistributedCloud cloud;
    if (one.points.there()) {
        cloud = {partition, {partition.count(grid.part(Side::column)), one.points.columns, read(one.points), {}}};
    } else {
        cloud = read_input(grid, partition, model, side, moved);
    }
    cloud.local.weights = read(one.weights);
    return cloud;
}

std::vector<MapStep> read_steps(const Grid& grid, const Partition& partition, const Model& model, Side from) {
    const StoredRows& potential = model.side(other(from)).potential;
    if (!model.progressive()) {
        if (!potential.there())
            throw InputError{fmt::format("'{}' holds no potentials of its {}; solve again", model.path,
                                         model.side(other(from)).name)};
        return {{.epsilon = model.epsilon,
                 .alpha = 1,
                 .g = read_rows(grid, Side::column, partition, {model.path, potential.key}, 1, potential.checksum)}};
    }
    CONVOY_EXPECT(from == Side::row);
    // A row holds all steps: each rank reads some rows, and the steps are put together one after the other.
    const std::vector<double> rows = read_stripe(grid, Side::column, partition, {model.path, model.steps.key},
                                                 model.steps.columns, model.steps.checksum);
    const auto count = static_cast<std::size_t>(model.steps.columns);
    std::vector<MapStep> steps;
    std::vector<double> one(rows.size() / count);
    for (std::size_t k = 0; k < count; ++k) {
        for (std::size_t j = 0; j < one.size(); ++j) one[j] = rows[j * count + k];
        steps.push_back({.epsilon = model.epsilons[k],
                         .alpha = model.alphas[k],
                         .g = join_stripes(grid, Side::column, partition, 1, one)});
    }
    return steps;
}

}  // namespace convoy::io
