// What a model says of itself, looked at once.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "convoy/error.hpp"
#include "io/features_layout.hpp"
#include "io/formats.hpp"
#include "io/hdf5_attributes.hpp"
#include "io/hdf5_dataset.hpp"
#include "io/input_error.hpp"
#include "io/model.hpp"
#include "io/number.hpp"
#include "io/result.hpp"
#include "io/result_open.hpp"

namespace convoy::io {

namespace {

// The file while it is looked at.
struct Look {
    const Location& location;
    hid_t file;

    [[noreturn]] void damaged(const std::string& problem, const std::string& why = {}) const {
        refuse(location, problem, why, "the file is damaged: copy it again, or solve again");
    }

    bool has(const std::string& path) const {
        const auto slash = path.find('/');
        return (slash == std::string::npos || H5Lexists(file, path.substr(0, slash).c_str(), H5P_DEFAULT) > 0) &&
               H5Lexists(file, path.c_str(), H5P_DEFAULT) > 0;
    }

    StoredRows rows(const std::string& path) const {
        const NumericDataset found = open_numeric_dataset({location.path, path}, file);
        return {path, found.rows, found.columns, checksum_of(location, found.dataset.get(), path)};
    }
    StoredRows rows_if_there(const std::string& path) const { return has(path) ? rows(path) : StoredRows{}; }

    std::string text(const std::string& group, const std::string& name) const {
        const Hdf5 object{H5Oopen(file, group.c_str(), H5P_DEFAULT), H5Oclose};
        return object ? attribute_text(object.get(), name).value_or("") : std::string{};
    }
    double number(const std::string& group, const std::string& name, double otherwise) const {
        return parse_number(text(group, name)).value_or(otherwise);
    }
    std::int64_t count(const std::string& group, const std::string& name) const {
        const double value = number(group, name, 0);
        return value > 0 && value < 9e15 ? static_cast<std::int64_t>(value) : 0;
    }

    std::vector<double> vector(const std::string& path) const {
        const auto reader = open_hdf5({location.path, path});
        if (reader->columns() != 1 || reader->rows() > 100000) damaged(fmt::format("'{}' is no list of steps", path));
        std::vector<double> values(static_cast<std::size_t>(reader->rows()));
        reader->read(0, reader->rows(), values);
        return values;
    }

