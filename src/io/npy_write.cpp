#include "io/npy_write.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>

#include "convoy/error.hpp"
#include "io/file_handle.hpp"
#include "io/part_file.hpp"
#include "io/placed_rows.hpp"
#include "io/unfinished_file.hpp"

namespace convoy::io {

namespace {

// Version 1.0: magic, two bytes of version, two of length, then a Python dictionary, padded so that numbers begin at a
// multiple of 64.
std::string header_of(const FileArray& array) {
    const bool real = !std::holds_alternative<std::vector<std::int64_t>>(array.values);
    const std::string shape =
        array.width > 0 ? fmt::format("({}, {})", array.rows, array.width) : fmt::format("({},)", array.rows);
    std::string words =
        fmt::format("{{'descr': '<{}8', 'fortran_order': False, 'shape': {}, }}", real ? 'f' : 'i', shape);
    constexpr std::size_t before = 10;
    words.append(64 - (before + words.size() + 1) % 64, ' ');
    words += '\n';
    std::string header = "\x93NUMPY";
    header += '\1';
    header += '\0';
    header += static_cast<char>(words.size() & 0xff);
    header += static_cast<char>(words.size() >> 8);
    return header + words;
}

}  // namespace

void write_npy(const Communicator& world, const FileArray& array, const std::string& path, bool overwrite) {
    UnfinishedFile file{world, path};
    const std::string header = header_of(array);
    const std::int64_t row = 8 * std::max<std::int64_t>(array.width, 1), begin = std::ssize(header);
    agree(world, [&] {
        if (!world.is_root()) return;
        reserve_part_file(path, file.part(), begin + array.rows * row);
    });
    agree(world, [&] {
        FileHandle handle{::open(file.part().c_str(), O_WRONLY | O_CLOEXEC)};
        if (!handle)
            fail_to_write(path, "a rank cannot open its part file", std::strerror(errno),
                          "write to a file system that all ranks see");
        if (world.is_root()) write_at(path, handle.get(), 0, std::as_bytes(std::span{header}));
        const auto bytes =
            std::visit([](const auto& values) { return std::as_bytes(std::span{values}); }, array.values);
        write_at(path, handle.get(), begin + array.first * row, bytes);
        if (::fsync(handle.get()) != 0)
            fail_to_write(path, "it could not be brought to disk", std::strerror(errno),
                          "check the disk and its free space");
    });
    file.publish(overwrite);
}

}  // namespace convoy::io
