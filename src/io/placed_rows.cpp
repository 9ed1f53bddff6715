#include "io/placed_rows.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "io/file_layout.hpp"
#include "io/part_file.hpp"

namespace convoy::io {

std::int64_t offset_of(const std::string& out, hid_t dataset) {
    const haddr_t offset = H5Dget_offset(dataset);
    FileLayout{out}.require(offset != HADDR_UNDEF, "placing a dataset");
    return static_cast<std::int64_t>(offset);
}

void write_at(const std::string& out, int file, std::int64_t offset, std::span<const std::byte> bytes) {
    for (std::size_t done = 0; done < bytes.size();) {
        constexpr std::size_t most = std::size_t{1} << 30;
        const ssize_t more = ::pwrite(file, bytes.data() + done, std::min(most, bytes.size() - done),
                                      offset + static_cast<std::int64_t>(done));
        if (more < 0 && errno == EINTR) continue;
        if (more <= 0)
            fail_to_write(out, "its rows could not be written", more < 0 ? std::strerror(errno) : "nothing is taken",
                          "check the disk and its free space");
        done += static_cast<std::size_t>(more);
    }
}

}  // namespace convoy::io
