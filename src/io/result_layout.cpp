#include "io/result_layout.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <set>

#include "convoy/error.hpp"
#include "io/hdf5_attributes.hpp"
#include "io/hdf5_handles.hpp"
#include "io/part_file.hpp"

namespace convoy::io {

namespace {

// HDF5's calls fail here only when the disk does.
struct Layout {
    const std::string& out;

    void require(bool done, const char* what) const {
        if (done) return;
        throw FatalFailure{fmt::format("cannot write '{}': {} failed ({}); check the disk and its free space", out,
                                       what, hdf5_error("HDF5 gives no reason"))};
    }

    Hdf5 group(hid_t file, const std::string& path) const {
        const Hdf5 creation{H5Pcreate(H5P_GROUP_CREATE), H5Pclose};
        keep_order(creation.get());
        Hdf5 group{H5Gcreate2(file, path.c_str(), H5P_DEFAULT, creation.get(), H5P_DEFAULT), H5Gclose};
        require(static_cast<bool>(group), "creating a group");
        return group;
    }

    // The groups above `path` that are not made yet.
    void groups_above(hid_t file, const std::string& path, std::set<std::string>& made) const {
        for (std::size_t end = path.find('/'); end != std::string::npos; end = path.find('/', end + 1)) {
            const std::string above = path.substr(0, end);
            if (made.insert(above).second) group(file, above);
        }
    }

    // Attributes in the order of their creation and beside their object, however many; no times: the same run gives
    // the same bytes.
    static void keep_order(hid_t creation) {
        H5Pset_attr_creation_order(creation, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
        H5Pset_attr_phase_change(creation, 60000, 0);
        H5Pset_obj_track_times(creation, false);
    }

    void attributes(hid_t object, const Attributes& list) const {
        for (const auto& [name, value] : list) require(write_attribute(object, name, value), "writing an attribute");
    }

    Hdf5 dataset(hid_t place, const std::string& path, hid_t type, const std::vector<hsize_t>& extents) const {
        const Hdf5 creation{H5Pcreate(H5P_DATASET_CREATE), H5Pclose};
        H5Pset_layout(creation.get(), H5D_CONTIGUOUS);
        H5Pset_alloc_time(creation.get(), H5D_ALLOC_TIME_EARLY);
        H5Pset_obj_track_times(creation.get(), false);
        // Strings are references into the file: those must not begin as garbage.
        if (H5Tget_class(type) != H5T_STRING) H5Pset_fill_time(creation.get(), H5D_FILL_TIME_NEVER);
        const Hdf5 space{H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr), H5Sclose};
        Hdf5 dataset{H5Dcreate2(place, path.c_str(), type, space.get(), H5P_DEFAULT, creation.get(), H5P_DEFAULT),
                     H5Dclose};
        require(static_cast<bool>(dataset), "creating a dataset");
        return dataset;
    }

