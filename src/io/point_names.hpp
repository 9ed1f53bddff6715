#pragma once
// What the points of an input are called: the cells of an .h5ad file, its genes, and what its table says of each cell.
// Read on demand, in stripes, by whichever rank needs them.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "convoy/communicator.hpp"
#include "io/hdf5_handles.hpp"
#include "io/obs_frame.hpp"
#include "io/reader.hpp"
#include "io/row_selection.hpp"

namespace convoy::io {

class PointNames {
 public:
    // Of the points that `input` has, those of its conditions only. Nothing where its file names none: other formats,
    // or a matrix whose rows are no cells. \throws InputError. Collective.
    static std::optional<PointNames> open(const Communicator& world, const InputOptions& input);

    std::int64_t points() const { return points_; }
    // Names of points [first, first + count). \throws InputError, and below
    std::vector<std::string> read(std::int64_t first, std::int64_t count);
    // What column `name` says of them, as text; empty where nothing.
    std::vector<std::string> read(const std::string& name, std::int64_t first, std::int64_t count);
    // Of the matrix' columns: genes for X, layers and raw/X, a table's own for a table; empty where they have no names.
    std::vector<std::string> columns() const;

 private:
    PointNames() = default;
    std::vector<std::string> read(ObsColumn& column, std::int64_t first, std::int64_t count) const;
    ObsColumn& column(const std::string& name);
    std::vector<std::string> chosen(std::vector<std::string> all) const;

    Location location_;
    std::unique_ptr<Hdf5> file_;  // at one place, however this is moved
    std::optional<ObsFrame> obs_;
    std::map<std::string, ObsColumn> opened_;
    std::shared_ptr<const RowSelection> selection_;
    std::int64_t points_ = 0, matrix_columns_ = 0;
    std::string chosen_columns_;  // see Preparation
};

}  // namespace convoy::io
