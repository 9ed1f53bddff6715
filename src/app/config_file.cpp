#include "app/config_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <sstream>
#include <string_view>

#include "convoy/error.hpp"
#include "io/file_handle.hpp"

namespace convoy::app {

namespace {

constexpr std::size_t most_bytes = std::size_t{1} << 20;
constexpr int patience = 10000;  // milliseconds for which a pipe may say nothing

[[noreturn]] void refuse(const std::string& path, const std::string& problem, const std::string& remedy) {
    throw InputError{fmt::format("--config: cannot read '{}': {}; {}", path, problem, remedy)};
}

// What more there is to read, 0 at the end. A pipe is open without waiting: that nobody writes to it shows as its end.
std::size_t read_some(const std::string& path, int file, std::array<char, 65536>& into) {
    for (;;) {
        const ssize_t count = ::read(file, into.data(), into.size());
        if (count >= 0) return static_cast<std::size_t>(count);
        if (errno == EINTR) continue;
        if (errno != EAGAIN) refuse(path, std::strerror(errno), "check the path");
        pollfd ready{file, POLLIN, 0};
        if (::poll(&ready, 1, patience) == 0) refuse(path, "nothing comes from this pipe", "give a file");
    }
}

std::string_view trimmed(std::string_view text) {
    constexpr const char* blanks = " \t\r";
    const auto first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

// One line, read from left to right.
class LineOfConfig {
 public:
    LineOfConfig(const std::string& path, int number, std::string_view text)
        : path_{path}, number_{number}, rest_{trimmed(text)} {
        const auto is_control = [](unsigned char c) { return std::iscntrl(c) != 0 && c != '\t'; };
        if (std::ranges::any_of(rest_, is_control)) fail("a control character", "remove it");
    }

    bool is_blank() const { return rest_.empty() || rest_.front() == '#'; }
    bool is_section() const { return rest_.front() == '['; }

    std::string section() {
        const auto end = rest_.find(']');
        const std::string name{trimmed(rest_.substr(1, end == std::string_view::npos ? end : end - 1))};
        if (end == std::string_view::npos || !is_name(name))
            fail(fmt::format("'{}' is no section", rest_), "write it like [solve]");
        rest_ = trimmed(rest_.substr(end + 1));
        expect_end();
        return name;
    }

    std::string name() {
        const auto equals = rest_.find('=');
        const std::string name{trimmed(rest_.substr(0, equals))};
        if (equals == std::string_view::npos) fail(fmt::format("'{}' has no value", name), "write: name = \"value\"");
        if (!is_name(name)) fail(fmt::format("'{}' is no name of an option", name), "write: name = \"value\"");
        rest_ = trimmed(rest_.substr(equals + 1));
        return name;
    }

    std::string value(const std::string& name) {
        if (is_blank()) fail(fmt::format("'{}' has no value", name), "write: name = \"value\"");
        if (rest_.front() == '[' || rest_.front() == '{') fail(fmt::format("'{}' takes one value", name), "give one");
        std::string text = rest_.front() == '"' || rest_.front() == '\'' ? quoted() : bare();
        if (text.empty()) fail(fmt::format("'{}' is empty", name), "give a value, or remove the line");
        rest_ = trimmed(rest_);
        expect_end();
        return text;
    }

 private:
    [[noreturn]] void fail(const std::string& problem, const std::string& remedy) const {
        throw InputError{fmt::format("'{}', line {}: {}; {}", path_, number_, problem, remedy)};
    }

    static bool is_name(std::string_view text) {
        return !text.empty() &&
               std::ranges::all_of(text, [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_'; });
    }

    void expect_end() const {
        if (!is_blank())
            fail(fmt::format("'{}' is one word too many", rest_), "one value a line; quote what has spaces");
    }

    // "as in TOML, with \" and \\" or 'as it stands'.
    std::string quoted() {
        const char quote = rest_.front();
        std::string text;
        for (std::size_t i = 1; i < rest_.size(); ++i) {
            char c = rest_[i];
            if (c == quote) {
                rest_.remove_prefix(i + 1);
                return text;
            }
            if (c == '\\' && quote == '"') {
                c = ++i < rest_.size() ? rest_[i] : '\0';
                if (c != '"' && c != '\\') fail("a \\ that stands for nothing known", "write 'it' in single quotes");
            }
            text += c;
        }
        fail("a quote that does not end", "close it");
    }

    std::string bare() {
        const auto end = std::min(rest_.find_first_of(" \t#"), rest_.size());
        const std::string text{rest_.substr(0, end)};
        rest_.remove_prefix(end);
        return text;
    }

    const std::string& path_;
    int number_;
    std::string_view rest_;
};

}  // namespace

std::string read_config(const std::string& path) {
    struct stat status;
    if (::stat(path.c_str(), &status) != 0) refuse(path, std::strerror(errno), "check the path");
    if (S_ISDIR(status.st_mode)) refuse(path, "it is a folder", "name a file in it");
    if (!S_ISREG(status.st_mode) && !S_ISFIFO(status.st_mode))
        refuse(path, "it is neither a file nor a pipe", "give a file of lines: name = \"value\"");
    const io::FileHandle file{::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
    if (!file) refuse(path, std::strerror(errno), "check the path and its permissions");

    std::string text;
    std::array<char, 65536> piece;
    while (const std::size_t count = read_some(path, file.get(), piece)) {
        text.append(piece.data(), count);
        if (text.size() > most_bytes) refuse(path, "it is larger than 1 MiB", "give a file of options");
    }
    if (text.empty() && S_ISFIFO(status.st_mode)) refuse(path, "nothing comes from this pipe", "give a file");
    return text;
}

std::vector<ConfigEntry> parse_config(const std::string& path, const std::string& text) {
    constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
    std::istringstream lines{text.starts_with(byte_order_mark) ? text.substr(byte_order_mark.size()) : text};
    std::vector<ConfigEntry> entries;
    std::string line, section;
    for (int number = 1; std::getline(lines, line); ++number) {
        LineOfConfig rest{path, number, line};
        if (rest.is_blank()) continue;
        if (rest.is_section()) {
            section = rest.section();
            continue;
        }
        const std::string name = rest.name();
        entries.push_back({number, section, name, rest.value(name)});
    }
    return entries;
}

}  // namespace convoy::app
