#pragma once
// What was done with both clouds of a result before it was solved, beside the potentials:
//
//     /features            attributes: dimension (d), standardized, components (k; 0: none), method, variance (of all d
//                          scaled numbers), captured (share of it that the components hold)
//       mean scale         fp64 (d)         z = components ((x - mean) / scale); attribute checksum each
//       components         fp64 (k x d)     rows are unit vectors, the most important first
//       variances          fp64 (k)

#include <optional>

#include "convoy/features.hpp"
#include "io/file_layout.hpp"

namespace convoy::io {

Attributes attributes_of(const Features& features);
std::int64_t bytes_of(const Features& features);
void write_features(const FileLayout& layout, hid_t file, const Features& features);
// Nothing if the file has none. \throws InputError where they are damaged
std::optional<Features> read_features(const Location& location, hid_t file);

}  // namespace convoy::io
