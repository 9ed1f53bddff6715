#include "io/point_names.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "convoy/error.hpp"
#include "io/h5ad_contents.hpp"
#include "io/hdf5_dataset.hpp"
#include "io/input.hpp"
#include "io/input_error.hpp"
#include "io/pattern.hpp"
#include "io/selected_columns.hpp"

namespace convoy::io {

namespace {

constexpr std::int64_t rows_at_once = std::int64_t{1} << 16;
constexpr const char* index_key = "";  // no column has this name

}  // namespace

std::optional<PointNames> PointNames::open(const Communicator& world, const InputOptions& input) {
    const Input opened = open_points(world, input);
    if (!is_h5ad(opened.location.path) || is_pattern(opened.location.path)) return std::nullopt;
    if (opened.prepare.transposed) return std::nullopt;
    PointNames names;
    names.location_ = opened.location;
    names.selection_ = opened.selection;
    names.points_ = opened.rows;
    names.matrix_columns_ = opened.columns;
    names.chosen_columns_ = opened.prepare.columns;
    bool cells = false;
    agree(world, [&] {
        names.file_ = std::make_unique<Hdf5>(open_hdf5_input(names.location_));
        names.obs_ = ObsFrame::open(names.location_, names.file_->get(), "obs");
        cells = names.obs_ && names.obs_->rows() == opened.file_rows;
    });
    if (!cells) return std::nullopt;
    return names;
}

ObsColumn& PointNames::column(const std::string& name) {
    const auto known = opened_.find(name);
    if (known != opened_.end()) return known->second;
    if (name != index_key && !obs_->has(name))
        refuse(location_, "obs has no column '" + name + "'", "", "see what there is: convoy check " + location_.path);
    return opened_.emplace(name, name == index_key ? obs_->index() : obs_->column(name)).first->second;
}

std::vector<std::string> PointNames::read(std::int64_t first, std::int64_t count) {
    return read(column(index_key), first, count);
}

std::vector<std::string> PointNames::read(const std::string& name, std::int64_t first, std::int64_t count) {
    return read(column(name), first, count);
}

// Rows between chosen ones are read with them where they are near: text of any length is slow in small pieces.
std::vector<std::string> PointNames::read(ObsColumn& column, std::int64_t first, std::int64_t count) const {
    CONVOY_EXPECT(first >= 0 && first + count <= points_);
    if (!selection_) return column.read(first, count);
    const std::vector<GlobalRun> runs = selection_->runs(first, count);
    std::vector<std::string> names;
    names.reserve(static_cast<std::size_t>(count));
    for (std::size_t k = 0; k < runs.size();) {
        const std::int64_t begin = runs[k].first.value;
        std::size_t end = k + 1;
        const auto end_of = [&](std::size_t run) { return runs[run].first.value + runs[run].count; };
        while (end < runs.size() && end_of(end) - begin <= rows_at_once) ++end;
        std::vector<std::string> read = column.read(begin, end_of(end - 1) - begin);
        for (; k < end; ++k) {
            const auto from = read.begin() + (runs[k].first.value - begin);
            std::move(from, from + runs[k].count, std::back_inserter(names));
        }
    }
    return names;
}

std::vector<std::string> PointNames::columns() const {
    std::string key = location_.key;
    if (key.starts_with('/')) key.erase(0, 1);
    const bool raw = key == "raw/X";
    const auto named = [&](const std::string& path) -> std::vector<std::string> {
        const auto table = ObsFrame::open(location_, file_->get(), path);
        return table ? chosen(table->index().read(0, table->rows())) : std::vector<std::string>{};
    };
    if (raw || key == "X" || key.starts_with("layers/")) {
        std::vector<std::string> genes = named(raw ? "raw/var" : "var");
        return genes.empty() && raw ? named("raw.var") : genes;
    }
    const auto table = ObsFrame::open(location_, file_->get(), key);
    return table ? chosen(table->columns()) : std::vector<std::string>{};
}

// Of the columns that are points' coordinates; nothing if these are not all columns.
std::vector<std::string> PointNames::chosen(std::vector<std::string> all) const {
    std::vector<std::string> names;
    if (chosen_columns_.empty()) {
        names = std::move(all);
    } else {
        for (const ColumnSlice& slice : parse_columns(chosen_columns_))
            for (std::int64_t k = slice.first; k < std::min(slice.end.value_or(std::ssize(all)), std::ssize(all)); ++k)
                names.push_back(all[static_cast<std::size_t>(k)]);
    }
    return std::ssize(names) == matrix_columns_ ? names : std::vector<std::string>{};
}

}  // namespace convoy::io
