#include "io/hdf5_attributes.hpp"

#include <fmt/format.h>

#include <string_view>

namespace convoy::io {

namespace {

bool write_scalar(hid_t object, const std::string& name, hid_t file_type, hid_t memory_type, const void* value) {
    const Hdf5 space{H5Screate(H5S_SCALAR), H5Sclose};
    const Hdf5 attribute{H5Acreate2(object, name.c_str(), file_type, space.get(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose};
    return attribute && H5Awrite(attribute.get(), memory_type, value) >= 0;
}

std::string string_text(hid_t attribute, hid_t type) {
    if (H5Tis_variable_str(type) > 0) {
        char* text = nullptr;
        const Hdf5 memory = string_type();
        H5Tset_cset(memory.get(), H5Tget_cset(type));
        if (H5Aread(attribute, memory.get(), &text) < 0 || text == nullptr) return "";
        std::string copy = text;
        H5free_memory(text);
        return copy;
    }
    std::string text(H5Tget_size(type), '\0');
    if (text.size() > 65536 || H5Aread(attribute, type, text.data()) < 0) return "";
    return text.c_str();
}

std::string number_text(hid_t attribute, hid_t type) {
    if (H5Tget_class(type) == H5T_FLOAT) {
        double value = 0;
        H5Aread(attribute, H5T_NATIVE_DOUBLE, &value);
        return fmt::format("{}", value);
    }
    if (H5Tget_sign(type) == H5T_SGN_NONE) {
        unsigned long long value = 0;
        H5Aread(attribute, H5T_NATIVE_ULLONG, &value);
        return fmt::format("{}", value);
    }
    long long value = 0;
    H5Aread(attribute, H5T_NATIVE_LLONG, &value);
    return fmt::format("{}", value);
}

std::string text_of(hid_t attribute) {
    const Hdf5 space{H5Aget_space(attribute), H5Sclose};
    const Hdf5 type{H5Aget_type(attribute), H5Tclose};
    const hssize_t values = H5Sget_simple_extent_npoints(space.get());
    if (values != 1) return fmt::format("({} values)", values);
    switch (H5Tget_class(type.get())) {
        case H5T_STRING:
            return string_text(attribute, type.get());
        case H5T_FLOAT:
        case H5T_INTEGER:
            return number_text(attribute, type.get());
        default:
            return "(not a number or text)";
    }
}

}  // namespace

Hdf5 string_type() {
    Hdf5 type{H5Tcopy(H5T_C_S1), H5Tclose};
    H5Tset_size(type.get(), H5T_VARIABLE);
    H5Tset_cset(type.get(), H5T_CSET_UTF8);
    return type;
}

bool write_attribute(hid_t object, const std::string& name, const Attribute& value) {
    if (const auto* text = std::get_if<std::string>(&value)) {
        const Hdf5 type = string_type();
        const char* pointer = text->c_str();
        return write_scalar(object, name, type.get(), type.get(), &pointer);
    }
    if (const auto* number = std::get_if<double>(&value))
        return write_scalar(object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, number);
    return write_scalar(object, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &std::get<std::int64_t>(value));
}

bool create_mark(hid_t object, const std::string& name, hid_t file_type) {
    const std::uint32_t zero = 0;
    return write_scalar(object, name, file_type, H5T_NATIVE_UINT32, &zero);
}

bool set_mark(hid_t object, const std::string& name, std::uint32_t value) {
    const Hdf5 attribute{H5Aopen(object, name.c_str(), H5P_DEFAULT), H5Aclose};
    return attribute && H5Awrite(attribute.get(), H5T_NATIVE_UINT32, &value) >= 0;
}

std::optional<std::string> attribute_text(hid_t object, const std::string& name) {
    if (H5Aexists(object, name.c_str()) <= 0) return std::nullopt;
    const Hdf5 attribute{H5Aopen(object, name.c_str(), H5P_DEFAULT), H5Aclose};
    if (!attribute) return std::nullopt;
    return text_of(attribute.get());
}

namespace {

constexpr hssize_t longest_list = 1000000;

// How many values an attribute has, 0 if too many for a list.
std::size_t length_of(hid_t attribute) {
    const Hdf5 space{H5Aget_space(attribute), H5Sclose};
    const hssize_t values = H5Sget_simple_extent_npoints(space.get());
    return values > 0 && values <= longest_list ? static_cast<std::size_t>(values) : 0;
}

}  // namespace

std::vector<std::string> attribute_texts(hid_t object, const std::string& name) {
    std::vector<std::string> texts;
    if (H5Aexists(object, name.c_str()) <= 0) return texts;
    const Hdf5 attribute{H5Aopen(object, name.c_str(), H5P_DEFAULT), H5Aclose};
    const Hdf5 type{H5Aget_type(attribute.get()), H5Tclose};
    const std::size_t count = attribute ? length_of(attribute.get()) : 0;
    if (count == 0 || H5Tget_class(type.get()) != H5T_STRING) return texts;
    if (H5Tis_variable_str(type.get()) > 0) {
        const Hdf5 memory = string_type();
        H5Tset_cset(memory.get(), H5Tget_cset(type.get()));
        std::vector<char*> pointers(count, nullptr);
        if (H5Aread(attribute.get(), memory.get(), pointers.data()) >= 0)
            for (const char* text : pointers) texts.emplace_back(text != nullptr ? text : "");
        for (char* text : pointers) H5free_memory(text);
        return texts;
    }
    const std::size_t length = H5Tget_size(type.get());
    if (length > 65536) return texts;
    std::string all(count * length, '\0');
    if (H5Aread(attribute.get(), type.get(), all.data()) < 0) return texts;
    for (std::size_t k = 0; k < count; ++k) {
        const std::string_view text = std::string_view{all}.substr(k * length, length);
        texts.emplace_back(text.substr(0, text.find('\0')));
    }
    return texts;
}

std::vector<std::int64_t> attribute_integers(hid_t object, const std::string& name) {
    if (H5Aexists(object, name.c_str()) <= 0) return {};
    const Hdf5 attribute{H5Aopen(object, name.c_str(), H5P_DEFAULT), H5Aclose};
    const Hdf5 type{H5Aget_type(attribute.get()), H5Tclose};
    if (!attribute || H5Tget_class(type.get()) != H5T_INTEGER || H5Tget_size(type.get()) > 8) return {};
    std::vector<std::int64_t> values(length_of(attribute.get()));
    if (values.empty() || H5Aread(attribute.get(), H5T_NATIVE_INT64, values.data()) < 0) return {};
    return values;
}

std::vector<std::pair<std::string, std::string>> attributes_of(hid_t object) {
    std::vector<std::string> names;
    const auto note = [](hid_t, const char* name, const H5A_info_t*, void* into) -> herr_t {
        static_cast<std::vector<std::string>*>(into)->emplace_back(name);
        return 0;
    };
    hsize_t from = 0;
    if (H5Aiterate2(object, H5_INDEX_CRT_ORDER, H5_ITER_INC, &from, note, &names) < 0) {
        names.clear();
        from = 0;
        H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, &from, note, &names);
    }
    std::vector<std::pair<std::string, std::string>> attributes;
    for (const std::string& name : names) attributes.emplace_back(name, attribute_text(object, name).value_or(""));
    return attributes;
}

}  // namespace convoy::io
