#pragma once
// The formats that can be read. Each takes the whole location, checks shape and type, and throws InputError.

#include <memory>

#include "io/reader.hpp"

namespace convoy::io {

std::unique_ptr<Reader> open_hdf5(const Location& location);         // .h5 and its relatives; key: path of the dataset
std::unique_ptr<Reader> open_h5ad(const Location& location);         // AnnData's .h5ad; key: see h5ad.hpp
std::unique_ptr<Reader> open_npy(const Location& location);          // NumPy's .npy; no key
std::unique_ptr<Reader> open_npz(const Location& location);          // NumPy's .npz; key: name of the array
std::unique_ptr<Reader> open_table(const Location& location);        // text, perhaps gzipped; key: columns
std::unique_ptr<Reader> open_idx(const Location& location);          // MNIST's, perhaps gzipped; no key
std::unique_ptr<Reader> open_cifar(const Location& location);        // CIFAR-10 in binary; key: images or labels
std::unique_ptr<Reader> open_safetensors(const Location& location);  // key: name of the tensor
std::unique_ptr<Reader> open_raw(const Location& location);          // no header; key: type and shape
std::unique_ptr<Reader> open_binary(const Location& location);       // .bin: CIFAR-10, or raw where the key says what

}  // namespace convoy::io
