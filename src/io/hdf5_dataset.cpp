#include "io/hdf5_dataset.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <limits>

#include "io/hdf5_chunks.hpp"
#include "io/input_error.hpp"

namespace convoy::io {

namespace {

constexpr std::size_t most_objects = 2000;
constexpr std::size_t most_listed = 12;

bool is_numeric(hid_t dataset) {
    const Hdf5 type{H5Dget_type(dataset), H5Tclose};
    const H5T_class_t kind = H5Tget_class(type.get());
    return kind == H5T_INTEGER || kind == H5T_FLOAT;
}

// The pieces of a sparse matrix in AnnData's layout.
bool is_piece_of_sparse_matrix(const std::string& path) {
    return path.ends_with("/data") || path.ends_with("/indices") || path.ends_with("/indptr");
}

// What one might have meant: "its numeric datasets: obsm/X_pca (1000 x 30), w (1000)", matrices first.
struct Choices {
    std::string list;
    std::string remedy;
};
Choices numeric_datasets(const Location& location, hid_t file) {
    std::vector<std::string> matrices, others;
    for (const Hdf5Object& object : objects_of(file, most_objects)) {
        if (!object.dataset || is_piece_of_sparse_matrix(object.path)) continue;
        const Hdf5 dataset{H5Dopen2(file, object.path.c_str(), H5P_DEFAULT), H5Dclose};
        if (!dataset || !is_numeric(dataset.get())) continue;
        const std::string extents = extents_of(dataset.get());
        auto& list = std::ranges::count(extents, 'x') == 1 ? matrices : others;
        list.push_back(fmt::format("{} {}", object.path, extents));
    }
    if (matrices.empty() && others.empty()) return {"it has no dense numeric datasets", "give a file that has points"};
    const std::string first = matrices.empty() ? others.front() : matrices.front();
    matrices.insert(matrices.end(), others.begin(), others.end());
    if (matrices.size() > most_listed) {
        matrices.resize(most_listed);
        matrices.emplace_back("...");
    }
    return {fmt::format("its numeric datasets: {}", fmt::join(matrices, ", ")),
            fmt::format("name one, like: {}#{}", location.path, first.substr(0, first.rfind(" (")))};
}

std::string see_check(const Location& location) {
    return fmt::format("pick another dataset, see: convoy check {}", location.name());
}

// Does the file say, without an error, that the object is not there? H5Lexists fails where a group on the way is
// missing, so the way is gone step by step.
bool is_missing(hid_t from, const std::string& path) {
    for (auto end = path.find('/', 1);; end = path.find('/', end + 1)) {
        const std::string step = path.substr(0, end);
        const htri_t exists = H5Lexists(from, step.c_str(), H5P_DEFAULT);
        if (exists <= 0) return exists == 0;
        H5L_info_t link;
        const Hdf5 object{H5Oopen(from, step.c_str(), H5P_DEFAULT), H5Oclose};
        if (!object) return H5Lget_info(from, step.c_str(), &link, H5P_DEFAULT) >= 0 && link.type != H5L_TYPE_HARD;
        if (end == std::string::npos || H5Iget_type(object.get()) != H5I_GROUP) return true;
    }
}

// The dataset that a location names, or what might have been meant.
Hdf5 open_named(const Location& location, hid_t file) {
    Hdf5 object = open_hdf5_object(location, file, location.key);
    const H5I_type_t type = object ? H5Iget_type(object.get()) : H5I_BADID;
    if (type == H5I_DATASET) return object;
    const bool sparse = type == H5I_GROUP && H5Lexists(object.get(), "indptr", H5P_DEFAULT) > 0 &&
                        H5Lexists(object.get(), "indices", H5P_DEFAULT) > 0;
    const auto [list, remedy] = numeric_datasets(location, file);
    if (sparse)
        refuse(location, fmt::format("'{}' is a sparse matrix", location.key),
               "need a dense one, or a file whose name ends in .h5ad; " + list, remedy);
    if (object) refuse(location, fmt::format("'{}' is a group, not a dataset", location.key), list, remedy);
    refuse(location, fmt::format("it has no dataset '{}'", location.key), list, remedy);
}

std::string filter_name(H5Z_filter_t id, const std::array<char, 64>& stored) {
    struct Known {
        H5Z_filter_t id;
        const char* name;
    };
    static constexpr std::array known{Known{H5Z_FILTER_NBIT, "n-bit"}, Known{H5Z_FILTER_SCALEOFFSET, "scale-offset"},
                                      Known{H5Z_FILTER_SZIP, "szip"},  Known{32000, "lzf"},
                                      Known{32001, "blosc"},           Known{32004, "lz4"},
                                      Known{32008, "bitshuffle"},      Known{32015, "zstd"},
                                      Known{32026, "blosc2"}};
    for (const Known& filter : known)
        if (filter.id == id) return filter.name;
    return stored[0] != '\0' ? stored.data() : "without a name";
}

// Filters whose code in HDF5 takes from the file how long things are.
bool is_doubtful(H5Z_filter_t id) {
    return id == H5Z_FILTER_NBIT || id == H5Z_FILTER_SCALEOFFSET || id == H5Z_FILTER_SZIP;
}

void expect_known_filters(const Location& location, const std::string& name, hid_t creation) {
    if (ChunkDecoder::of(creation)) return;
    const int filters = H5Pget_nfilters(creation);
    for (unsigned i = 0; filters > 0 && i < static_cast<unsigned>(filters); ++i) {
        unsigned flags = 0, config = 0;
        std::size_t values = 0;
        std::array<char, 64> stored{};
        const H5Z_filter_t id =
            H5Pget_filter2(creation, i, &flags, &values, nullptr, stored.size() - 1, stored.data(), &config);
        if (id >= 0 && is_doubtful(id))
            refuse(location, fmt::format("{} is packed by filter {}", name, filter_name(id, stored)),
                   "gzip, LZF, shuffle and Fletcher's checksum are read", "copy it: h5repack -f GZIP=4 OLD NEW");
        if (id < 0 || H5Zfilter_avail(id) <= 0)
            refuse(location, fmt::format("{} is packed by filter {}", name, filter_name(id, stored)),
                   fmt::format("number {}, not known to this HDF5", id),
                   "write it again with gzip, or let HDF5_PLUGIN_PATH name the folder of the filter's plugin");
    }
}

void expect_numbers(const Location& location, hid_t dataset) {
    if (is_numeric(dataset)) return;
    const Hdf5 type{H5Dget_type(dataset), H5Tclose};
    refuse(location, fmt::format("dataset '{}' holds no numbers", location.key),
           fmt::format("its type is {}", type_name(type.get())), see_check(location));
}

}  // namespace

Hdf5 open_hdf5_object(const Location& location, hid_t from, const std::string& path) {
    link_out_was_met();
    Hdf5 object{H5Oopen(from, path.c_str(), H5P_DEFAULT), H5Oclose};
    const bool missing = !object && is_missing(from, path);
    if (link_out_was_met())
        refuse(location, fmt::format("'{}' is a link into another file", path), "such links are not followed",
               "name that file itself");
    // A damaged file is not searched for what might have been meant: HDF5 may not survive it.
    if (!object && !missing)
        refuse(location, "the HDF5 file is damaged", fmt::format("'{}' cannot be opened", path),
               "copy or write it again");
    return object;
}

void expect_dataset_here(const Location& location, const std::string& path, hid_t object) {
    const std::string name = fmt::format("dataset '{}'", path);
    const Hdf5 creation{H5Dget_create_plist(object), H5Pclose};
    const H5D_layout_t layout = H5Pget_layout(creation.get());
    if (layout == H5D_VIRTUAL)
        refuse(location, name + " is virtual", "its data lie in other files", "name these, or copy it: h5repack");
    if (layout != H5D_CONTIGUOUS && layout != H5D_CHUNKED && layout != H5D_COMPACT)
        refuse(location, name + " has a layout that is not known", "", "copy it: h5repack");
    if (H5Pget_external_count(creation.get()) != 0)
        refuse(location, name + " has external storage", "its data lie in other files", "copy it: h5repack");
    expect_known_filters(location, name, creation.get());
}

Hdf5 open_hdf5_dataset(const Location& location, hid_t from, const std::string& path) {
    Hdf5 object = open_hdf5_object(location, from, path);
    if (!object || H5Iget_type(object.get()) != H5I_DATASET) return {};
    expect_dataset_here(location, path, object.get());
    return object;
}

Hdf5 open_hdf5_input(const Location& location) {
    prepare_hdf5();
    const htri_t is_hdf5 = H5Fis_hdf5(location.path.c_str());
    if (is_hdf5 <= 0)
        refuse(location, "it is no HDF5 file", "its signature is missing: another format, or damaged",
               "check the path, or copy it again");
    std::string error;
    Hdf5 file = open_hdf5_file(location.path, H5F_ACC_RDONLY, error);
    if (!file) refuse(location, "the HDF5 file is damaged or truncated", error, "copy or write it again");
    return file;
}

NumericDataset open_numeric_dataset(const Location& location, hid_t file) {
    if (location.key.empty()) {
        const auto [list, remedy] = numeric_datasets(location, file);
        refuse(location, "no dataset is named", list, remedy);
    }
    NumericDataset found;
    found.dataset = open_named(location, file);
    const hid_t dataset = found.dataset.get();
    expect_numbers(location, dataset);

    // First: asking a virtual dataset for its extents opens other files.
    expect_dataset_here(location, location.key, dataset);

    const Hdf5 space{H5Dget_space(dataset), H5Sclose};
    std::array<hsize_t, H5S_MAX_RANK> extents{};
    const int dimensions = H5Sget_simple_extent_ndims(space.get());
    if (dimensions != 1 && dimensions != 2)
        refuse(location, fmt::format("dataset '{}' has {} dimensions", location.key, dimensions),
               "need 2: points x features", see_check(location));
    H5Sget_simple_extent_dims(space.get(), extents.data(), nullptr);
    if (dimensions == 1) extents[1] = 1;
    if (extents[0] == 0 || extents[1] == 0)
        refuse(location, fmt::format("dataset '{}' is empty", location.key),
               fmt::format("{} x {}", extents[0], extents[1]), see_check(location));
    constexpr auto largest = static_cast<hsize_t>(std::numeric_limits<std::int64_t>::max() / 16);
    if (extents[0] > largest / extents[1])
        refuse(location, fmt::format("dataset '{}' is too large", location.key),
               fmt::format("{} x {}", extents[0], extents[1]), "the file seems damaged: copy or write it again");
    if (H5Dget_storage_size(dataset) == 0)
        refuse(location, fmt::format("dataset '{}' was never written", location.key), "it has no data in the file",
               see_check(location));

    found.rows = static_cast<std::int64_t>(extents[0]);
    found.columns = static_cast<std::int64_t>(extents[1]);
    found.vector = dimensions == 1;
    return found;
}

}  // namespace convoy::io
