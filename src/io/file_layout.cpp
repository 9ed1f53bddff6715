#include "io/file_layout.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "convoy/error.hpp"
#include "io/hdf5_attributes.hpp"
#include "io/part_file.hpp"

namespace convoy::io {

void FileLayout::require(bool done, const char* what) const {
    if (done) return;
    throw FatalFailure{fmt::format("cannot write '{}': {} failed ({}); check the disk and its free space", out, what,
                                   hdf5_error("HDF5 gives no reason"))};
}

Hdf5 FileLayout::create(const std::string& part, const std::string& format, std::int64_t version,
                        const Attributes& root) const {
    const Hdf5 access = serial_access();
    const Hdf5 creation{H5Pcreate(H5P_FILE_CREATE), H5Pclose};
    keep_order(creation.get());
    Hdf5 file{H5Fcreate(part.c_str(), H5F_ACC_TRUNC, creation.get(), access.get()), H5Fclose};
    require(static_cast<bool>(file), "creating an HDF5 file");
    Attributes all{{"format", format}, {"format_version", version}};
    for (const auto& attribute : root)
        if (attribute.first != "format" && attribute.first != "format_version") all.push_back(attribute);
    attributes(file.get(), all);
    require(create_mark(file.get(), "complete", H5T_STD_U8LE), "writing an attribute");
    return file;
}

void FileLayout::reserve_and_close(const std::string& part, Hdf5& file) const {
    hsize_t length = 0;
    require(H5Fget_filesize(file.get(), &length) >= 0, "measuring the file");
    reserve_part_file(out, part, static_cast<std::int64_t>(length));
    require(file.close(), "closing the file");
}

Hdf5 FileLayout::group(hid_t file, const std::string& path) const {
    const Hdf5 creation{H5Pcreate(H5P_GROUP_CREATE), H5Pclose};
    keep_order(creation.get());
    Hdf5 group{H5Gcreate2(file, path.c_str(), H5P_DEFAULT, creation.get(), H5P_DEFAULT), H5Gclose};
    require(static_cast<bool>(group), "creating a group");
    return group;
}

void FileLayout::keep_order(hid_t creation) {
    H5Pset_attr_creation_order(creation, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
    H5Pset_attr_phase_change(creation, 60000, 0);
    H5Pset_obj_track_times(creation, false);
}

void FileLayout::attributes(hid_t object, const Attributes& list) const {
    for (const auto& [name, value] : list) require(write_attribute(object, name, value), "writing an attribute");
}

Hdf5 FileLayout::dataset(hid_t place, const std::string& path, hid_t type, const std::vector<hsize_t>& extents) const {
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

Hdf5 FileLayout::large_dataset(hid_t file, const std::string& path, const std::vector<hsize_t>& extents) const {
    Hdf5 made = dataset(file, path, H5T_IEEE_F64LE, extents);
    require(create_mark(made.get(), "checksum", H5T_STD_U32LE), "writing an attribute");
    return made;
}

void FileLayout::column(hid_t group, const std::string& name, hid_t file_type, hid_t memory_type, std::size_t rows,
                        const void* values) const {
    const Hdf5 made = dataset(group, name, file_type, {rows});
    if (rows > 0)
        require(H5Dwrite(made.get(), memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0, "writing a dataset");
}

void FileLayout::texts(hid_t group, const std::string& name, const std::vector<std::string>& values) const {
    const Hdf5 text = string_type();
    std::vector<const char*> pointers;
    for (const std::string& value : values) pointers.push_back(value.c_str());
    column(group, name, text.get(), text.get(), pointers.size(), pointers.data());
}

void FileLayout::timing(hid_t file, const std::vector<PhaseTiming>& rows) const {
    const Hdf5 into = group(file, "timing");
    std::vector<std::string> names;
    for (const PhaseTiming& row : rows) names.push_back(row.phase);
    texts(into.get(), "phase", names);
    doubles(into.get(), "min", rows, &PhaseTiming::min);
    doubles(into.get(), "mean", rows, &PhaseTiming::mean);
    doubles(into.get(), "max", rows, &PhaseTiming::max);
}

void FileLayout::input(hid_t file, const std::string& name, const InputIdentity& identity) const {
    const Hdf5 into = group(file, "inputs/" + name);
    const auto folder = std::filesystem::absolute(out).lexically_normal().parent_path();
    const auto relative = std::filesystem::path{identity.absolute_path}.lexically_relative(folder);
    attributes(into.get(), {{"path", identity.path},
                            {"absolute_path", identity.absolute_path},
                            {"relative_path", relative.string()},
                            {"key", identity.key},
                            {"rows", identity.rows},
                            {"columns", identity.columns},
                            {"transposed", std::int64_t{identity.prepare.transposed ? 1 : 0}},
                            {"chosen_columns", identity.prepare.columns},
                            {"image", identity.prepare.image},
                            {"grayscale", std::int64_t{identity.prepare.grayscale ? 1 : 0}},
                            {"scaling", identity.scaling},
                            {"blur", identity.prepare.blur},
                            {"dimension", identity.dimension},
                            {"checksum", std::int64_t{identity.checksum}},
                            {"weights_path", identity.weights_path},
                            {"weights_key", identity.weights_key},
                            {"weights_checksum", std::int64_t{identity.weights_checksum}},
                            {"where", identity.where},
                            {"file_rows", identity.file_rows},
                            {"rows_without_value", identity.rows_without_value}});
}

std::int64_t bytes_of(const Attributes& list) {
    std::int64_t bytes = 0;
    for (const auto& [name, value] : list) {
        const auto* text = std::get_if<std::string>(&value);
        bytes += static_cast<std::int64_t>(256 + name.size() + (text != nullptr ? text->size() : 0));
    }
    return bytes;
}

}  // namespace convoy::io