    ModelSide side(const char* name, const char* potential, const char* weights) const {
        ModelSide side;
        side.name = name;
        side.potential = rows_if_there(potential);
        side.weights = rows_if_there(weights);
        side.points = rows_if_there(std::string{name} + "/points");
        const std::string group = std::string{"inputs/"} + name;
        if (!has(group)) return side;
        side.input.path = text(group, "path");
        side.input.absolute_path = text(group, "absolute_path");
        side.relative_input = text(group, "relative_path");
        side.input.key = text(group, "key");
        side.input.rows = count(group, "rows");
        side.input.columns = count(group, "columns");
        side.input.scaling = text(group, "scaling");
        side.input.prepare = {.transposed = count(group, "transposed") == 1,
                              .columns = text(group, "chosen_columns"),
                              .image = text(group, "image"),
                              .grayscale = count(group, "grayscale") == 1,
                              .blur = number(group, "blur", 0)};
        side.input.dimension = count(group, "dimension");
        if (side.input.dimension == 0) side.input.dimension = side.input.columns;  // of an earlier version
        side.input.where = text(group, "where");
        side.input.checksum = static_cast<std::uint32_t>(count(group, "checksum"));
        if (side.input.scaling.empty()) side.input.scaling.assign(1, '1');
        return side;
    }
};

void read_schedule(const Look& look, Model& model) {
    model.steps = look.rows("steps/g");
    model.epsilons = look.vector("steps/epsilon");
    model.alphas = look.vector("steps/alpha");
    const auto steps = static_cast<std::size_t>(model.steps.columns);
    if (model.epsilons.size() != steps || model.alphas.size() != steps)
        look.damaged(fmt::format("its steps contradict each other ({} epsilons, {} alphas, {} columns of g)",
                                 model.epsilons.size(), model.alphas.size(), steps));
    for (std::size_t k = 0; k < steps; ++k)
        if (!(model.epsilons[k] > 0) || !std::isfinite(model.epsilons[k]) || !(model.alphas[k] > 0) ||
            !(model.alphas[k] <= 1))
            look.damaged(fmt::format("step {} has epsilon {} and alpha {}", k + 1, model.epsilons[k], model.alphas[k]));
    if (!model.target.points.there()) look.damaged("it has steps and no 'target/points'", "a model holds its target");
}

// Everything that is stored of one cloud has as many rows, and all points have one dimension.
void expect_agreement(const Look& look, const Model& model, Side side) {
    const ModelSide& one = model.side(side);
    const StoredRows& most = one.weights;
    for (const StoredRows* rows : {&one.potential, &one.points, side == Side::column ? &model.steps : &one.points})
        if (rows->there() && most.there() && rows->rows != most.rows)
            look.damaged(fmt::format("'{}' has {} rows and '{}' {}", rows->key, rows->rows, most.key, most.rows));
    for (const StoredRows* numbers : {&one.potential, &one.weights})
        if (numbers->there() && numbers->columns != 1)
            look.damaged(fmt::format("'{}' has {} columns", numbers->key, numbers->columns), "need a number a point");
    const auto expect_columns = [&](std::int64_t columns, std::int64_t others) {
        if (columns > 0 && columns != others)
            look.damaged(fmt::format("its {} has {} columns, other points of it {}", one.name, columns, others));
    };
    expect_columns(one.points.columns, model.dimension());
    expect_columns(one.input.dimension, model.inputs());
    if (one.input.rows > 0 && most.there() && one.input.rows != most.rows)
        look.damaged(
            fmt::format("its {} had {} points and '{}' has {}", one.name, one.input.rows, most.key, most.rows));
}

Model look_at(const Location& location) {
    const Hdf5 file = open_complete_file(location, result_format, result_format_version);
    const Look look{location, file.get()};
    Model model;
    model.path = location.path;
    model.command = attribute_text(file.get(), "command").value_or("");
    model.status = attribute_text(file.get(), "status").value_or("");
    const std::string cost = look.text("solution", "cost");
    try {
        model.cost = Cost::parse(cost);
    } catch (const InputError&) {
        look.damaged(fmt::format("it does not say its cost ('{}')", cost), "attribute of 'solution'");
    }
    model.epsilon = look.number("solution", "epsilon", 0);
    model.tolerance = look.number("solution", "tolerance", 0);
    model.source = look.side("source", "potentials/f", "weights/a");
    model.target = look.side("target", "potentials/g", "weights/b");
    model.features = read_features(location, file.get());
    if (look.has("steps")) {
        read_schedule(look, model);
    } else if (!(model.epsilon > 0) || !std::isfinite(model.epsilon)) {
        look.damaged("it does not say its epsilon", "attribute of 'solution'");
    }
    if (!model.target.weights.there()) look.damaged("it has no 'weights/b'", "the masses of its target");
    expect_agreement(look, model, Side::row);
    expect_agreement(look, model, Side::column);
    if (model.dimension() == 0)
        look.damaged("it does not say how many dimensions its points have", "attribute 'columns' of its inputs");
    return model;
}

}  // namespace

std::int64_t Model::points(Side of) const {
    const ModelSide& one = side(of);
    return one.weights.there() ? one.weights.rows : one.input.rows;
}

std::int64_t Model::dimension() const {
    if (features) return features->outputs();
    for (const ModelSide* side : {&target, &source}) {
        if (side->points.there()) return side->points.columns;
        if (side->input.dimension > 0) return side->input.dimension;
    }
    return 0;
}

Model open_model(const Communicator& world, const std::string& path) {
    const Location location{path, ""};
    Model model;
    // The root first: a file that breaks a reader then breaks it on one rank.
    agree(world, [&] {
        if (world.is_root()) model = look_at(location);
    });
    agree(world, [&] {
        if (!world.is_root()) model = look_at(location);
    });
    return model;
}

}  // namespace convoy::io
