#include "app/side_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "convoy/error.hpp"

namespace convoy::app {

namespace {

bool write_all(int file, const std::string& text) {
    std::size_t done = 0;
    while (done < text.size()) {
        const ssize_t more = write(file, text.data() + done, text.size() - done);
        if (more < 0 && errno == EINTR) continue;
        if (more <= 0) return false;
        done += static_cast<std::size_t>(more);
    }
    return fsync(file) == 0;
}

// link() refuses a name that is taken, rename() replaces it.
bool put_in_place(const std::string& part, const std::string& path, bool overwrite) {
    if (overwrite) return std::rename(part.c_str(), path.c_str()) == 0;
    if (link(part.c_str(), path.c_str()) != 0) return false;
    unlink(part.c_str());
    return true;
}

void write_here(const std::string& path, const std::string& text, bool overwrite) {
    std::string part = path + ".part.XXXXXX";
    const int file = mkstemp(part.data());
    bool good = file >= 0;
    if (good) {
        const mode_t mask = umask(0);
        umask(mask);
        fchmod(file, 0666 & ~mask);  // mkstemp's own is for nobody else to read
        good = write_all(file, text);
        good = close(file) == 0 && good;
        good = good && put_in_place(part, path, overwrite);
    }
    if (good) return;
    const std::string why = std::strerror(errno);
    if (file >= 0) unlink(part.c_str());
    throw Failure{fmt::format("cannot write '{}' ({}); check the folder and its free space", path, why)};
}

}  // namespace

void write_text(const Communicator& world, const std::string& path, const std::string& text, bool overwrite) {
    agree(world, [&] {
        if (world.is_root()) write_here(path, text, overwrite);
    });
}

}  // namespace convoy::app
