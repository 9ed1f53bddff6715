#include "io/point_names.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "convoy/error.hpp"
#include "io/h5ad_contents.hpp"
#include "io/hdf5_dataset.hpp"
#include "io/hdf5_handles.hpp"
#include "io/input.hpp"
#include "io/input_error.hpp"
#include "io/obs_frame.hpp"
#include "io/pattern.hpp"
#include "io/row_selection.hpp"
#include "io/selected_columns.hpp"

namespace convoy::io {

namespace {

constexpr std::int64_t rows_at_once = std::int64_t{1} << 16;
constexpr const char* index_key = "";  // no column has this name

}  // namespace

struct PointNames::Parts {
    Location location;
    std::unique_ptr<Hdf5> file;  // at one place
    std::optional<ObsFrame> obs;
    std::map<std::string, ObsColumn> opened;
    std::shared_ptr<const RowSelection> selection;
    std::int64_t points = 0, matrix_columns = 0;
    std::string chosen_columns;  // see Preparation

    ObsColumn& column(const std::string& name);
    std::vector<std::string> read(ObsColumn& values, std::int64_t first, std::int64_t count) const;
    std::vector<std::string> chosen(std::vector<std::string> all) const;
};

PointNames::PointNames() : parts_{std::make_unique<Parts>()} {}
PointNames::PointNames(PointNames&&) noexcept = default;
PointNames& PointNames::operator=(PointNames&&) noexcept = default;
PointNames::~PointNames() = default;

std::int64_t PointNames::points() const {
    return parts_->points;
}

std::optional<PointNames> PointNames::open(const Communicator& world, const InputOptions& input) {
    const Input opened = open_points(world, input);
    if (!is_h5ad(opened.location.path) || is_pattern(opened.location.path)) return std::nullopt;
    if (opened.prepare.transposed) return std::nullopt;
    PointNames names;
    Parts& parts = *names.parts_;
    parts.location = opened.location;
    parts.selection = opened.selection;
    parts.points = opened.rows;
    parts.matrix_columns = opened.columns;
    parts.chosen_columns = opened.prepare.columns;
    bool cells = false;
    agree(world, [&] {
        parts.file = std::make_unique<Hdf5>(open_hdf5_input(parts.location));
        parts.obs = ObsFrame::open(parts.location, parts.file->get(), "obs");
        cells = parts.obs && parts.obs->rows() == opened.file_rows;
    });
    if (!cells) return std::nullopt;
    return names;
}

ObsColumn& PointNames::Parts::column(const std::string& name) {
    const auto known = opened.find(name);
    if (known != opened.end()) return known->second;
    if (name != index_key && !obs->has(name))
        refuse(location, "obs has no column '" + name + "'",
               fmt::format("its columns: {}", fmt::join(obs->columns(), ", ")),
               "see what is in them: convoy check " + location.path);
    return opened.emplace(name, name == index_key ? obs->index() : obs->column(name)).first->second;
}

std::vector<std::string> PointNames::read(std::int64_t first, std::int64_t count) {
    return parts_->read(parts_->column(index_key), first, count);
}

std::vector<std::string> PointNames::read(const std::string& name, std::int64_t first, std::int64_t count) {
    return parts_->read(parts_->column(name), first, count);
}

// Rows between chosen ones are read with them where they are near: text of any length is slow in small pieces.
std::vector<std::string> PointNames::Parts::read(ObsColumn& values, std::int64_t first, std::int64_t count) const {
    CONVOY_EXPECT(first >= 0 && first + count <= points);
    if (!selection) return values.read(first, count);
    const std::vector<GlobalRun> runs = selection->runs(first, count);
    std::vector<std::string> names;
    names.reserve(static_cast<std::size_t>(count));
    for (std::size_t k = 0; k < runs.size();) {
        const std::int64_t begin = runs[k].first.value;
        std::size_t end = k + 1;
        const auto end_of = [&](std::size_t run) { return runs[run].first.value + runs[run].count; };
        while (end < runs.size() && end_of(end) - begin <= rows_at_once) ++end;
        std::vector<std::string> read = values.read(begin, end_of(end - 1) - begin);
        for (; k < end; ++k) {
            const auto from = read.begin() + (runs[k].first.value - begin);
            std::move(from, from + runs[k].count, std::back_inserter(names));
        }
    }
    return names;
}

std::vector<std::string> PointNames::columns() const {
    std::string key = parts_->location.key;
    if (key.starts_with('/')) key.erase(0, 1);
    const bool raw = key == "raw/X";
    const auto named = [&](const std::string& path) -> std::vector<std::string> {
        const auto table = ObsFrame::open(parts_->location, parts_->file->get(), path);
        return table ? parts_->chosen(table->index().read(0, table->rows())) : std::vector<std::string>{};
    };
    if (raw || key == "X" || key.starts_with("layers/")) {
        std::vector<std::string> genes = named(raw ? "raw/var" : "var");
        return genes.empty() && raw ? named("raw.var") : genes;
    }
    const auto table = ObsFrame::open(parts_->location, parts_->file->get(), key);
    return table ? parts_->chosen(table->columns()) : std::vector<std::string>{};
}

// Of the columns that are points' coordinates; nothing if these are not all columns.
std::vector<std::string> PointNames::Parts::chosen(std::vector<std::string> all) const {
    std::vector<std::string> names;
    if (chosen_columns.empty()) {
        names = std::move(all);
    } else {
        for (const ColumnSlice& slice : parse_columns(chosen_columns))
            for (std::int64_t k = slice.first; k < std::min(slice.end.value_or(std::ssize(all)), std::ssize(all)); ++k)
                names.push_back(all[static_cast<std::size_t>(k)]);
    }
    return std::ssize(names) == matrix_columns ? names : std::vector<std::string>{};
}

}  // namespace convoy::io
