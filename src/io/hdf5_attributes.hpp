#pragma once
// Scalar attributes of HDF5 objects.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "io/hdf5_handles.hpp"
#include "io/result.hpp"

namespace convoy::io {

// Variable-length UTF-8: what h5py gives as str.
Hdf5 string_type();

// Creates an attribute. False if HDF5 cannot.
bool write_attribute(hid_t object, const std::string& name, const Attribute& value);
// Marks that are filled in later, in place: created with 0, overwritten by set_mark.
bool create_mark(hid_t object, const std::string& name, hid_t file_type);
bool set_mark(hid_t object, const std::string& name, std::uint32_t value);

// An attribute as text: strings as they are, numbers so that they read back exactly, arrays as "(3 values)".
std::optional<std::string> attribute_text(hid_t object, const std::string& name);
// An attribute that is a list of text or of numbers; empty where it is neither, or not there.
std::vector<std::string> attribute_texts(hid_t object, const std::string& name);
std::vector<std::int64_t> attribute_integers(hid_t object, const std::string& name);
// All of an object's, in the order of their creation where the file kept it.
std::vector<std::pair<std::string, std::string>> attributes_of(hid_t object);

}  // namespace convoy::io
