#pragma once
// What the points of an input are called: the cells of an .h5ad file, its genes, and what its table says of each cell.
// Read on demand, in stripes, by whichever rank needs them.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "convoy/communicator.hpp"
#include "io/reader.hpp"

namespace convoy::io {

class PointNames {
 public:
    PointNames(PointNames&&) noexcept;
    PointNames& operator=(PointNames&&) noexcept;
    ~PointNames();

    // Of the points that `input` has, those of its conditions only. Nothing where its file names none: other formats,
    // or a matrix whose rows are no cells. \throws InputError. Collective.
    static std::optional<PointNames> open(const Communicator& world, const InputOptions& input);

    std::int64_t points() const;
    // Names of points [first, first + count). \throws InputError, and below
    std::vector<std::string> read(std::int64_t first, std::int64_t count);
    // What column `name` says of them, as text; empty where nothing.
    std::vector<std::string> read(const std::string& name, std::int64_t first, std::int64_t count);
    // Of the matrix' columns: genes for X, layers and raw/X, a table's own for a table; empty where they have no names.
    std::vector<std::string> columns() const;

 private:
    PointNames();
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

}  // namespace convoy::io
