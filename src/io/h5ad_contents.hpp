#pragma once
// What there is in an .h5ad file, for people.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace convoy::io {

// By its name.
bool is_h5ad(const std::string& path);

struct H5adContents {
    std::int64_t cells = 0, genes = 0;
    bool default_matrix = false;  // there is the one that is taken where none is named
    // Key and description: "obsm/X_pca", "1805 x 50, float32".
    std::vector<std::pair<std::string, std::string>> matrices;
    // Columns of obs: "day", "category; 10: 85, 10.5: 81, 11: 84". The names alone beyond some dozens.
    std::vector<std::pair<std::string, std::string>> columns;
};

// On one rank. \throws InputError
H5adContents contents_of_h5ad(const std::string& path);

}  // namespace convoy::io
