#pragma once
// AnnData's files made for tests, in each of the layouts that it has written.

#include <hdf5.h>

#include <cstring>
#include <limits>
#include <string>
#include <variant>
#include <vector>

#include "hdf5_files.hpp"
#include "io/hdf5_attributes.hpp"

namespace convoy::io {

enum class Generation { compounds, references, groups };  // 0.5 and 0.6, 0.7, 0.8 and newer

inline const char* name_of(Generation generation) {
    return generation == Generation::compounds    ? "compounds"
           : generation == Generation::references ? "references"
                                                  : "groups";
}

using Texts = std::vector<std::string>;
using Doubles = std::vector<double>;
using Integers = std::vector<std::int64_t>;
struct Categories {
    std::vector<int> codes;
    std::variant<Texts, Doubles> names;
};
struct Booleans {
    std::vector<bool> values;
};
struct Masked {  // nullable; in `groups` only
    Integers values;
    std::vector<bool> mask;
};
struct Singles {
    std::vector<float> values;
};
struct ObsColumnOf {
    std::string name;
    std::variant<Texts, Doubles, Integers, Categories, Booleans, Masked, Singles> values;
};

inline Hdf5 text_type() {
    return string_type();
}

inline Hdf5 boolean_type() {
    Hdf5 type{H5Tenum_create(H5T_NATIVE_INT8), H5Tclose};
    std::int8_t value = 0;
    H5Tenum_insert(type.get(), "FALSE", &value);
    value = 1;
    H5Tenum_insert(type.get(), "TRUE", &value);
    return type;
}

inline void add_text_attribute(hid_t object, const std::string& name, const std::string& text) {
    write_attribute(object, name, Attribute{text});
}

inline void add_list_attribute(hid_t object, const std::string& name, const Texts& texts) {
    std::vector<const char*> pointers;
    for (const std::string& text : texts) pointers.push_back(text.c_str());
    const hsize_t count = texts.size();
    const Hdf5 type = text_type(), space{H5Screate_simple(1, &count, nullptr), H5Sclose};
    const Hdf5 attribute{H5Acreate2(object, name.c_str(), type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose};
    H5Awrite(attribute.get(), type.get(), pointers.data());
}

inline void add_shape_attribute(hid_t object, const std::string& name, std::int64_t rows, std::int64_t columns) {
    const hsize_t two = 2;
    const std::int64_t shape[2] = {rows, columns};
    const Hdf5 space{H5Screate_simple(1, &two, nullptr), H5Sclose};
    const Hdf5 attribute{H5Acreate2(object, name.c_str(), H5T_STD_I64LE, space.get(), H5P_DEFAULT, H5P_DEFAULT),
                         H5Aclose};
    H5Awrite(attribute.get(), H5T_NATIVE_INT64, shape);
}

template <class T>
Hdf5 add_values(hid_t place, const std::string& path, hid_t file_type, hid_t memory_type, const std::vector<T>& values,
                hid_t creation = H5P_DEFAULT) {
    Hdf5 dataset = make_dataset(place, path, file_type, {values.size()}, creation);
    if (!values.empty()) H5Dwrite(dataset.get(), memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
    return dataset;
}

inline Hdf5 add_texts(hid_t place, const std::string& path, const Texts& texts, hid_t creation = H5P_DEFAULT) {
    std::vector<const char*> pointers;
    for (const std::string& text : texts) pointers.push_back(text.c_str());
    const Hdf5 type = text_type();
    return add_values(place, path, type.get(), type.get(), pointers, creation);
}

inline std::vector<std::int8_t> bytes_of_booleans(const std::vector<bool>& values) {
    return {values.begin(), values.end()};
}

// The groups on the way to `path`: a name with slashes is one.
inline void add_way(hid_t place, const std::string& path) {
    for (auto slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1))
        if (H5Lexists(place, path.substr(0, slash).c_str(), H5P_DEFAULT) <= 0) add_group(place, path.substr(0, slash));
}

// One column of a group: 0.7 or 0.8.
inline void add_column(hid_t group, const ObsColumnOf& column, Generation generation, hid_t creation) {
    const auto add_names = [&](hid_t place, const std::string& path, const Categories& values) {
        if (const auto* texts = std::get_if<Texts>(&values.names)) return add_texts(place, path, *texts, creation);
        return add_values(place, path, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, std::get<Doubles>(values.names), creation);
    };
    const std::string& name = column.name;
    add_way(group, name);
    if (const auto* texts = std::get_if<Texts>(&column.values)) {
        add_texts(group, name, *texts, creation);
    } else if (const auto* doubles = std::get_if<Doubles>(&column.values)) {
        add_values(group, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, *doubles, creation);
    } else if (const auto* singles = std::get_if<Singles>(&column.values)) {
        add_values(group, name, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, singles->values, creation);
    } else if (const auto* integers = std::get_if<Integers>(&column.values)) {
        add_values(group, name, H5T_STD_I64LE, H5T_NATIVE_INT64, *integers, creation);
    } else if (const auto* booleans = std::get_if<Booleans>(&column.values)) {
        const Hdf5 type = boolean_type();
        add_values(group, name, type.get(), type.get(), bytes_of_booleans(booleans->values), creation);
    } else if (const auto* masked = std::get_if<Masked>(&column.values)) {
        const Hdf5 own{H5Gcreate2(group, name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose};
        const Hdf5 type = boolean_type();
        add_text_attribute(own.get(), "encoding-type", "nullable-integer");
        add_values(own.get(), "values", H5T_STD_I64LE, H5T_NATIVE_INT64, masked->values, creation);
        add_values(own.get(), "mask", type.get(), type.get(), bytes_of_booleans(masked->mask), creation);
    } else {
        const auto& categories = std::get<Categories>(column.values);
        if (generation == Generation::groups) {
            const Hdf5 own{H5Gcreate2(group, name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose};
            add_text_attribute(own.get(), "encoding-type", "categorical");
            add_values(own.get(), "codes", H5T_STD_I8LE, H5T_NATIVE_INT, categories.codes, creation);
            add_names(own.get(), "categories", categories);
            return;
        }
        const std::string path = "__categories/" + name;
        add_way(group, path);
        add_names(group, path, categories);
        const Hdf5 codes = add_values(group, name, H5T_STD_I8LE, H5T_NATIVE_INT, categories.codes, creation);
        hobj_ref_t reference = 0;
        H5Rcreate(&reference, group, path.c_str(), H5R_OBJECT, -1);
        const Hdf5 scalar{H5Screate(H5S_SCALAR), H5Sclose};
        const Hdf5 attribute{
            H5Acreate2(codes.get(), "categories", H5T_STD_REF_OBJ, scalar.get(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose};
        H5Awrite(attribute.get(), H5T_STD_REF_OBJ, &reference);
    }
}

// One dataset of compounds, with text of fixed length: 0.5 and 0.6. Names of categories are in /uns.
inline void add_compounds(hid_t file, const std::string& path, const Texts& index,
                          const std::vector<ObsColumnOf>& columns, hid_t creation) {
    struct Field {
        std::string name;
        Hdf5 type;
        std::size_t offset, bytes;
    };
    std::vector<Field> fields;
    std::size_t size = 0;
    const auto add_field = [&](const std::string& name, Hdf5 type) {
        const std::size_t bytes = H5Tget_size(type.get());
        fields.push_back({name, std::move(type), size, bytes});
        size += bytes;
    };
    const auto copy = [](hid_t type) { return Hdf5{H5Tcopy(type), H5Tclose}; };
    const auto fixed = [](const Texts& texts) {
        Hdf5 type{H5Tcopy(H5T_C_S1), H5Tclose};
        std::size_t longest = 1;
        for (const std::string& text : texts) longest = std::max(longest, text.size());
        H5Tset_size(type.get(), longest);
        H5Tset_strpad(type.get(), H5T_STR_NULLPAD);
        return type;
    };
    add_field("index", fixed(index));
    for (const ObsColumnOf& column : columns) {
        if (const auto* texts = std::get_if<Texts>(&column.values)) add_field(column.name, fixed(*texts));
        if (std::holds_alternative<Doubles>(column.values)) add_field(column.name, copy(H5T_NATIVE_DOUBLE));
        if (std::holds_alternative<Singles>(column.values)) add_field(column.name, copy(H5T_NATIVE_FLOAT));
        if (std::holds_alternative<Integers>(column.values)) add_field(column.name, copy(H5T_NATIVE_INT64));
        if (std::holds_alternative<Booleans>(column.values)) add_field(column.name, boolean_type());
        if (std::holds_alternative<Categories>(column.values)) add_field(column.name, copy(H5T_NATIVE_INT8));
    }
    std::vector<char> rows(size * index.size(), '\0');
    const auto put = [&](std::size_t field, std::size_t row, const void* from, std::size_t bytes) {
        std::memcpy(rows.data() + row * size + fields[field].offset, from, bytes);
    };
    for (std::size_t i = 0; i < index.size(); ++i) {
        put(0, i, index[i].data(), index[i].size());
        std::size_t field = 1;
        for (const ObsColumnOf& column : columns) {
            if (std::holds_alternative<Masked>(column.values)) continue;
            if (const auto* texts = std::get_if<Texts>(&column.values))
                put(field, i, (*texts)[i].data(), (*texts)[i].size());
            if (const auto* doubles = std::get_if<Doubles>(&column.values)) put(field, i, &(*doubles)[i], 8);
            if (const auto* singles = std::get_if<Singles>(&column.values)) put(field, i, &singles->values[i], 4);
            if (const auto* integers = std::get_if<Integers>(&column.values)) put(field, i, &(*integers)[i], 8);
            if (const auto* booleans = std::get_if<Booleans>(&column.values)) {
                const char value = booleans->values[i] ? 1 : 0;
                put(field, i, &value, 1);
            }
            if (const auto* categories = std::get_if<Categories>(&column.values)) {
                const auto code = static_cast<std::int8_t>(categories->codes[i]);
                put(field, i, &code, 1);
            }
            ++field;
        }
    }
    const Hdf5 compound{H5Tcreate(H5T_COMPOUND, size), H5Tclose};
    for (const Field& field : fields) H5Tinsert(compound.get(), field.name.c_str(), field.offset, field.type.get());
    const Hdf5 dataset = make_dataset(file, path, compound.get(), {index.size()}, creation);
    if (!rows.empty()) H5Dwrite(dataset.get(), compound.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, rows.data());
    for (const ObsColumnOf& column : columns) {
        const auto* categories = std::get_if<Categories>(&column.values);
        if (categories == nullptr) continue;
        if (H5Lexists(file, "uns", H5P_DEFAULT) <= 0) add_group(file, "uns");
        const std::string names = "uns/" + column.name + "_categories";
        if (const auto* texts = std::get_if<Texts>(&categories->names)) {
            const Hdf5 type = fixed(*texts);
            const std::size_t length = H5Tget_size(type.get());
            std::vector<char> all(length * texts->size(), '\0');
            for (std::size_t k = 0; k < texts->size(); ++k)
                std::memcpy(all.data() + k * length, (*texts)[k].data(), (*texts)[k].size());
            const Hdf5 list = make_dataset(file, names, type.get(), {texts->size()});
            H5Dwrite(list.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, all.data());
        } else {
            add_values(file, names, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, std::get<Doubles>(categories->names));
        }
    }
}

inline void add_frame(hid_t file, const std::string& path, const Texts& index, const std::vector<ObsColumnOf>& columns,
                      Generation generation, hid_t creation = H5P_DEFAULT) {
    if (generation == Generation::compounds) return add_compounds(file, path, index, columns, creation);
    const Hdf5 group{H5Gcreate2(file, path.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose};
    add_text_attribute(group.get(), "encoding-type", "dataframe");
    add_text_attribute(group.get(), "_index", "cell names");
    Texts order;
    for (const ObsColumnOf& column : columns) order.push_back(column.name);
    if (!order.empty()) add_list_attribute(group.get(), "column-order", order);
    add_texts(group.get(), "cell names", index, creation);
    for (const ObsColumnOf& column : columns) add_column(group.get(), column, generation, creation);
}

// A sparse matrix of `dense` (rows x columns): 0.7 and newer, or as it was up to 0.6.
inline void add_sparse(hid_t file, const std::string& path, const Doubles& dense, std::int64_t rows,
                       std::int64_t columns, bool by_rows, bool older = false, hid_t creation = H5P_DEFAULT) {
    Doubles data;
    Integers indices, pointers{0};
    for (std::int64_t line = 0; line < (by_rows ? rows : columns); ++line) {
        for (std::int64_t k = 0; k < (by_rows ? columns : rows); ++k) {
            const double value = dense[static_cast<std::size_t>(by_rows ? line * columns + k : k * columns + line)];
            if (value == 0) continue;
            data.push_back(value);
            indices.push_back(k);
        }
        pointers.push_back(std::ssize(data));
    }
    const Hdf5 group{H5Gcreate2(file, path.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose};
    if (older) {
        add_text_attribute(group.get(), "h5sparse_format", by_rows ? "csr" : "csc");
        add_shape_attribute(group.get(), "h5sparse_shape", rows, columns);
    } else {
        add_text_attribute(group.get(), "encoding-type", by_rows ? "csr_matrix" : "csc_matrix");
        add_shape_attribute(group.get(), "shape", rows, columns);
    }
    add_values(group.get(), "data", H5T_IEEE_F32LE, H5T_NATIVE_DOUBLE, data, creation);
    add_values(group.get(), "indices", H5T_STD_I32LE, H5T_NATIVE_INT64, indices, creation);
    add_values(group.get(), "indptr", H5T_STD_I32LE, H5T_NATIVE_INT64, pointers, creation);
}

}  // namespace convoy::io
