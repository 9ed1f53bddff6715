#include "io/zip_directory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "io/input_error.hpp"

namespace convoy::io {

namespace {

constexpr std::int64_t end_length = 22, end64_length = 56, locator_length = 20, entry_length = 46, local_length = 30;
constexpr std::int64_t longest_remark = 65535;
constexpr std::int64_t longest_directory = std::int64_t{64} << 20;

[[noreturn]] void damaged(const Location& location, const std::string& why) {
    refuse(location, "the zip archive is damaged or truncated", why, "copy or write it again, test it with: unzip -t");
}

// Little-endian, `size` bytes from `at`; the caller knows that they are there. Beyond 2^63 it is as good as 2^63 - 1.
std::int64_t number(std::string_view bytes, std::int64_t at, int size) {
    std::uint64_t value = 0;
    for (int i = size - 1; i >= 0; --i)
        value = value << 8 | static_cast<unsigned char>(bytes[static_cast<std::size_t>(at + i)]);
    return static_cast<std::int64_t>(std::min(value, std::uint64_t{INT64_MAX}));
}

std::string bytes_of(const ByteFile& file, std::int64_t at, std::int64_t count) {
    if (at < 0 || count < 0 || at > file.size() || count > file.size() - at)
        damaged(file.location(), fmt::format("bytes {} to {} of {}", at, at + count, file.size()));
    std::string bytes(static_cast<std::size_t>(count), '\0');
    file.read(at, bytes.data(), count);
    return bytes;
}

struct Directory {
    std::int64_t at = 0, bytes = 0, members = 0;
};

// The record at the archive's end: the last one whose remark ends where the file does.
Directory find_directory(const ByteFile& file) {
    const std::int64_t tail_length = std::min(file.size(), end_length + longest_remark);
    const std::string tail = bytes_of(file, file.size() - tail_length, tail_length);
    for (std::int64_t at = tail_length - end_length; at >= 0; --at) {
        if (tail.compare(static_cast<std::size_t>(at), 4, "PK\5\6") != 0) continue;
        if (number(tail, at + 20, 2) != tail_length - at - end_length) continue;
        Directory found{number(tail, at + 16, 4), number(tail, at + 12, 4), number(tail, at + 10, 2)};
        const bool large = found.at == 0xFFFFFFFF || found.bytes == 0xFFFFFFFF || found.members == 0xFFFF;
        const std::int64_t locator_at = file.size() - tail_length + at - locator_length;
        if (!large || locator_at < 0) return found;
        const std::string locator = bytes_of(file, locator_at, locator_length);
        if (!locator.starts_with("PK\6\7")) return found;
        const std::string end64 = bytes_of(file, number(locator, 8, 8), end64_length);
        if (!end64.starts_with("PK\6\6")) damaged(file.location(), "its 64-bit directory is not where it should be");
        return {number(end64, 48, 8), number(end64, 40, 8), number(end64, 32, 8)};
    }
    damaged(file.location(), "it has no directory");
}

// Where 32 bits do not hold a length, they are all ones and an extra field has it.
void take_long_numbers(std::string_view extra, ZipMember& member) {
    for (std::int64_t at = 0; at + 4 <= std::ssize(extra);) {
        const std::int64_t id = number(extra, at, 2), length = number(extra, at + 2, 2);
        at += 4;
        if (length > std::ssize(extra) - at) return;
        const std::int64_t end = at + length;
        if (id == 1) {
            for (std::int64_t* const value : {&member.bytes, &member.packed, &member.header_at}) {
                if (*value != 0xFFFFFFFF || at + 8 > end) continue;
                *value = number(extra, at, 8);
                at += 8;
            }
        }
        at = end;
    }
}

}  // namespace

std::vector<ZipMember> zip_members(const ByteFile& file) {
    const Directory directory = find_directory(file);
    if (directory.bytes > longest_directory)
        damaged(file.location(), fmt::format("its directory would have {} bytes", directory.bytes));
    const std::string entries = bytes_of(file, directory.at, directory.bytes);
    std::vector<ZipMember> members;
    for (std::int64_t at = 0; at + entry_length <= std::ssize(entries) && std::ssize(members) < directory.members;) {
        if (entries.compare(static_cast<std::size_t>(at), 4, "PK\1\2") != 0)
            damaged(file.location(), fmt::format("entry {} of its directory", members.size()));
        const std::int64_t name = number(entries, at + 28, 2), extra = number(entries, at + 30, 2),
                           remark = number(entries, at + 32, 2);
        if (name + extra > std::ssize(entries) - at - entry_length)
            damaged(file.location(), "its directory ends early");
        ZipMember member;
        member.encrypted = (number(entries, at + 8, 2) & 1) != 0;
        member.method = static_cast<int>(number(entries, at + 10, 2));
        member.crc = static_cast<std::uint32_t>(number(entries, at + 16, 4));
        member.packed = number(entries, at + 20, 4);
        member.bytes = number(entries, at + 24, 4);
        member.header_at = number(entries, at + 42, 4);
        const std::string_view all{entries};
        member.name = all.substr(static_cast<std::size_t>(at + entry_length), static_cast<std::size_t>(name));
        take_long_numbers(
            all.substr(static_cast<std::size_t>(at + entry_length + name), static_cast<std::size_t>(extra)), member);
        members.push_back(std::move(member));
        at += entry_length + name + extra + remark;
    }
    if (std::ssize(members) != directory.members)
        damaged(file.location(), fmt::format("{} of {} entries of its directory", members.size(), directory.members));
    return members;
}

std::int64_t data_of(const ByteFile& file, const ZipMember& member) {
    const std::string local = bytes_of(file, member.header_at, local_length);
    if (!local.starts_with("PK\3\4"))
        damaged(file.location(), fmt::format("'{}' is not where it should be", member.name));
    const std::int64_t at = member.header_at + local_length + number(local, 26, 2) + number(local, 28, 2);
    if (at > file.size() || member.packed > file.size() - at)
        damaged(file.location(), fmt::format("'{}' has {} bytes from byte {} on, the file {}", member.name,
                                             member.packed, at, file.size()));
    return at;
}

}  // namespace convoy::io
