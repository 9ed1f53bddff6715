// AnnData's files as inputs.

#include <algorithm>
#include <utility>

#include "io/formats.hpp"
#include "io/h5ad.hpp"
#include "io/hdf5_dataset.hpp"
#include "io/input_error.hpp"
#include "io/row_filter.hpp"

namespace convoy::io {

namespace {

// No key: the default's, if there is such a matrix.
Location with_key(Location location, hid_t file) {
    if (location.key.empty() && std::ranges::count(h5ad_keys(location, file), default_h5ad_key) > 0)
        location.key = default_h5ad_key;
    return location;
}

class H5adReader final : public Reader {
 public:
    explicit H5adReader(const Location& location)
        : file_{open_hdf5_input(location)},
          location_{with_key(location, file_.get())},
          matrix_{location_, file_.get()} {}

    std::int64_t rows() const override { return matrix_.rows(); }
    std::int64_t columns() const override { return matrix_.columns(); }
    bool is_vector() const override { return matrix_.is_vector(); }
    std::int64_t band() const override { return matrix_.band(); }
    std::int64_t column_band() const override { return matrix_.column_band(); }
    bool is_sparse() const override { return matrix_.is_sparse(); }
    std::string key() const override { return location_.key; }
    std::string place() const override { return matrix_.place(); }

    void read(std::int64_t first, std::int64_t count, std::span<double> out) override {
        const GlobalRun run{GlobalIndex{first}, count};
        read_runs({&run, 1}, all_columns(), out);
    }
    void read_runs(std::span<const GlobalRun> runs, ColumnRun columns, std::span<double> out) override {
        matrix_.read(runs, columns, out);
    }

    FilteredRows filter(const std::vector<std::string>& conditions) override {
        const auto obs = ObsFrame::open(location_, file_.get(), "obs");
        if (!obs) refuse(location_, "it has no table 'obs'", "conditions are on its columns", "leave them out");
        if (obs->rows() != rows())
            refuse(location_, place() + " has " + std::to_string(rows()) + " rows",
                   "'obs' has " + std::to_string(obs->rows()), "choose a matrix with a row for each cell");
        return filter_rows(location_, *obs, conditions);
    }

 private:
    Hdf5 file_;
    Location location_;
    H5adMatrix matrix_;
};

}  // namespace

std::unique_ptr<Reader> open_h5ad(const Location& location) {
    return std::make_unique<H5adReader>(location);
}

}  // namespace convoy::io
