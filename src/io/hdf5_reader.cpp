// HDF5 datasets, read by each rank alone with the serial driver.

#include <fmt/format.h>

#include <algorithm>

#include "convoy/error.hpp"
#include "io/formats.hpp"
#include "io/hdf5_dataset.hpp"
#include "io/input_error.hpp"

namespace convoy::io {

namespace {

constexpr std::int64_t slab_bytes = std::int64_t{1} << 30;

class Hdf5Reader final : public Reader {
 public:
    explicit Hdf5Reader(const Location& location)
        : location_{location}, file_{open_hdf5_input(location)}, data_{open_numeric_dataset(location, file_.get())} {}

    std::int64_t rows() const override { return data_.rows; }
    std::int64_t columns() const override { return data_.columns; }
    bool is_vector() const override { return data_.vector; }
    std::string place() const override { return fmt::format("dataset '{}'", location_.key); }

    void read(std::int64_t first, std::int64_t count, std::span<double> out) override {
        read_block({first, count, 0, data_.columns}, out);
    }

    void read_block(const Block& block, std::span<double> out) override {
        expect_within(block, out);
        const std::int64_t step = std::max<std::int64_t>(1, slab_bytes / 8 / block.columns);
        for (std::int64_t at = 0; at < block.rows; at += step)
            read_slab({block.first_row + at, std::min(step, block.rows - at), block.first_column, block.columns},
                      out.data() + at * block.columns);
    }

 private:
    void read_slab(const Block& slab, double* out) {
        const hsize_t start[2] = {static_cast<hsize_t>(slab.first_row), static_cast<hsize_t>(slab.first_column)};
        const hsize_t extents[2] = {static_cast<hsize_t>(slab.rows), static_cast<hsize_t>(slab.columns)};
        const Hdf5 in_file{H5Dget_space(data_.dataset.get()), H5Sclose};
        const Hdf5 in_memory{H5Screate_simple(data_.vector ? 1 : 2, extents, nullptr), H5Sclose};
        H5Sselect_hyperslab(in_file.get(), H5S_SELECT_SET, start, nullptr, extents, nullptr);
        if (H5Dread(data_.dataset.get(), H5T_NATIVE_DOUBLE, in_memory.get(), in_file.get(), H5P_DEFAULT, out) < 0) {
            const std::string reason = hdf5_error("unknown reason");
            refuse(location_,
                   fmt::format("rows {} to {} of {} cannot be read", slab.first_row, slab.first_row + slab.rows - 1,
                               place()),
                   reason, "the file is damaged: copy or write it again");
        }
    }

    Location location_;
    Hdf5 file_;
    NumericDataset data_;
};

}  // namespace

std::unique_ptr<Reader> open_hdf5(const Location& location) {
    return std::make_unique<Hdf5Reader>(location);
}

}  // namespace convoy::io
