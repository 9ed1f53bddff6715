#pragma once
// What the first phases of all our HDF5 files share: groups, attributes and datasets made by one rank, so that the same
// contents give the same bytes.

#include <string>
#include <vector>

#include "io/hdf5_handles.hpp"
#include "io/result.hpp"

namespace convoy::io {

// HDF5's calls fail here only when the disk does: FatalFailure, since HDF5 then holds a file that it cannot close.
struct FileLayout {
    const std::string& out;  // the final name, for messages

    explicit FileLayout(const std::string& name) : out{name} {}

    void require(bool done, const char* what) const;

    // A new file in place of `part`, with these attributes and the mark `complete`, still 0.
    Hdf5 create(const std::string& part, const std::string& format, std::int64_t version, const Attributes& root) const;
    // The length that the file has now is reserved on the disk, before HDF5 has written much; then it is closed. HDF5
    // must not learn of a full disk when it closes the file.
    void reserve_and_close(const std::string& part, Hdf5& file) const;

    Hdf5 group(hid_t file, const std::string& path) const;
    void attributes(hid_t object, const Attributes& list) const;
    // Contiguous, its space taken at once.
    Hdf5 dataset(hid_t place, const std::string& path, hid_t type, const std::vector<hsize_t>& extents) const;
    // fp64, with the mark `checksum`, still 0: its numbers come in the second phase.
    Hdf5 large_dataset(hid_t file, const std::string& path, const std::vector<hsize_t>& extents) const;
    void column(hid_t group, const std::string& name, hid_t file_type, hid_t memory_type, std::size_t rows,
                const void* values) const;
    template <class Rows, class Member>
    void doubles(hid_t group, const std::string& name, const Rows& rows, Member member) const {
        std::vector<double> values;
        for (const auto& row : rows) values.push_back(row.*member);
        column(group, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, values.size(), values.data());
    }
    template <class Rows, class Member>
    void integers(hid_t group, const std::string& name, const Rows& rows, Member member) const {
        std::vector<std::int64_t> values;
        for (const auto& row : rows) values.push_back(row.*member);
        column(group, name, H5T_STD_I64LE, H5T_NATIVE_INT64, values.size(), values.data());
    }
    void texts(hid_t group, const std::string& name, const std::vector<std::string>& values) const;
    void timing(hid_t file, const std::vector<PhaseTiming>& rows) const;
    void input(hid_t file, const std::string& name, const InputIdentity& identity) const;

    // Attributes in the order of their creation and beside their object, however many; no times.
    static void keep_order(hid_t creation);
};

// What attributes take in a file, at most.
std::int64_t bytes_of(const Attributes& list);

}  // namespace convoy::io
