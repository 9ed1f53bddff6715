#pragma once
// HDF5's identifiers as values that close themselves, and its errors as text.

#include <hdf5.h>

#include <string>
#include <utility>

namespace convoy::io {

// An HDF5 identifier and the function that closes it. Negative: none (what HDF5 returns on failure).
class Hdf5 {
 public:
    using Close = herr_t (*)(hid_t);

    Hdf5() = default;
    Hdf5(hid_t id, Close closer) : id_{id}, close_{closer} {}
    Hdf5(Hdf5&& from) noexcept : id_{std::exchange(from.id_, H5I_INVALID_HID)}, close_{from.close_} {}
    Hdf5& operator=(Hdf5&& from) noexcept {
        std::swap(id_, from.id_);
        std::swap(close_, from.close_);
        return *this;
    }
    ~Hdf5() { close(); }

    hid_t get() const { return id_; }
    explicit operator bool() const { return id_ >= 0; }
    // False if HDF5 could not close it, which for files means: not everything is on disk.
    bool close() { return id_ < 0 || close_(std::exchange(id_, H5I_INVALID_HID)) >= 0; }
    // Never closes it: after an error on an open parallel file, closing would wait for other ranks.
    void abandon() { id_ = H5I_INVALID_HID; }

 private:
    hid_t id_ = H5I_INVALID_HID;
    Close close_ = nullptr;
};

// To be called before any other call of HDF5, again and again: no error text of its own on stderr, no exit handler (it
// can crash after a failed close; every identifier here closes itself), the filter LZF, and links into other files are
// refused wherever they are met.
void prepare_hdf5();

// Was such a link met since the last time that this was asked?
bool link_out_was_met();

// LZF becomes one of HDF5's filters.
void register_lzf();

// What HDF5 says about the failure of the last call: its innermost message, or `otherwise`. Any further call of HDF5,
// such as closing an identifier, wipes it out.
std::string hdf5_error(const std::string& otherwise);

// Access of one rank alone, without file locks: many parallel file systems have none.
Hdf5 serial_access();

// Opens with the serial driver; if that fails, the file is falsy and `error` says why.
Hdf5 open_hdf5_file(const std::string& path, unsigned flags, std::string& error);

}  // namespace convoy::io
