#include "io/hdf5_handles.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace convoy::io {

namespace {

bool link_out = false;

// Takes the place of HDF5's own way through external links: a file must not say which other file is opened.
void refuse_links_out() {
    H5L_class_t links{};
    links.version = H5L_LINK_CLASS_T_VERS;
    links.id = H5L_TYPE_EXTERNAL;
    links.comment = "refused";
    links.trav_func = [](const char*, hid_t, const void*, std::size_t, hid_t, hid_t) -> hid_t {
        link_out = true;
        return H5I_INVALID_HID;
    };
    H5Lregister(&links);
}

}  // namespace

void prepare_hdf5() {
    [[maybe_unused]] static const bool once = [] {
        H5dont_atexit();
        H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
        register_lzf();
        refuse_links_out();
        return true;
    }();
}

bool link_out_was_met() {
    return std::exchange(link_out, false);
}

std::string hdf5_error(const std::string& otherwise) {
    std::string text;
    const auto note = [](unsigned, const H5E_error2_t* error, void* into) -> herr_t {
        if (error->desc != nullptr && *error->desc != '\0') *static_cast<std::string*>(into) = error->desc;
        return 0;
    };
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, note, &text);  // from the call to its cause: the last one stays
    // Where the system refused, a long report ends with its words.
    constexpr std::string_view before = "error message = '";
    if (const auto at = text.find(before); at != std::string::npos) {
        text.erase(0, at + before.size());
        text.erase(std::min(text.find('\''), text.size()));
    }
    std::ranges::replace(text, '\n', ' ');
    return text.empty() ? otherwise : text;
}

Hdf5 serial_access() {
    prepare_hdf5();
    Hdf5 access{H5Pcreate(H5P_FILE_ACCESS), H5Pclose};
#if H5_VERSION_GE(1, 10, 7)
    H5Pset_file_locking(access.get(), false, true);
#endif
    return access;
}

Hdf5 open_hdf5_file(const std::string& path, unsigned flags, std::string& error) {
    const Hdf5 access = serial_access();
    Hdf5 file{H5Fopen(path.c_str(), flags, access.get()), H5Fclose};
    if (!file) error = hdf5_error("unknown reason");
    return file;
}

}  // namespace convoy::io
