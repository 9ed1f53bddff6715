#pragma once
// Rows of text: strings of a fixed or of any length, in a dataset or in one member of compounds.

#include <cstdint>
#include <string>
#include <vector>

#include "io/hdf5_rows.hpp"

namespace convoy::io {

class TextRows {
 public:
    // As for NumericRows. \throws InputError if there is no text
    TextRows(const Location& location, const std::string& path, Hdf5 dataset, const std::string& member = {});

    std::int64_t rows() const { return rows_.rows(); }
    const std::string& place() const { return rows_.place(); }

    // \throws InputError
    std::vector<std::string> read(std::int64_t first, std::int64_t count);

    static bool reads(hid_t type) { return H5Tget_class(type) == H5T_STRING; }

 private:
    void read_fixed(GlobalRun run, std::vector<std::string>& texts);
    void read_variable(GlobalRun run, std::vector<std::string>& texts);

    Hdf5Rows rows_;
    bool variable_ = false, blanks_ = false;  // padded with blanks
};

}  // namespace convoy::io
