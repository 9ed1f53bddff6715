#include "app/console.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>

namespace convoy::app {

namespace {

void put(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stderr);
    std::fflush(stderr);
}

}  // namespace

Console::Console(bool speaks, Volume volume)
    : speaks_{speaks}, terminal_{speaks && isatty(STDERR_FILENO) == 1}, volume_{volume} {}

void Console::say(const std::string& text) {
    if (volume_ != Volume::quiet) line(text);
}

void Console::detail(const std::string& text) {
    if (volume_ == Volume::verbose) line(text);
}

void Console::warn(const std::string& text) {
    warnings_.push_back(text);
    line("warning: " + text);
}

void Console::draw(const std::string& text) {
    if (!terminal_ || volume_ == Volume::quiet || (text.empty() && !drawn_)) return;
    put("\r\033[K" + printable(text));
    drawn_ = !text.empty();
}

void Console::line(const std::string& text) {
    if (!speaks_) return;
    draw("");
    put(printable(text) + "\n");
}

std::string printable(const std::string& text) {
    std::string result = text;
    std::ranges::replace_if(
        result, [](unsigned char c) { return std::iscntrl(c) != 0; }, '?');
    return result;
}

void report_error(const std::string& message) {
    std::string text = message;
    std::replace(text.begin(), text.end(), '\n', ' ');
    put("error: " + printable(text) + "\n");
}

void report_end(const std::string& message) {
    put("convoy: " + printable(message) + "\n");
}

void ensure_standard_streams() {
    for (int stream = 0; stream <= 2; ++stream) {
        if (fcntl(stream, F_GETFD) != -1) continue;
        // The lowest free number is taken, which is `stream`: those below it are open by now.
        if (open("/dev/null", O_RDWR) != stream) return;
    }
}

}  // namespace convoy::app
