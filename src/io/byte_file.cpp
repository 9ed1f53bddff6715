#include "io/byte_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "convoy/error.hpp"
#include "io/input_error.hpp"

namespace convoy::io {

ByteFile::ByteFile(const Location& location)
    : location_{location}, file_{::open(location.path.c_str(), O_RDONLY | O_CLOEXEC)} {
    struct stat status {};
    if (!file_ || ::fstat(file_.get(), &status) != 0)
        refuse(location, std::strerror(errno), "", "check the file and its permissions");
    size_ = status.st_size;
}

void ByteFile::read(std::int64_t offset, char* out, std::int64_t count) const {
    constexpr std::int64_t most = std::int64_t{1} << 30;  // Linux gives at most 2 GiB at once
    for (std::int64_t done = 0; done < count;) {
        const auto wanted = static_cast<std::size_t>(std::min(most, count - done));
        const ssize_t got = ::pread(file_.get(), out + done, wanted, offset + done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            throw Failure{fmt::format("reading '{}' failed ({} at byte {}); check the disk", location_.name(),
                                      std::strerror(errno), offset + done)};
        if (got == 0)
            refuse(location_, "the file is truncated", fmt::format("it ended at byte {} while read", offset + done),
                   "do not change inputs during a run");
        done += got;
    }
}

}  // namespace convoy::io
