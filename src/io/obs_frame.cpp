#include "io/obs_frame.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "convoy/error.hpp"
#include "io/hdf5_attributes.hpp"
#include "io/hdf5_dataset.hpp"
#include "io/input_error.hpp"

namespace convoy::io {

namespace {

bool is_group(const Hdf5& object) {
    return object && H5Iget_type(object.get()) == H5I_GROUP;
}

bool has_link(hid_t group, const std::string& name) {
    return H5Lexists(group, name.c_str(), H5P_DEFAULT) > 0;
}

std::string encoding_of(hid_t object) {
    return attribute_text(object, "encoding-type").value_or("");
}

// The dataset that an attribute of this one refers to.
Hdf5 categories_of(const Location& location, hid_t codes, const std::string& path) {
    const Hdf5 attribute{H5Aopen(codes, "categories", H5P_DEFAULT), H5Aclose};
    const Hdf5 type{H5Aget_type(attribute.get()), H5Tclose}, space{H5Aget_space(attribute.get()), H5Sclose};
    hobj_ref_t reference = 0;
    if (H5Tequal(type.get(), H5T_STD_REF_OBJ) <= 0 || H5Sget_simple_extent_npoints(space.get()) != 1 ||
        H5Aread(attribute.get(), H5T_STD_REF_OBJ, &reference) < 0)
        refuse(location, fmt::format("'{}' does not say where its categories are", path),
               "its attribute 'categories' is no reference", "write it again");
    Hdf5 object{H5Rdereference2(codes, H5P_DEFAULT, H5R_OBJECT, &reference), H5Oclose};
    if (!object || H5Iget_type(object.get()) != H5I_DATASET)
        refuse(location, fmt::format("the categories of '{}' are not there", path),
               "its attribute 'categories' refers to nothing", "the file is damaged: write it again");
    return object;
}

}  // namespace

std::optional<ObsFrame> ObsFrame::open(const Location& location, hid_t file, const std::string& path) {
    ObsFrame frame;
    frame.location_ = location;
    frame.path_ = path;
    frame.file_ = file;
    frame.object_ = open_hdf5_object(location, file, path);
    if (!frame.object_) return std::nullopt;
    const H5I_type_t type = H5Iget_type(frame.object_.get());
    if (type == H5I_GROUP) {
        if (!has_link(frame.object_.get(), attribute_text(frame.object_.get(), "_index").value_or("_index")) &&
            encoding_of(frame.object_.get()) != "dataframe")
            return std::nullopt;
        frame.look_at_group();
        return frame;
    }
    if (type != H5I_DATASET) return std::nullopt;
    const Hdf5 element{H5Dget_type(frame.object_.get()), H5Tclose};
    if (H5Tget_class(element.get()) != H5T_COMPOUND) return std::nullopt;
    frame.look_at_compounds();
    return frame;
}

void ObsFrame::look_at_group() {
    const hid_t group = object_.get();
    index_ = attribute_text(group, "_index").value_or("_index");
    if (!has_link(group, index_))
        refuse(location_, fmt::format("table '{}' has no index", path_), fmt::format("'{}' is not there", index_),
               "write it again");
    for (std::string& name : attribute_texts(group, "column-order"))
        if (name != index_ && has_link(group, name)) columns_.push_back(std::move(name));
    if (H5Aexists(group, "column-order") <= 0)
        for (std::string& name : names_in(group, false))
            if (name != index_ && name != "__categories") columns_.push_back(std::move(name));
    rows_ = -1;  // any, for the index
    rows_ = index().rows();
}

void ObsFrame::look_at_compounds() {
    compounds_ = true;
    expect_dataset_here(location_, path_, object_.get());
    const Hdf5 element{H5Dget_type(object_.get()), H5Tclose};
    const int members = H5Tget_nmembers(element.get());
    for (int k = 0; k < members; ++k) {
        char* name = H5Tget_member_name(element.get(), static_cast<unsigned>(k));
        if (name != nullptr) columns_.emplace_back(name);
        H5free_memory(name);
    }
    if (columns_.empty()) refuse(location_, fmt::format("table '{}' has no columns", path_));
    const auto named = std::ranges::find_if(columns_, [](const auto& n) { return n == "index" || n == "_index"; });
    index_ = named == columns_.end() ? columns_.front() : *named;
    std::erase(columns_, index_);
    const Hdf5 space{H5Dget_space(object_.get()), H5Sclose};
    hsize_t extent = 0;
    if (H5Sget_simple_extent_ndims(space.get()) != 1 || H5Sget_simple_extent_dims(space.get(), &extent, nullptr) != 1)
        refuse(location_, fmt::format("table '{}' is no list of rows", path_), "damaged file", "write it again");
    rows_ = static_cast<std::int64_t>(extent);
}

bool ObsFrame::has(const std::string& column) const {
    return column == index_ || std::ranges::find(columns_, column) != columns_.end();
}

ObsColumn ObsFrame::column(const std::string& name) const {
    ObsColumn column = compounds_ ? column_of_compounds(name) : column_of_group(name);
    if (rows_ >= 0 && column.rows() != rows_)
        refuse(location_, fmt::format("column '{}' of '{}' has {} rows", name, path_, column.rows()),
               fmt::format("the table has {}", rows_), "the file is damaged: write it again");
    return column;
}

PlainColumn ObsFrame::plain(const std::string& path, Hdf5 dataset, const std::string& member) const {
    Hdf5 type{H5Dget_type(dataset.get()), H5Tclose};
    if (!member.empty()) {
        const int index = H5Tget_member_index(type.get(), member.c_str());
        if (index >= 0) type = Hdf5{H5Tget_member_type(type.get(), static_cast<unsigned>(index)), H5Tclose};
    }
    PlainColumn column;
    if (TextRows::reads(type.get()))
        column.texts.emplace(location_, path, std::move(dataset), member);
    else
        column.numbers.emplace(location_, path, std::move(dataset), member);
    return column;
}

ObsColumn ObsFrame::column_of_group(const std::string& name) const {
    const std::string path = path_ + "/" + name;
    Hdf5 object = open_hdf5_object(location_, object_.get(), name);
    if (!object) refuse(location_, fmt::format("'{}' has no column '{}'", path_, name));
    const auto dataset = [&](hid_t from, const std::string& part) {
        Hdf5 found = open_hdf5_dataset(location_, from, part);
        if (!found) refuse(location_, fmt::format("'{}' has no '{}'", path, part), "damaged file", "write it again");
        return found;
    };
    const auto with_mask = [&](hid_t group, const std::string& of) {
        PlainColumn column = plain(of + "/values", dataset(group, "values"));
        column.mask.emplace(location_, of + "/mask", dataset(group, "mask"));
        return column;
    };
    const auto is_masked = [](hid_t group) { return has_link(group, "values") && has_link(group, "mask"); };

    if (is_group(object)) {
        const hid_t group = object.get();
        if (has_link(group, "codes") && has_link(group, "categories")) {
            NumericRows codes{location_, path + "/codes", dataset(group, "codes")};
            const Hdf5 names = open_hdf5_object(location_, group, "categories");
            const std::string where = path + "/categories";
            PlainColumn values = is_group(names) && is_masked(names.get()) ? with_mask(names.get(), where)
                                                                           : plain(where, dataset(group, "categories"));
            return {location_, name, std::move(codes), ObsColumn{location_, name, std::move(values)}};
        }
        if (is_masked(group)) return {location_, name, with_mask(group, path)};
        refuse(location_, fmt::format("column '{}' of '{}' is of a kind that is not read", name, path_),
               fmt::format("its encoding is '{}'", encoding_of(group)), "take another column");
    }
    if (H5Iget_type(object.get()) != H5I_DATASET)
        refuse(location_, fmt::format("'{}' is no column", path), "damaged file", "write it again");
    expect_dataset_here(location_, path, object.get());
    if (H5Aexists(object.get(), "categories") > 0) {
        Hdf5 names = categories_of(location_, object.get(), path);
        expect_dataset_here(location_, "categories of " + path, names.get());
        PlainColumn values = plain("categories of " + path, std::move(names));
        return {location_, name, NumericRows{location_, path, std::move(object)},
                ObsColumn{location_, name, std::move(values)}};
    }
    return {location_, name, plain(path, std::move(object))};
}

ObsColumn ObsFrame::column_of_compounds(const std::string& name) const {
    if (!has(name)) refuse(location_, fmt::format("'{}' has no column '{}'", path_, name));
    const auto reopened = [&] { return open_hdf5_dataset(location_, file_, path_); };
    PlainColumn values = plain(path_, reopened(), name);
    const std::string categories = "uns/" + name + "_categories";
    if (!values.numbers || !values.numbers->is_integer() || !has_link(file_, "uns") || !has_link(file_, categories))
        return {location_, name, std::move(values)};
    Hdf5 names = open_hdf5_dataset(location_, file_, categories);
    if (!names) return {location_, name, std::move(values)};
    ObsColumn known{location_, name, plain(categories, std::move(names))};

    // Numbers with such a neighbour by chance have values beyond it.
    std::vector<std::int64_t> codes(static_cast<std::size_t>(rows_));
    const GlobalRun all{GlobalIndex{0}, rows_};
    values.numbers->read({&all, 1}, std::span<std::int64_t>{codes});
    if (!codes.empty() && std::ranges::max(codes) >= known.rows()) return {location_, name, std::move(values)};
    return {location_, name, std::move(*values.numbers), std::move(known)};
}

}  // namespace convoy::io
