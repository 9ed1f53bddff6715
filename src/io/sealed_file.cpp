#include "io/sealed_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <span>
#include <vector>

#include "convoy/partition.hpp"
#include "io/checksum.hpp"
#include "io/file_handle.hpp"
#include "io/input_error.hpp"
#include "io/part_file.hpp"
#include "io/placed_rows.hpp"

namespace convoy::io {

namespace {

std::string seal_text(std::uint32_t checksum, std::int64_t bytes) {
    return fmt::format("\nconvoy seal crc32c {:08x} bytes {:019d}\n", checksum, bytes);
}

const auto seal_length = static_cast<std::int64_t>(seal_text(0, 0).size());

using Fail = std::function<void(const char* why)>;

// Reads all of `out` from there, or calls `fail`, which throws.
void read_at(int file, std::int64_t offset, std::span<std::byte> out, const Fail& fail) {
    for (std::size_t done = 0; done < out.size();) {
        const ssize_t more =
            ::pread(file, out.data() + done, out.size() - done, offset + static_cast<std::int64_t>(done));
        if (more < 0 && errno == EINTR) continue;
        if (more < 0) fail(std::strerror(errno));
        if (more == 0) fail("it ends too early");
        done += static_cast<std::size_t>(more);
    }
}

std::int64_t length_of(int file) {
    struct stat status;
    return ::fstat(file, &status) == 0 ? static_cast<std::int64_t>(status.st_size) : 0;
}

}  // namespace

std::uint32_t checksum_of_bytes(const Communicator& world, int file, std::int64_t begin, std::int64_t bytes,
                                const Fail& fail) {
    constexpr std::int64_t at_once = std::int64_t{1} << 24;
    const GlobalRun mine = Partition::even(bytes, world.size()).run(PartIndex{world.rank()});
    std::uint32_t sum = 0;
    agree(world, [&] {
        std::vector<std::byte> buffer(static_cast<std::size_t>(std::min(at_once, mine.count)));
        for (std::int64_t done = 0; done < mine.count; done += at_once) {
            const std::span some{buffer.data(), static_cast<std::size_t>(std::min(at_once, mine.count - done))};
            read_at(file, begin + mine.first.value + done, some, fail);
            sum = crc32c(std::span<const std::byte>{some}, sum);
        }
    });
    return crc32c_of_all(world, sum, mine.count, mine.first.value);
}

void seal(const Communicator& world, const std::string& out, const std::string& part) {
    FileHandle file;
    const Fail fail = [&](const char* why) {
        fail_to_write(out, "what was written could not be read again", why, "check the disk");
    };
    agree(world, [&] {
        file = FileHandle{::open(part.c_str(), (world.is_root() ? O_RDWR : O_RDONLY) | O_CLOEXEC)};
        if (!file) fail(std::strerror(errno));
    });
    std::int64_t bytes = length_of(file.get());
    world.broadcast(bytes);
    const std::uint32_t sum = checksum_of_bytes(world, file.get(), 0, bytes, fail);
    agree(world, [&] {
        if (!world.is_root()) return;
        const std::string text = seal_text(sum, bytes);
        write_at(out, file.get(), bytes, std::as_bytes(std::span{text}));
        sync_part_file(out, part);
    });
}

void expect_sealed(const Communicator& world, const std::string& path) {
    const Location location{path, ""};
    FileHandle file;
    const Fail fail = [&](const char* why) { refuse(location, "it cannot be read", why, "check the disk"); };
    const auto damaged = [&](const std::string& why) {
        refuse(location, "the file is damaged", why, "use another copy, or start afresh");
    };
    std::string found(static_cast<std::size_t>(seal_length), '\0');
    std::int64_t bytes = 0;
    agree(world, [&] {
        expect_readable_file(location);
        file = FileHandle{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
        if (!file) fail(std::strerror(errno));
        bytes = length_of(file.get()) - seal_length;
        if (bytes < 0) damaged("it is too short");
        read_at(file.get(), bytes, std::as_writable_bytes(std::span{found}), fail);
        if (!found.starts_with("\nconvoy seal ")) damaged("it does not end as a whole one does");
    });
    world.broadcast(bytes);
    const std::uint32_t sum = checksum_of_bytes(world, file.get(), 0, bytes, fail);
    agree(world, [&] {
        if (world.is_root() && found != seal_text(sum, bytes)) damaged("its bytes are not those that were written");
    });
}

}  // namespace convoy::io
