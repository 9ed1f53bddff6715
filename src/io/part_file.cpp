#include "io/part_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <random>

#include "convoy/error.hpp"
#include "io/file_handle.hpp"

namespace convoy::io {

namespace {

std::string random_letters(std::size_t count) {
    static constexpr char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    std::random_device device;
    std::uniform_int_distribution<std::size_t> pick{0, sizeof(letters) - 2};
    std::string text;
    for (std::size_t i = 0; i < count; ++i) text += letters[pick(device)];
    return text;
}

std::string remedy_for(int error) {
    switch (error) {
        case ENOSPC:
        case EDQUOT:
            return "free some space, or write to another file system";
        case EFBIG:
            return "raise the limit of file sizes (ulimit -f)";
        default:
            return "check the folder and its permissions";
    }
}

[[noreturn]] void fail(const std::string& out, const std::string& problem, int error) {
    fail_to_write(out, problem, std::strerror(error), remedy_for(error));
}

void sync_folder(const std::string& out) {
    const auto folder = std::filesystem::path{out}.parent_path();
    const FileHandle handle{::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    // Some file systems cannot sync folders; the rename has happened all the same.
    if (handle) static_cast<void>(::fsync(handle.get()));
}

// 0 if the file has its new name, EEXIST if another has it, else what went wrong.
int rename_without_replacing(const std::string& part, const std::string& out) {
    if (::renameat2(AT_FDCWD, part.c_str(), AT_FDCWD, out.c_str(), RENAME_NOREPLACE) == 0) return 0;
    if (errno == EEXIST) return EEXIST;
    // Not every file system knows this (NFS, Lustre); a hard link does not replace either.
    if (::link(part.c_str(), out.c_str()) == 0) {
        ::unlink(part.c_str());
        return 0;
    }
    if (errno == EEXIST) return EEXIST;
    struct stat status;
    if (::lstat(out.c_str(), &status) == 0) return EEXIST;
    return ::rename(part.c_str(), out.c_str()) == 0 ? 0 : errno;
}

}  // namespace

void fail_to_write(const std::string& out, const std::string& problem, const std::string& why,
                   const std::string& remedy) {
    throw Failure{fmt::format("cannot write '{}': {} ({}); {}", out, problem, why, remedy)};
}

std::string create_part_file(const std::string& out) {
    for (int attempt = 0;; ++attempt) {
        const std::string part = fmt::format("{}.part.{}", out, random_letters(6));
        const FileHandle file{::open(part.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666)};
        if (file) return part;
        if (errno != EEXIST || attempt == 100) fail(out, "its part file cannot be created", errno);
    }
}

void reserve_part_file(const std::string& out, const std::string& part, std::int64_t bytes) {
    const FileHandle file{::open(part.c_str(), O_RDWR | O_CLOEXEC)};
    int error = file ? ::posix_fallocate(file.get(), 0, bytes) : errno;
    while (error == EINTR) error = ::posix_fallocate(file.get(), 0, bytes);
    // On a full disk what could be had is given back, so that what HDF5 still holds finds room.
    if (error != 0 && file) [[maybe_unused]]
        const int freed = ::ftruncate(file.get(), 0);
    if (error != 0) fail(out, fmt::format("{:.1f} MB cannot be reserved", static_cast<double>(bytes) * 1e-6), error);
}

void sync_part_file(const std::string& out, const std::string& part) {
    const FileHandle file{::open(part.c_str(), O_RDWR | O_CLOEXEC)};
    if (!file || ::fsync(file.get()) != 0) fail(out, "it could not be brought to disk", errno);
}

void publish_part_file(const std::string& out, const std::string& part, bool overwrite) {
    const int error =
        overwrite ? (::rename(part.c_str(), out.c_str()) == 0 ? 0 : errno) : rename_without_replacing(part, out);
    if (error == EEXIST)
        fail_to_write(out, "another file of this name has appeared",
                      fmt::format("the finished result is in '{}'", part), "rename it as you like");
    if (error != 0) fail(out, "its part file cannot be renamed", error);
    sync_folder(out);
}

void remove_part_file(const std::string& part) noexcept {
    if (!part.empty()) ::unlink(part.c_str());
}

}  // namespace convoy::io
