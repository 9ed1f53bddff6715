// Walking through a file and naming what is there.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "io/hdf5_dataset.hpp"

namespace convoy::io {

namespace {

constexpr int deepest = 12;  // groups may contain themselves

void walk(hid_t group, const std::string& path, int depth, std::size_t most, std::vector<Hdf5Object>& found) {
    H5G_info_t info;
    if (depth > deepest || H5Gget_info(group, &info) < 0) return;
    for (hsize_t i = 0; i < info.nlinks && found.size() < most; ++i) {
        std::array<char, 1024> name{};
        if (H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, name.data(), name.size(), H5P_DEFAULT) < 0)
            continue;
        H5L_info_t link;
        if (H5Lget_info(group, name.data(), &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD) continue;
        const Hdf5 object{H5Oopen(group, name.data(), H5P_DEFAULT), H5Oclose};
        if (!object) continue;
        const H5I_type_t type = H5Iget_type(object.get());
        const std::string full = path.empty() ? name.data() : path + "/" + name.data();
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
