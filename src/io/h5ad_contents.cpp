#include "io/h5ad_contents.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <string_view>

#include "convoy/error.hpp"
#include "io/h5ad.hpp"
#include "io/hdf5_dataset.hpp"
#include "io/input_error.hpp"

namespace convoy::io {

namespace {

constexpr std::int64_t rows_at_once = std::int64_t{1} << 18;
constexpr std::size_t most_described = 60;
constexpr std::size_t most_values = 12;

// Why something cannot be read, without saying again where it is.
std::string reason_of(const InputError& error) {
    const std::string text = error.what();
    const auto at = text.find("': ");
    return "not readable: " + (at == std::string::npos ? text : text.substr(at + 3));
}

std::string description_of(const ObsFrame& table) {
    std::string numeric;
    for (const std::string& name : table.columns())
        if (table.column(name).is_numeric()) numeric += (numeric.empty() ? "" : ",") + name;
    return fmt::format(
        "{} x {}, table{}", table.rows(), table.columns().size(),
        numeric.empty() ? " without numbers" : fmt::format("; with numbers: {}:{}", table.path(), numeric));
}

std::string description_of(const Location& location, hid_t file) {
    try {
        if (const auto table = ObsFrame::open(location, file, location.key)) return description_of(*table);
        const H5adMatrix matrix{location, file};
        return fmt::format("{} x {}, {}", matrix.rows(), matrix.columns(), matrix.type());
    } catch (const InputError& error) {
        return reason_of(error);
    }
}

std::string description_of(ObsColumn& column) {
    Levels levels{1000};
    std::vector<std::int32_t> met;
    std::vector<double> numbers;
    double least = std::numeric_limits<double>::infinity(), largest = -least;
    for (std::int64_t at = 0; at < column.rows(); at += rows_at_once) {
        const GlobalRun run{GlobalIndex{at}, std::min(rows_at_once, column.rows() - at)};
        column.read(run.first.value, run.count, levels, met);
        levels.count(met);
        if (!column.is_numeric() || column.categorical()) continue;
        numbers.resize(static_cast<std::size_t>(run.count));
        column.read({&run, 1}, numbers);
        for (const double number : numbers) {
            if (std::isnan(number)) continue;
            least = std::min(least, number);
            largest = std::max(largest, number);
        }
    }
    const bool range =
        column.is_numeric() && !column.categorical() && (levels.size() > most_values || levels.other_rows() > 0);
    std::string text = range ? fmt::format("{}; {:.6g} to {:.6g}", column.type(), least, largest)
                             : fmt::format("{}; {}", column.type(), levels.list(most_values, column.order()));
    if (levels.missing_rows() > 0) text += fmt::format("; {} rows have none", levels.missing_rows());
    return text;
}

std::int64_t rows_of(const Location& location, hid_t file, const char* path) {
    const auto table = ObsFrame::open(location, file, path);
    return table ? table->rows() : 0;
}

}  // namespace

bool is_h5ad(const std::string& path) {
    std::string end = path.substr(path.size() - std::min<std::size_t>(path.size(), 5));
    std::ranges::transform(end, end.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return end == ".h5ad";
}

H5adContents contents_of_h5ad(const std::string& path) {
    const Location location{path, ""};
    expect_readable_file(location);
    const Hdf5 file = open_hdf5_input(location);
    H5adContents contents;
    contents.genes = rows_of(location, file.get(), "var");
    for (const std::string& key : h5ad_keys(location, file.get())) {
        contents.matrices.emplace_back(key, description_of({path, key}, file.get()));
        if (key == default_h5ad_key) contents.default_matrix = true;
    }
    const auto obs = ObsFrame::open(location, file.get(), "obs");
    if (!obs) {
        if (contents.matrices.empty())
            refuse(location, "it is no file of AnnData's", "it has neither 'obs' nor a matrix",
                   "name a dataset if there is one: convoy check PATH#KEY");
        return contents;
    }
    contents.cells = obs->rows();
    for (const std::string& name : obs->columns()) {
        std::string text;
        if (contents.columns.size() < most_described) {
            try {
                ObsColumn column = obs->column(name);
                text = description_of(column);
            } catch (const InputError& error) {
                text = reason_of(error);
            }
        }
        contents.columns.emplace_back(name, text);
    }
    return contents;
}

}  // namespace convoy::io
