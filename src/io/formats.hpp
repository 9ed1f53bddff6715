#pragma once
// The formats that can be read. Each takes the whole location, checks shape and type, and throws InputError.

#include <memory>

#include "io/reader.hpp"

namespace convoy::io {

std::unique_ptr<Reader> open_hdf5(const Location& location);   // .h5 and its relatives; key: path of the dataset
std::unique_ptr<Reader> open_h5ad(const Location& location);   // AnnData's .h5ad; key: see h5ad.hpp
std::unique_ptr<Reader> open_npy(const Location& location);    // NumPy's .npy; no key
std::unique_ptr<Reader> open_table(const Location& location);  // text, perhaps gzipped; key: columns

}  // namespace convoy::io
