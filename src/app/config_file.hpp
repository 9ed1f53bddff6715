#pragma once
// A file of options: lines `name = "value"`, in sections [solve], [check] or above them, for every command. A part of
// TOML; what is not understood is refused with its line, never guessed.

#include <string>
#include <vector>

namespace convoy::app {

struct ConfigEntry {
    int line = 0;  // from 1
    std::string section, name, value;
};

// The whole of a regular file or of a pipe that somebody writes to. \throws InputError
std::string read_config(const std::string& path);

// \param path only for messages, which name the line. \throws InputError
std::vector<ConfigEntry> parse_config(const std::string& path, const std::string& text);

}  // namespace convoy::app
