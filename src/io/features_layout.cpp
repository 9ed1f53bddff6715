#include "io/features_layout.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "io/checksum.hpp"
#include "io/features_file.hpp"
#include "io/formats.hpp"
#include "io/hdf5_attributes.hpp"
#include "io/hdf5_dataset.hpp"
#include "io/input_error.hpp"
#include "io/number.hpp"
#include "io/result_open.hpp"

namespace convoy::io {

namespace {

[[noreturn]] void damaged(const Location& location, const std::string& problem) {
    refuse(location, problem, "", "the file is damaged: copy it again, or solve again");
}

void write_checked(const FileLayout& layout, hid_t group, const char* name, const std::vector<double>& values,
                   const std::vector<hsize_t>& extents) {
    const Hdf5 made = layout.dataset(group, name, H5T_IEEE_F64LE, extents);
    layout.require(H5Dwrite(made.get(), H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0 &&
                       create_mark(made.get(), "checksum", H5T_STD_U32LE) &&
                       set_mark(made.get(), "checksum", crc32c(values)),
                   "writing a dataset");
}

std::vector<double> read_checked(const Location& location, hid_t file, const char* name, std::int64_t rows,
                                 std::int64_t columns) {
    const Location place{location.path, std::string{"features/"} + name};
    const NumericDataset found = open_numeric_dataset(place, file);
    if (found.rows != rows || found.columns != columns)
        damaged(location, fmt::format("'{}' has {} x {} numbers, not {} x {}", place.key, found.rows, found.columns,
                                      rows, columns));
    std::vector<double> values(static_cast<std::size_t>(rows * columns));
    open_hdf5(place)->read(0, rows, values);
    if (crc32c(values) != checksum_of(location, found.dataset.get(), place.key) ||
        !std::ranges::all_of(values, [](double value) { return std::isfinite(value); }))
        damaged(location, fmt::format("the numbers of '{}' are not those that were written", place.key));
    return values;
}

}  // namespace

Attributes attributes_of(const Features& features) {
    const bool projected = !features.components.empty();
    return {{"dimension", features.inputs},
            {"standardized", std::int64_t{features.standardized ? 1 : 0}},
            {"components", projected ? features.outputs() : 0},
            {"method", features.method},
            {"variance", features.total_variance},
            {"captured", projected ? features.captured() : 1.0}};
}

std::int64_t bytes_of(const Features& features) {
    return 4096 + 8 * (std::ssize(features.components) + std::ssize(features.variances) + 2 * features.inputs);
}

std::uint32_t checksum_of(const Features& features) {
    return crc32c(features.components, crc32c(features.scale, crc32c(features.mean)));
}

void write_features(const FileLayout& layout, hid_t file, const Features& features) {
    const Hdf5 group = layout.group(file, "features");
    layout.attributes(group.get(), attributes_of(features));
    const auto d = static_cast<hsize_t>(features.inputs), k = static_cast<hsize_t>(features.variances.size());
    write_checked(layout, group.get(), "mean", features.mean, {d});
    write_checked(layout, group.get(), "scale", features.scale, {d});
    if (features.components.empty()) return;
    write_checked(layout, group.get(), "components", features.components, {k, d});
    write_checked(layout, group.get(), "variances", features.variances, {k});
}

std::optional<Features> read_features(const Location& location, hid_t file) {
    if (H5Lexists(file, "features", H5P_DEFAULT) <= 0) return std::nullopt;
    const Hdf5 group{H5Gopen2(file, "features", H5P_DEFAULT), H5Gclose};
    if (!group) damaged(location, "'features' cannot be opened");
    const auto number = [&](const char* name) {
        return parse_number(attribute_text(group.get(), name).value_or("")).value_or(-1);
    };
    const double d = number("dimension"), k = number("components");
    constexpr double most = 0x1p40;
    if (!(d >= 1 && d < most && k >= 0 && k <= d)) damaged(location, "'features' does not say its dimensions");
    Features features;
    features.inputs = static_cast<std::int64_t>(d);
    features.standardized = number("standardized") == 1;
    features.mean = read_checked(location, file, "mean", features.inputs, 1);
    features.scale = read_checked(location, file, "scale", features.inputs, 1);
    if (!std::ranges::all_of(features.scale, [](double scale) { return scale > 0; }))
        damaged(location, "a scale in 'features' is not positive");
    if (k == 0) return features;
    const auto rows = static_cast<std::int64_t>(k);
    features.total_variance = number("variance");
    features.method = attribute_text(group.get(), "method").value_or("");
    features.components = read_checked(location, file, "components", rows, features.inputs);
    features.variances = read_checked(location, file, "variances", rows, 1);
    return features;
}

std::optional<Features> read_features(const Communicator& world, const std::string& path) {
    const Location location{path, ""};
    std::optional<Features> features;
    agree(world, [&] {
        const Hdf5 file = open_complete_file(location, result_format, result_format_version);
        features = read_features(location, file.get());
    });
    return features;
}

}  // namespace convoy::io
