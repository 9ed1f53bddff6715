#pragma once
// HDF5 files made for tests.

#include <hdf5.h>

#include <numeric>
#include <string>
#include <vector>

#include "io/hdf5_handles.hpp"

namespace convoy::io {

inline std::vector<double> counted(std::size_t count) {
    std::vector<double> values(count);
    std::iota(values.begin(), values.end(), 0.0);
    return values;
}

inline Hdf5 new_file(const std::string& path) {
    prepare_hdf5();
    return {H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose};
}

inline Hdf5 make_dataset(hid_t file, const std::string& path, hid_t type, const std::vector<hsize_t>& extents,
                         hid_t creation = H5P_DEFAULT) {
    const Hdf5 space{H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr), H5Sclose};
    return {H5Dcreate2(file, path.c_str(), type, space.get(), H5P_DEFAULT, creation, H5P_DEFAULT), H5Dclose};
}

inline void add_dataset(hid_t file, const std::string& path, hid_t type, const std::vector<hsize_t>& extents,
                        const std::vector<double>& values, hid_t creation = H5P_DEFAULT) {
    const Hdf5 dataset = make_dataset(file, path, type, extents, creation);
    if (!values.empty()) H5Dwrite(dataset.get(), H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
}

inline void add_group(hid_t file, const std::string& path) {
    Hdf5{H5Gcreate2(file, path.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose};
}

}  // namespace convoy::io
