#include "io/h5ad.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "convoy/error.hpp"
#include "io/hdf5_dataset.hpp"
#include "io/input_error.hpp"

namespace convoy::io {

namespace {

constexpr std::size_t most_listed = 12;

// Up to 0.6: tables of matrices are one dataset of compounds, raw/X is called raw.X.
bool is_compounds(hid_t object) {
    if (H5Iget_type(object) != H5I_DATASET) return false;
    const Hdf5 type{H5Dget_type(object), H5Tclose};
    return H5Tget_class(type.get()) == H5T_COMPOUND;
}

std::vector<std::string> members_of(hid_t dataset) {
    std::vector<std::string> names;
    const Hdf5 type{H5Dget_type(dataset), H5Tclose};
    for (int k = 0; k < H5Tget_nmembers(type.get()); ++k) {
        char* name = H5Tget_member_name(type.get(), static_cast<unsigned>(k));
        if (name != nullptr) names.emplace_back(name);
        H5free_memory(name);
    }
    return names;
}

std::string list_of(const std::vector<std::string>& keys) {
    if (keys.empty()) return "it has no matrices";
    const bool long_list = keys.size() > most_listed;
    const std::vector<std::string> shown(
        keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(std::min(keys.size(), most_listed)));
    return fmt::format("it has {}{}", fmt::join(shown, ", "),
                       long_list ? fmt::format(" and {} more", keys.size() - most_listed) : "");
}

[[noreturn]] void refuse_key(const Location& location, hid_t file, const std::string& problem) {
    const std::vector<std::string> keys = h5ad_keys(location, file);
    refuse(location, problem, list_of(keys),
           keys.empty() ? "give a file that has points"
                        : fmt::format("name one, like: {}#{}", location.path, keys.front()));
}

}  // namespace

std::vector<std::string> h5ad_keys(const Location& location, hid_t file) {
    std::vector<std::string> keys;
    const auto add_if_there = [&](const char* key) {
        if (H5Lexists(file, key, H5P_DEFAULT) > 0) keys.emplace_back(key);
    };
    add_if_there("X");
    for (const char* group : {"layers", "obsm"}) {
        const Hdf5 object = open_hdf5_object(location, file, group);
        if (!object) continue;
        const bool compounds = is_compounds(object.get());
        if (!compounds && H5Iget_type(object.get()) != H5I_GROUP) continue;
        for (const std::string& name : compounds ? members_of(object.get()) : names_in(object.get(), false))
            keys.push_back(fmt::format("{}/{}", group, name));
    }
    const Hdf5 raw = open_hdf5_object(location, file, "raw");
    if (raw && H5Iget_type(raw.get()) == H5I_GROUP && H5Lexists(raw.get(), "X", H5P_DEFAULT) > 0)
        keys.emplace_back("raw/X");
    else if (H5Lexists(file, "raw.X", H5P_DEFAULT) > 0)
        keys.emplace_back("raw/X");
    return keys;
}

H5adMatrix::H5adMatrix(const Location& location, hid_t file) {
    if (location.key.empty()) refuse_key(location, file, "no matrix is named");
    find(location, file);
    if (dense_) {
        rows_ = dense_->rows();
        columns_ = dense_->columns();
        place_ = dense_->place();
    } else if (sparse_) {
        rows_ = sparse_->rows();
        columns_ = sparse_->columns();
        place_ = sparse_->place();
    }
    if (rows_ == 0 || columns_ == 0)
        refuse(location, fmt::format("'{}' is empty", location.key), fmt::format("{} x {}", rows_, columns_),
               fmt::format("pick another one, see: convoy check {}", location.path));
    if (dense_ && !dense_->written())
        refuse(location, place_ + " was never written", "it has no data in the file",
               fmt::format("pick another one, see: convoy check {}", location.path));
}

void H5adMatrix::find(const Location& location, hid_t file) {
    std::string key = location.key;
    if (key.starts_with('/')) key.erase(0, 1);
    Hdf5 object = open_hdf5_object(location, file, key);
    if (!object && key == "raw/X") object = open_hdf5_object(location, file, key = "raw.X");
    if (!object) {
        // A member of a table of matrices, as there are up to 0.6.
        const auto slash = key.find('/');
        const std::string parent = key.substr(0, slash);
        const Hdf5 table = slash == std::string::npos ? Hdf5{} : open_hdf5_object(location, file, parent);
        if (table && is_compounds(table.get())) {
            const std::vector<std::string> members = members_of(table.get());
            const std::string member = key.substr(slash + 1);
            if (std::ranges::find(members, member) != members.end()) {
                dense_.emplace(location, parent, open_hdf5_dataset(location, file, parent), member);
                return;
            }
        }
        if (find_columns(location, file)) return;
        refuse_key(location, file, fmt::format("it has no matrix '{}'", location.key));
    }
    const H5I_type_t type = H5Iget_type(object.get());
    if (type == H5I_DATASET && !is_compounds(object.get())) {
        expect_dataset_here(location, key, object.get());
        dense_.emplace(location, key, std::move(object));
        return;
    }
    if (type == H5I_GROUP) sparse_ = SparseMatrix::open(location, object.get(), key);
    if (sparse_) return;
    if (const auto table = ObsFrame::open(location, file, key)) {
        take_columns(location, *table, table->columns());
        return;
    }
    refuse_key(location, file, fmt::format("'{}' is no matrix", location.key));
}

// TABLE:COLUMN,COLUMN; names may have commas themselves.
bool H5adMatrix::find_columns(const Location& location, hid_t file) {
    for (auto colon = location.key.find(':'); colon != std::string::npos; colon = location.key.find(':', colon + 1)) {
        const auto table = ObsFrame::open(location, file, location.key.substr(0, colon));
        if (!table) continue;
        std::vector<std::string> names;
        const std::string list = location.key.substr(colon + 1);
        for (std::size_t at = 0; at <= list.size();) {
            std::size_t end = list.size();  // of the longest name that fits
            while (!table->has(list.substr(at, end - at))) {
                const auto comma = end > at ? list.rfind(',', end - 1) : std::string::npos;
                if (comma == std::string::npos || comma <= at) {
                    const auto next = std::min(list.find(',', at), list.size());
                    std::vector<std::string> known = table->columns();
                    const bool long_list = known.size() > most_listed;
                    if (long_list) known.resize(most_listed);
                    refuse(location, fmt::format("'{}' has no column '{}'", table->path(), list.substr(at, next - at)),
                           fmt::format("it has {}{}", fmt::join(known, ", "), long_list ? ", ..." : ""),
                           "choose one of its columns");
                }
                end = comma;
            }
            names.push_back(list.substr(at, end - at));
            at = end + 1;
        }
        take_columns(location, *table, std::move(names));
        return true;
    }
    return false;
}

void H5adMatrix::take_columns(const Location& location, const ObsFrame& table, std::vector<std::string> names) {
    std::vector<std::string> numeric;
    std::string first_other;
    for (const std::string& name : names) {
        ObsColumn column = table.column(name);
        if (column.is_numeric()) {
            numeric.push_back(name);
            frame_.push_back(std::move(column));
        } else if (first_other.empty()) {
            first_other = fmt::format("column '{}' of '{}' holds no numbers", name, table.path());
        }
    }
    if (!first_other.empty() || names.empty())
        refuse(location, names.empty() ? fmt::format("table '{}' has no columns", table.path()) : first_other,
               names.empty() ? "" : "points are made of numbers",
               numeric.empty() ? fmt::format("see what there is: convoy check {}", location.path)
                               : fmt::format("name the columns that do: {}#{}:{}", location.path, table.path(),
                                             fmt::join(numeric, ",")));
    rows_ = table.rows();
    columns_ = std::ssize(names);
    place_ = names.size() == 1 ? fmt::format("column '{}' of '{}'", names.front(), table.path())
                               : fmt::format("table '{}'", table.path());
}

std::string H5adMatrix::type() const {
    if (sparse_)
        return fmt::format("sparse {} by {}", type_name(sparse_->type()), sparse_->by_rows() ? "rows" : "columns");
    return dense_ ? type_name(dense_->type()) : "table";
}

void H5adMatrix::read(std::span<const GlobalRun> runs, ColumnRun columns, std::span<double> out) {
    if (dense_) {
        dense_->read(runs, columns, out);
    } else if (sparse_) {
        sparse_->read(runs, columns, out);
    } else {
        const auto width = static_cast<std::size_t>(columns.count);
        std::vector<double> values(static_cast<std::size_t>(rows_of(runs)));
        for (std::size_t k = 0; k < width; ++k) {
            frame_[static_cast<std::size_t>(columns.first) + k].read(runs, values);
            for (std::size_t i = 0; i < values.size(); ++i) out[i * width + k] = values[i];
        }
    }
}

}  // namespace convoy::io
