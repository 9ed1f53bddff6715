#include "io/result_layout.hpp"

#include <fmt/format.h>

#include <set>

#include "io/features_layout.hpp"
#include "io/file_layout.hpp"
#include "io/hdf5_attributes.hpp"
#include "io/hdf5_handles.hpp"

namespace convoy::io {

namespace {

struct Layout : FileLayout {
    using FileLayout::FileLayout;

    // The groups above `path` that are not made yet.
    void groups_above(hid_t file, const std::string& path, std::set<std::string>& made) const {
        for (std::size_t end = path.find('/'); end != std::string::npos; end = path.find('/', end + 1)) {
            const std::string above = path.substr(0, end);
            if (made.insert(above).second) group(file, above);
        }
    }

    void history(hid_t file, const std::vector<HalfPass>& rows) const {
        const Hdf5 into = group(file, "history");
        integers(into.get(), "half_pass", rows, &HalfPass::number);
        doubles(into.get(), "epsilon", rows, &HalfPass::epsilon);
        doubles(into.get(), "marginal_error", rows, &HalfPass::marginal_error);
        doubles(into.get(), "seconds", rows, &HalfPass::seconds);
    }

    // Beside what is large there, which has made the group.
    void steps(hid_t file, const Result& result) const {
        const Hdf5 into{H5Gopen2(file, "steps", H5P_DEFAULT), H5Gclose};
        require(static_cast<bool>(into), "opening a group");
        attributes(into.get(), {{"steps", std::ssize(result.steps)}, {"schedule", result.schedule}});
        doubles(into.get(), "epsilon", result.steps, &ProgotStep::epsilon);
        doubles(into.get(), "alpha", result.steps, &ProgotStep::alpha);
        doubles(into.get(), "travelled", result.steps, &ProgotStep::travelled);
        doubles(into.get(), "tolerance", result.steps, &ProgotStep::tolerance);
        doubles(into.get(), "marginal_error", result.steps, &ProgotStep::marginal_error);
        doubles(into.get(), "transport_cost", result.steps, &ProgotStep::transport_cost);
        doubles(into.get(), "work", result.steps, &ProgotStep::work);
        doubles(into.get(), "seconds", result.steps, &ProgotStep::seconds);
        doubles(into.get(), "dropped", result.steps, &ProgotStep::dropped);
        integers(into.get(), "half_passes", result.steps, &ProgotStep::half_passes);
        std::vector<std::string> status;
        for (const ProgotStep& step : result.steps) status.push_back(name_of(step.status));
        texts(into.get(), "status", status);
    }
};

}  // namespace

std::vector<LargeDataset> large_datasets(const DistributedCloud& source, const DistributedCloud& target,
                                         const Result& result) {
    const std::int64_t n = source.partition.items(), m = target.partition.items();
    std::vector<LargeDataset> large{{"potentials/f", Side::row, n, 1, result.f, false},
                                    {"potentials/g", Side::column, m, 1, result.g, false},
                                    {"weights/a", Side::row, n, 1, source.local.weights, false},
                                    {"weights/b", Side::column, m, 1, target.local.weights, false}};
    const std::int64_t d = source.local.dimension;
    if (result.store_source) large.push_back({"source/points", Side::row, n, d, source.local.points, true});
    if (result.store_target) large.push_back({"target/points", Side::column, m, d, target.local.points, true});
    for (const ExtraDataset& one : result.datasets)
        large.push_back({one.path, one.side, one.side == Side::row ? n : m, one.width, one.values, one.matrix});
    if (result.steps.empty()) return large;
    large.push_back({"steps/g", Side::column, m, std::ssize(result.steps), result.steps_g, true});
    for (std::size_t k = 0; k < result.travelled_sources.size(); ++k)
        large.push_back({fmt::format("steps/source_{}", k + 2), Side::row, n, d, result.travelled_sources[k], true});
    return large;
}

std::int64_t bytes_needed(const Result& result, const std::vector<LargeDataset>& large) {
    std::int64_t bytes = std::int64_t{1} << 20;  // what HDF5 needs to keep its books, generously
    for (const LargeDataset& one : large) bytes += 8 * one.rows * one.width;
    bytes += static_cast<std::int64_t>(32 * result.history.size() + 256 * result.timing.size());
    bytes += static_cast<std::int64_t>(512 * (result.steps.size() + large.size()));
    for (const Attributes* list : {&result.root, &result.solution, &result.run}) bytes += bytes_of(*list);
    if (result.features) bytes += bytes_of(*result.features);
    for (const auto& group : result.groups) bytes += bytes_of(group.second);
    return bytes;
}

void lay_out_result(const std::string& out, const std::string& part, const Result& result,
                    const std::vector<LargeDataset>& large) {
    const Layout layout{out};
    Hdf5 file = layout.create(part, std::string{result_format}, result_format_version, result.root);

    std::set<std::string> made;
    for (const LargeDataset& one : large) {
        layout.groups_above(file.get(), one.path, made);
        std::vector<hsize_t> extents{static_cast<hsize_t>(one.rows)};
        if (one.matrix) extents.push_back(static_cast<hsize_t>(one.width));
        layout.large_dataset(file.get(), one.path, extents);
    }
    layout.attributes(layout.group(file.get(), "solution").get(), result.solution);
    layout.attributes(layout.group(file.get(), "run").get(), result.run);
    layout.group(file.get(), "inputs");
    layout.input(file.get(), "source", result.source_input);
    layout.input(file.get(), "target", result.target_input);
    if (result.features) write_features(layout, file.get(), *result.features);
    layout.history(file.get(), result.history);
    if (!result.steps.empty()) layout.steps(file.get(), result);
    layout.timing(file.get(), result.timing);
    for (const auto& [path, attributes] : result.groups) {
        layout.groups_above(file.get(), path + "/", made);
        const Hdf5 group{H5Gopen2(file.get(), path.c_str(), H5P_DEFAULT), H5Gclose};
        layout.attributes(group.get(), attributes);
    }
    layout.reserve_and_close(part, file);
}

void mark_complete(const std::string& out, const std::string& part, const std::vector<LargeDataset>& large,
                   const std::vector<std::uint32_t>& checksums) {
    const Layout layout{out};
    std::string error;
    Hdf5 file = open_hdf5_file(part, H5F_ACC_RDWR, error);
    layout.require(static_cast<bool>(file), "opening the part file again");
    for (std::size_t i = 0; i < large.size(); ++i) {
        const Hdf5 dataset{H5Dopen2(file.get(), large[i].path.c_str(), H5P_DEFAULT), H5Dclose};
        layout.require(dataset && set_mark(dataset.get(), "checksum", checksums[i]), "writing a checksum");
    }
    layout.require(set_mark(file.get(), "complete", 1), "marking the file complete");
    layout.require(file.close(), "closing the file");
}

}  // namespace convoy::io
