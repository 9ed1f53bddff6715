// Walking through a file and naming what is there.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "io/hdf5_dataset.hpp"

namespace convoy::io {

// Sorted here: the other orders, and asking for a name by its number, go through a table that HDF5 1.10 frees
// uninitialised in a damaged file. What follows the first damage stays unknown.
std::vector<std::string> names_in(hid_t group, bool hard_links_only) {
    struct Found {
        bool hard_links_only;
        std::vector<std::string> names;
    } found{hard_links_only, {}};
    const auto note = [](hid_t, const char* name, const H5L_info_t* link, void* into) -> herr_t {
        auto& names = *static_cast<Found*>(into);
        if (link->type == H5L_TYPE_HARD || !names.hard_links_only) names.names.emplace_back(name);
        return 0;
    };
    H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, nullptr, note, &found);
    std::ranges::sort(found.names);
    return std::move(found.names);
}

namespace {

constexpr int deepest = 12;  // groups may contain themselves

void walk(hid_t group, const std::string& path, int depth, std::size_t most, std::vector<Hdf5Object>& found) {
    if (depth > deepest) return;
    for (const std::string& name : names_in(group, true)) {
        if (found.size() >= most) return;
        const Hdf5 object{H5Oopen(group, name.c_str(), H5P_DEFAULT), H5Oclose};
        if (!object) continue;
        const H5I_type_t type = H5Iget_type(object.get());
        const std::string full = path.empty() ? name : path + "/" + name;
        if (type == H5I_DATASET || type == H5I_GROUP) found.push_back({full, type == H5I_DATASET});
        if (type == H5I_GROUP) walk(object.get(), full, depth + 1, most, found);
    }
}

}  // namespace

std::vector<Hdf5Object> objects_of(hid_t file, std::size_t most) {
    std::vector<Hdf5Object> found;
    walk(file, "", 0, most, found);
    return found;
}

std::string extents_of(hid_t dataset) {
    const Hdf5 creation{H5Dget_create_plist(dataset), H5Pclose};
    if (H5Pget_layout(creation.get()) == H5D_VIRTUAL) return "(virtual)";  // its extents depend on other files
    const Hdf5 space{H5Dget_space(dataset), H5Sclose};
    std::array<hsize_t, H5S_MAX_RANK> extents{};
    const int dimensions = H5Sget_simple_extent_dims(space.get(), extents.data(), nullptr);
    if (dimensions <= 0) return "(1)";
    return fmt::format("({})", fmt::join(extents.begin(), extents.begin() + dimensions, " x "));
}

std::string type_name(hid_t type) {
    const std::size_t bits = 8 * H5Tget_size(type);
    switch (H5Tget_class(type)) {
        case H5T_FLOAT:
            return fmt::format("float{}", bits);
        case H5T_INTEGER:
            return fmt::format("{}int{}", H5Tget_sign(type) == H5T_SGN_NONE ? "u" : "", bits);
        case H5T_STRING:
            return "string";
        case H5T_COMPOUND:
            return "compound";
        case H5T_ENUM:
            return "enum or boolean";
        case H5T_REFERENCE:
            return "reference";
        case H5T_VLEN:
            return "variable length";
        case H5T_ARRAY:
            return "array";
        case H5T_BITFIELD:
            return "bit field";
        case H5T_OPAQUE:
            return "opaque";
        default:
            return "unknown";
    }
}

}  // namespace convoy::io