    void column(hid_t group, const std::string& name, hid_t file_type, hid_t memory_type, std::size_t rows,
                const void* values) const {
        const Hdf5 made = dataset(group, name, file_type, {rows});
        if (rows > 0)
            require(H5Dwrite(made.get(), memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0, "writing a dataset");
    }
    template <class Rows, class Member>
    void integers(hid_t group, const std::string& name, const Rows& rows, Member member) const {
        std::vector<std::int64_t> values;
        for (const auto& row : rows) values.push_back(row.*member);
        column(group, name, H5T_STD_I64LE, H5T_NATIVE_INT64, values.size(), values.data());
    }
    void texts(hid_t group, const std::string& name, const std::vector<std::string>& values) const {
        const Hdf5 text = string_type();
        std::vector<const char*> pointers;
        for (const std::string& value : values) pointers.push_back(value.c_str());
        column(group, name, text.get(), text.get(), pointers.size(), pointers.data());
    }
    template <class Rows, class Member>
    void doubles(hid_t group, const std::string& name, const Rows& rows, Member member) const {
        std::vector<double> values;
        for (const auto& row : rows) values.push_back(row.*member);
        column(group, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, values.size(), values.data());
    }

    void history(hid_t file, const std::vector<HalfPass>& rows) const {
        const Hdf5 into = group(file, "history");
        integers(into.get(), "half_pass", rows, &HalfPass::number);
        doubles(into.get(), "epsilon", rows, &HalfPass::epsilon);
        doubles(into.get(), "marginal_error", rows, &HalfPass::marginal_error);
        doubles(into.get(), "seconds", rows, &HalfPass::seconds);
    }

    void timing(hid_t file, const std::vector<PhaseTiming>& rows) const {
        const Hdf5 into = group(file, "timing");
        std::vector<std::string> names;
        for (const PhaseTiming& row : rows) names.push_back(row.phase);
        texts(into.get(), "phase", names);
        doubles(into.get(), "min", rows, &PhaseTiming::min);
        doubles(into.get(), "mean", rows, &PhaseTiming::mean);
        doubles(into.get(), "max", rows, &PhaseTiming::max);
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

    void input(hid_t file, const std::string& name, const InputIdentity& identity) const {
        const Hdf5 into = group(file, "inputs/" + name);
        const auto folder = std::filesystem::absolute(out).lexically_normal().parent_path();
        const auto relative = std::filesystem::path{identity.absolute_path}.lexically_relative(folder);
        attributes(into.get(), {{"path", identity.path},
                                {"absolute_path", identity.absolute_path},
                                {"relative_path", relative.string()},
                                {"key", identity.key},
                                {"rows", identity.rows},
                                {"columns", identity.columns},
                                {"scaling", identity.scaling},
                                {"checksum", std::int64_t{identity.checksum}},
                                {"weights_path", identity.weights_path},
                                {"weights_key", identity.weights_key},
                                {"weights_checksum", std::int64_t{identity.weights_checksum}}});
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
    return large;
}

std::int64_t bytes_needed(const Result& result, const std::vector<LargeDataset>& large) {
    std::int64_t bytes = std::int64_t{1} << 20;  // what HDF5 needs to keep its books, generously
    for (const LargeDataset& one : large) bytes += 8 * one.rows * one.width;
    bytes += static_cast<std::int64_t>(32 * result.history.size() + 256 * result.timing.size());
    bytes += static_cast<std::int64_t>(512 * (result.steps.size() + large.size()));
    std::vector<const Attributes*> lists{&result.root, &result.solution, &result.run};
    for (const auto& group : result.groups) lists.push_back(&group.second);
    for (const Attributes* list : lists)
        for (const auto& [name, value] : *list) {
            const auto* text = std::get_if<std::string>(&value);
            bytes += static_cast<std::int64_t>(256 + name.size() + (text != nullptr ? text->size() : 0));
        }
    return bytes;
}

void lay_out_result(const std::string& out, const std::string& part, const Result& result,
                    const std::vector<LargeDataset>& large) {
    const Layout layout{out};
    const Hdf5 access = serial_access();
    const Hdf5 creation{H5Pcreate(H5P_FILE_CREATE), H5Pclose};
    Layout::keep_order(creation.get());
    Hdf5 file{H5Fcreate(part.c_str(), H5F_ACC_TRUNC, creation.get(), access.get()), H5Fclose};
    layout.require(static_cast<bool>(file), "creating an HDF5 file");

    Attributes root{{"format", std::string{result_format}}, {"format_version", result_format_version}};
    for (const auto& attribute : result.root)
        if (attribute.first != "format" && attribute.first != "format_version") root.push_back(attribute);
    layout.attributes(file.get(), root);
    layout.require(create_mark(file.get(), "complete", H5T_STD_U8LE), "writing an attribute");

    std::set<std::string> made;
    for (const LargeDataset& one : large) {
        layout.groups_above(file.get(), one.path, made);
        std::vector<hsize_t> extents{static_cast<hsize_t>(one.rows)};
        if (one.matrix) extents.push_back(static_cast<hsize_t>(one.width));
        const Hdf5 dataset = layout.dataset(file.get(), one.path, H5T_IEEE_F64LE, extents);
        layout.require(create_mark(dataset.get(), "checksum", H5T_STD_U32LE), "writing an attribute");
    }
    layout.attributes(layout.group(file.get(), "solution").get(), result.solution);
    layout.attributes(layout.group(file.get(), "run").get(), result.run);
    layout.group(file.get(), "inputs");
    layout.input(file.get(), "source", result.source_input);
    layout.input(file.get(), "target", result.target_input);
    layout.history(file.get(), result.history);
    if (!result.steps.empty()) layout.steps(file.get(), result);
    layout.timing(file.get(), result.timing);
    for (const auto& [path, attributes] : result.groups) {
        layout.groups_above(file.get(), path + "/", made);
        const Hdf5 group{H5Gopen2(file.get(), path.c_str(), H5P_DEFAULT), H5Gclose};
        layout.attributes(group.get(), attributes);
    }

    // While HDF5 has written little yet: it must not learn of a full disk when it closes the file.
    hsize_t length = 0;
    layout.require(H5Fget_filesize(file.get(), &length) >= 0, "measuring the file");
    reserve_part_file(out, part, static_cast<std::int64_t>(length));
    layout.require(file.close(), "closing the file");
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
