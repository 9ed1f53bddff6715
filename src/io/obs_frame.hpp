#pragma once
// A table of AnnData's, a row a cell or a gene: obs, var, or one in obsm.
//
//     0.7 and newer    a group of datasets (and of groups, for categories and for values with a mask); attributes
//                      _index, column-order. Categories: 0.7 refers to them by an attribute of the codes, 0.8 and newer
//                      has a group of both
//     0.5, 0.6         one dataset of compounds; names of categories in /uns/COLUMN_categories

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "io/hdf5_handles.hpp"
#include "io/obs_column.hpp"
#include "io/reader.hpp"

namespace convoy::io {

class ObsFrame {
 public:
    // Nothing if there is no table at `path`. The file stays open as long as this. \throws InputError
    static std::optional<ObsFrame> open(const Location& location, hid_t file, const std::string& path);

    const std::string& path() const { return path_; }
    std::int64_t rows() const { return rows_; }
    // Without the index.
    const std::vector<std::string>& columns() const { return columns_; }
    bool has(const std::string& column) const;
    // \throws InputError if it is of a kind that is not read, or has another length
    ObsColumn column(const std::string& name) const;
    // The names of the rows.
    ObsColumn index() const { return column(index_); }

 private:
    ObsFrame() = default;
    void look_at_group();
    void look_at_compounds();
    ObsColumn column_of_group(const std::string& name) const;
    ObsColumn column_of_compounds(const std::string& name) const;
    PlainColumn plain(const std::string& path, Hdf5 dataset, const std::string& member = {}) const;

    Location location_;
    std::string path_;
    hid_t file_ = H5I_INVALID_HID;  // the caller's
    Hdf5 object_;
    bool compounds_ = false;
    std::int64_t rows_ = 0;
    std::string index_;
    std::vector<std::string> columns_;
};

}  // namespace convoy::io
