#pragma once
// Finding a dataset in an HDF5 file that nobody vouches for.

#include <cstdint>
#include <string>
#include <vector>

#include "io/hdf5_handles.hpp"
#include "io/reader.hpp"

namespace convoy::io {

// Opens the file, or says in an InputError what is wrong with it.
Hdf5 open_hdf5_input(const Location& location);

// The group or dataset at `path` below `from`, nothing if there is none. \throws InputError for links into other files
// and for damage
Hdf5 open_hdf5_object(const Location& location, hid_t from, const std::string& path);
// `object`, opened at `path`, is a dataset that lies in this file and can be decoded. \throws InputError
void expect_dataset_here(const Location& location, const std::string& path, hid_t object);
// Both; nothing if there is nothing, or something that is no dataset.
Hdf5 open_hdf5_dataset(const Location& location, hid_t from, const std::string& path);

struct NumericDataset {
    Hdf5 dataset;
    std::int64_t rows = 0, columns = 0;
    bool vector = false;
};

// The dataset `location.key`: a vector or matrix of numbers that lies in this file and can be decoded, or InputError.
NumericDataset open_numeric_dataset(const Location& location, hid_t file);

// Every group and dataset below the root, through hard links only; each group once at most some depth.
struct Hdf5Object {
    std::string path;  // without the leading '/'; empty: the root group
    bool dataset = false;
};
std::vector<Hdf5Object> objects_of(hid_t file, std::size_t most);
// Names of what is linked to in a group, sorted.
std::vector<std::string> names_in(hid_t group, bool hard_links_only);

// Extents as "(1000 x 50)", scalar: "(1)".
std::string extents_of(hid_t dataset);
// "float64", "int16", "string", ...
std::string type_name(hid_t type);

}  // namespace convoy::io
