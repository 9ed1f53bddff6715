#include "io/array_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>

#include "convoy/error.hpp"
#include "io/checksum.hpp"
#include "io/file_handle.hpp"
#include "io/file_layout.hpp"
#include "io/hdf5_attributes.hpp"
#include "io/part_file.hpp"
#include "io/placed_rows.hpp"
#include "io/unfinished_file.hpp"

namespace convoy::io {

namespace {

constexpr std::int64_t texts_at_once = std::int64_t{1} << 14;

std::span<const std::byte> rows_of(const FileArray& array) {
    return std::visit([](const auto& values) { return std::as_bytes(std::span{values}); }, array.values);
}

std::int64_t bytes_of_row(const FileArray& array) {
    return 8 * std::max<std::int64_t>(array.width, 1);
}

bool is_empty(const FileArray& array) {
    return array.rows == 0;
}

std::vector<hsize_t> extents_of(const FileArray& array) {
    std::vector<hsize_t> extents{static_cast<hsize_t>(array.rows)};
    if (array.width > 0) extents.push_back(static_cast<hsize_t>(array.width));
    return extents;
}

std::int64_t bytes_needed(const ArrayFile& contents) {
    std::int64_t bytes = (std::int64_t{1} << 20) + bytes_of(contents.root);
    for (const FileArray& array : contents.arrays)
        bytes += 1024 + array.rows * bytes_of_row(array) + bytes_of(array.attributes);
    for (const FileTexts& texts : contents.texts) bytes += 1024 + 64 * texts.rows + bytes_of(texts.attributes);
    for (const auto& [path, attributes] : contents.groups) bytes += 1024 + bytes_of(attributes);
    return bytes;
}

void write_texts(const FileLayout& layout, hid_t file, const FileTexts& texts) {
    const Hdf5 type = string_type();
    const Hdf5 made = layout.dataset(file, texts.path, type.get(), {static_cast<hsize_t>(texts.rows)});
    layout.attributes(made.get(), texts.attributes);
    const Hdf5 all{H5Dget_space(made.get()), H5Sclose};
    for (std::int64_t first = 0; first < texts.rows; first += texts_at_once) {
        const std::int64_t count = std::min(texts_at_once, texts.rows - first);
        const std::vector<std::string> some = texts.read(first, count);
        CONVOY_ASSERT(std::ssize(some) == count);
        std::vector<const char*> pointers;
        for (const std::string& text : some) pointers.push_back(text.c_str());
        const hsize_t begin = static_cast<hsize_t>(first), extent = static_cast<hsize_t>(count);
        H5Sselect_hyperslab(all.get(), H5S_SELECT_SET, &begin, nullptr, &extent, nullptr);
        const Hdf5 here{H5Screate_simple(1, &extent, nullptr), H5Sclose};
        layout.require(H5Dwrite(made.get(), type.get(), here.get(), all.get(), H5P_DEFAULT, pointers.data()) >= 0,
                       "writing texts");
    }
}

void write_list(const FileLayout& layout, hid_t file, const FileList& list) {
    const Hdf5 object{H5Oopen(file, list.object.c_str(), H5P_DEFAULT), H5Oclose};
    const auto count = static_cast<hsize_t>(list.values.size());
    const Hdf5 space{H5Screate_simple(1, &count, nullptr), H5Sclose};
    const Hdf5 attribute{
        H5Acreate2(object.get(), list.name.c_str(), H5T_STD_I64LE, space.get(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose};
    const std::int64_t none = 0;
    const std::int64_t* const values = list.values.empty() ? &none : list.values.data();
    layout.require(object && attribute && H5Awrite(attribute.get(), H5T_NATIVE_INT64, values) >= 0,
                   "writing an attribute");
}

// Where each array's numbers begin. On one rank.
std::vector<std::int64_t> lay_out(const ArrayFile& contents, const std::string& out, const std::string& part) {
    const FileLayout layout{out};
    Hdf5 file = layout.create(part, contents.format, contents.format_version, contents.root);
    for (const auto& [path, attributes] : contents.groups)
        layout.attributes(layout.group(file.get(), path).get(), attributes);
    if (!contents.inputs.empty()) layout.group(file.get(), "inputs");
    for (const auto& [name, identity] : contents.inputs) layout.input(file.get(), name, identity);
    std::vector<std::int64_t> offsets;
    for (const FileArray& array : contents.arrays) {
        const bool whole = std::holds_alternative<std::vector<std::int64_t>>(array.values);
        const Hdf5 made =
            layout.dataset(file.get(), array.path, whole ? H5T_STD_I64LE : H5T_IEEE_F64LE, extents_of(array));
        layout.attributes(made.get(), array.attributes);
        layout.require(create_mark(made.get(), "checksum", H5T_STD_U32LE), "writing an attribute");
        offsets.push_back(is_empty(array) ? 0 : offset_of(out, made.get()));
    }
    for (const FileTexts& texts : contents.texts) write_texts(layout, file.get(), texts);
    for (const FileList& list : contents.lists) write_list(layout, file.get(), list);
    if (!contents.timing.empty()) layout.timing(file.get(), contents.timing);
    layout.reserve_and_close(part, file);
    return offsets;
}

void complete(const ArrayFile& contents, const std::vector<std::uint32_t>& checksums,
              const UnfinishedFile& unfinished) {
    const FileLayout layout{unfinished.out()};
    std::string error;
    Hdf5 file = open_hdf5_file(unfinished.part(), H5F_ACC_RDWR, error);
    layout.require(static_cast<bool>(file), "opening the part file again");
    for (std::size_t k = 0; k < checksums.size(); ++k) {
        const Hdf5 dataset{H5Dopen2(file.get(), contents.arrays[k].path.c_str(), H5P_DEFAULT), H5Dclose};
        layout.require(dataset && set_mark(dataset.get(), "checksum", checksums[k]), "writing a checksum");
    }
    layout.require(set_mark(file.get(), "complete", 1), "marking the file complete");
    layout.require(file.close(), "closing the file");
}

}  // namespace

void write_array_file(const Communicator& world, const ArrayFile& contents, const std::string& path, bool overwrite,
                      const std::function<void(const std::string&)>& last_touch) {
    UnfinishedFile file{world, path};
    std::vector<std::int64_t> offsets(contents.arrays.size());
    agree(world, [&] {
        if (!world.is_root()) return;
        // Before HDF5 has anything to lose; creating the file gives the space back, and layout takes it again.
        reserve_part_file(path, file.part(), bytes_needed(contents));
        offsets = lay_out(contents, path, file.part());
        sync_part_file(path, file.part());
    });
    world.broadcast(std::span{offsets});
    FileHandle handle;
    agree(world, [&] {
        handle = FileHandle{::open(file.part().c_str(), O_WRONLY | O_CLOEXEC)};
        if (!handle)
            fail_to_write(path, "a rank cannot open its part file", std::strerror(errno),
                          "write to a file system that all ranks see");
        for (std::size_t k = 0; k < offsets.size(); ++k) {
            const FileArray& array = contents.arrays[k];
            write_at(path, handle.get(), offsets[k] + bytes_of_row(array) * array.first, rows_of(array));
        }
        if (::fsync(handle.get()) != 0)
            fail_to_write(path, "it could not be brought to disk", std::strerror(errno),
                          "check the disk and its free space");
        handle = FileHandle{};
    });
    std::vector<std::uint32_t> checksums;
    for (const FileArray& array : contents.arrays) {
        const auto bytes = rows_of(array);
        checksums.push_back(crc32c_of_all(world, crc32c(bytes), std::ssize(bytes), array.first));
    }
    agree(world, [&] {
        if (!world.is_root()) return;
        complete(contents, checksums, file);
        sync_part_file(path, file.part());
    });
    last_touch(file.part());
    file.publish(overwrite);
}

}  // namespace convoy::io
