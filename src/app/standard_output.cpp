#include "app/standard_output.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "convoy/error.hpp"

namespace convoy::app {

void print(const Communicator& world, const std::string& text) {
    agree(world, [&] {
        if (!world.is_root()) return;
        // Flushed at once: at exit nobody would hear that it failed.
        const bool written =
            std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
        if (!written && errno != EPIPE)
            throw Failure{
                fmt::format("cannot write to the standard output ({}); direct it elsewhere", std::strerror(errno))};
    });
}

}  // namespace convoy::app
