// HDF5 datasets, read by each rank alone with the serial driver.

#include "io/formats.hpp"
#include "io/hdf5_dataset.hpp"
#include "io/numeric_rows.hpp"

namespace convoy::io {

namespace {

class Hdf5Reader final : public Reader {
 public:
    explicit Hdf5Reader(const Location& location)
        : file_{open_hdf5_input(location)},
          data_{location, location.key, open_numeric_dataset(location, file_.get()).dataset} {}

    std::int64_t rows() const override { return data_.rows(); }
    std::int64_t columns() const override { return data_.columns(); }
    bool is_vector() const override { return data_.vector(); }
    std::int64_t band() const override { return data_.band(); }
    std::int64_t column_band() const override { return data_.column_band(); }
    std::string place() const override { return data_.place(); }

    void read(std::int64_t first, std::int64_t count, std::span<double> out) override {
        const GlobalRun run{GlobalIndex{first}, count};
        read_runs({&run, 1}, all_columns(), out);
    }
    void read_runs(std::span<const GlobalRun> runs, ColumnRun columns, std::span<double> out) override {
        data_.read(runs, columns, out);
    }

 private:
    Hdf5 file_;
    NumericRows data_;
};

}  // namespace

std::unique_ptr<Reader> open_hdf5(const Location& location) {
    return std::make_unique<Hdf5Reader>(location);
}

}  // namespace convoy::io
