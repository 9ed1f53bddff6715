#include "io/reader.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>

#include "convoy/error.hpp"
#include "io/formats.hpp"
#include "io/input_error.hpp"
#include "io/number.hpp"

namespace convoy::io {

namespace {

struct Format {
    std::string_view suffix;
    std::unique_ptr<Reader> (*open)(const Location&);
};

// A new format is a file with its `open` and a line here.
constexpr std::array formats{
    Format{".h5", open_hdf5},      Format{".hdf5", open_hdf5},    Format{".hdf", open_hdf5},
    Format{".h5ad", open_h5ad},    Format{".h5mu", open_hdf5},    Format{".loom", open_hdf5},
    Format{".npy", open_npy},      Format{".csv", open_table},    Format{".tsv", open_table},
    Format{".txt", open_table},    Format{".csv.gz", open_table}, Format{".tsv.gz", open_table},
    Format{".txt.gz", open_table},
};

std::string lower_case(std::string text) {
    std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

}  // namespace

FilteredRows Reader::filter(const std::vector<std::string>& conditions) {
    throw InputError{
        fmt::format("rows cannot be chosen by '{}' (the {} has no table of labels; .h5ad files do); leave "
                    "it out, or convert the file",
                    conditions.front(), place())};
}

void Reader::read_runs(std::span<const GlobalRun> runs, std::span<double> out) {
    for (const GlobalRun& run : runs) {
        const auto count = static_cast<std::size_t>(run.count * columns());
        read(run.first.value, run.count, out.first(count));
        out = out.subspan(count);
    }
}

Location Location::parse(const std::string& text) {
    const auto hash = text.find('#');
    struct stat status;
    if (hash == std::string::npos || ::stat(text.c_str(), &status) == 0) return {text, ""};
    // The longest existing file wins: '#' is legal in names of files and of columns.
    for (auto at = text.rfind('#'); at != std::string::npos && at > 0; at = text.rfind('#', at - 1))
        if (::stat(text.substr(0, at).c_str(), &status) == 0) return {text.substr(0, at), text.substr(at + 1)};
    return {text.substr(0, hash), text.substr(hash + 1)};
}

void refuse(const Location& location, const std::string& problem, const std::string& why, const std::string& remedy) {
    std::string message =
        fmt::format("cannot read '{}': {}{}{}", location.name(), problem, why.empty() ? "" : fmt::format(" ({})", why),
                    remedy.empty() ? "" : fmt::format("; {}", remedy));
    // Pieces of the file may be quoted: they must not move the cursor of somebody's terminal.
    std::ranges::replace_if(
        message, [](unsigned char c) { return std::iscntrl(c) != 0; }, '?');
    throw InputError{message};
}

std::string Location::name() const {
    return key.empty() ? path : path + "#" + key;
}

void expect_readable_file(const Location& location) {
    if (location.path.empty()) throw InputError{"cannot read an input: its path is empty; give PATH or PATH#KEY"};
    struct stat status;
    if (::stat(location.path.c_str(), &status) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) refuse(location, "there is no such file", "", "check the path");
        refuse(location, std::strerror(errno), "", "check the path and its permissions");
    }
    if (S_ISDIR(status.st_mode)) refuse(location, "it is a folder", "need a file", "name a file in it");
    if (!S_ISREG(status.st_mode))
        refuse(location, "it is not a regular file", "it is read in pieces and more than once", "copy it into a file");
    if (::access(location.path.c_str(), R_OK) != 0)
        refuse(location, std::strerror(errno), "", fmt::format("ask its owner, or: chmod +r '{}'", location.path));
    if (status.st_size == 0) refuse(location, "the file is empty", "0 bytes", "write it again");
}

std::unique_ptr<Reader> open_reader(const Location& location) {
    const std::string name = lower_case(std::filesystem::path{location.path}.filename().string());
    const auto format = std::ranges::find_if(formats, [&](const Format& f) { return name.ends_with(f.suffix); });
    expect_readable_file(location);
    if (format == formats.end()) {
        std::vector<std::string_view> known;
        for (const Format& f : formats) known.push_back(f.suffix);
        refuse(location, "its format is not known", fmt::format("the name ends in none of {}", fmt::join(known, " ")),
               "convert it, or rename it");
    }
    return format->open(location);
}

double parse_scaling(const std::string& text) {
    const auto slash = text.find('/');
    const std::optional<double> over = parse_number(std::string_view{text}.substr(0, slash));
    const std::optional<double> under =
        slash == std::string::npos ? 1.0 : parse_number(std::string_view{text}.substr(slash + 1));
    const double scaling = over && under ? *over / *under : 0;
    CONVOY_VALIDATE(
        std::isfinite(scaling) && scaling > 0,
        fmt::format("cannot scale by '{}' (need a positive number or fraction); give one like 0.5 or 1/255", text));
    return scaling;
}

}  // namespace convoy::io
