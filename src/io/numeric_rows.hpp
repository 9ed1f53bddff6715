#pragma once
// Rows of numbers: a dataset whose elements are numbers or booleans, or one member of a dataset of compounds, which
// may be an array.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/hdf5_rows.hpp"

namespace convoy::io {

class NumericRows {
 public:
    // \param dataset as for Hdf5Rows. \param member of compound elements; empty: the elements themselves.
    // \throws InputError if they are no numbers
    NumericRows(const Location& location, const std::string& path, Hdf5 dataset, const std::string& member = {});

    std::int64_t rows() const { return rows_.rows(); }
    std::int64_t columns() const { return rows_.columns() * width_; }
    bool vector() const { return rows_.vector() && !is_array_; }
    std::int64_t band() const { return rows_.band(); }
    std::int64_t column_band() const { return is_array_ ? 1 : rows_.column_band(); }
    bool written() const { return rows_.written(); }
    const std::string& place() const { return rows_.place(); }
    hid_t type() const { return number_.get(); }

    bool is_boolean() const { return boolean_; }
    bool is_integer() const { return integer_; }
    bool is_unsigned() const { return integer_ && H5Tget_sign(number_.get()) == H5T_SGN_NONE; }
    bool is_single() const { return !integer_ && bytes_ <= 4; }  // no more digits than fp32 has

    // As Hdf5Rows::read().
    void read(std::span<const GlobalRun> runs, ColumnRun columns, std::span<double> out);
    void read(std::span<const GlobalRun> runs, std::span<double> out) { read(runs, {0, columns()}, out); }
    void read(std::span<const GlobalRun> runs, std::span<std::int64_t> out);  // unsigned ones: their bits

    // Is this a type that can be read as numbers?
    static bool reads(hid_t type);

 private:
    template <class T>
    void convert(std::span<const GlobalRun> runs, ColumnRun columns, hid_t memory, std::span<T> out);
    void read_arrays(std::span<const GlobalRun> runs, ColumnRun columns, std::span<double> out);

    Hdf5Rows rows_;
    Hdf5 number_;  // type of one number
    bool boolean_ = false, integer_ = false, is_array_ = false;
    std::size_t bytes_ = 0;
    std::int64_t width_ = 1;  // numbers of one element
};

// A number type, or the one that booleans are stored as; falsy if it is neither.
Hdf5 number_type(hid_t type, bool& boolean);

}  // namespace convoy::io
