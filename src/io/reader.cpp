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
#include <vector>

#include "convoy/error.hpp"
#include "io/formats.hpp"
#include "io/input_error.hpp"
#include "io/number.hpp"
#include "io/pattern.hpp"

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
    Format{".txt.gz", open_table}, Format{".npz", open_npz},      Format{".safetensors", open_safetensors},
    Format{".bin", open_binary},   Format{".raw", open_raw},      Format{".dat", open_raw},
    Format{".idx", open_idx},      Format{".idx.gz", open_idx},   Format{"-ubyte", open_idx},
    Format{"-ubyte.gz", open_idx},
};

// Pictures: what people try, and what to do instead.
constexpr std::array pictures{".jpg", ".jpeg", ".png", ".tif", ".tiff", ".gif", ".bmp", ".webp"};

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

std::string Reader::position(std::int64_t row, std::int64_t column) const {
    return columns() == 1 ? row_name(row) : fmt::format("{}, column {}", row_name(row), column);
}

void Reader::expect_within([[maybe_unused]] std::span<const GlobalRun> runs, [[maybe_unused]] ColumnRun run,
                           [[maybe_unused]] std::span<const double> out) const {
    CONVOY_EXPECT(run.first >= 0 && run.count >= 0 && run.first + run.count <= columns());
    CONVOY_EXPECT(static_cast<std::int64_t>(out.size()) == rows_of(runs) * run.count);
    CONVOY_EXPECT(std::ranges::all_of(runs, [&](const GlobalRun& r) {
        return r.first.value >= 0 && r.count >= 0 && r.first.value + r.count <= rows();
    }));
}

// Whole rows, of which only these columns are kept.
void Reader::read_runs(std::span<const GlobalRun> runs, ColumnRun run, std::span<double> out) {
    expect_within(runs, run, out);
    constexpr std::int64_t piece_numbers = std::int64_t{1} << 19;
    const std::int64_t step = std::max<std::int64_t>(1, piece_numbers / columns());
    std::vector<double> piece;
    auto to = out.begin();
    for (const GlobalRun& rows : runs) {
        if (run.count == columns()) {
            const auto count = rows.count * columns();
            read(rows.first.value, rows.count, {to, static_cast<std::size_t>(count)});
            to += count;
            continue;
        }
        for (std::int64_t done = 0; done < rows.count; done += step) {
            const std::int64_t count = std::min(step, rows.count - done);
            piece.resize(static_cast<std::size_t>(count * columns()));
            read(rows.first.value + done, count, piece);
            for (std::int64_t i = 0; i < count; ++i)
                to = std::copy_n(piece.begin() + i * columns() + run.first, run.count, to);
        }
    }
}

std::unique_ptr<Reader> open_reader(const Location& location) {
    if (is_pattern(location.path)) return open_pattern(location);
    const std::string name = lower_case(std::filesystem::path{location.path}.filename().string());
    const auto format = std::ranges::find_if(formats, [&](const Format& f) { return name.ends_with(f.suffix); });
    expect_readable_file(location);
    if (std::ranges::any_of(pictures, [&](const char* suffix) { return name.ends_with(suffix); }))
        refuse(location, "pictures of this kind are not read", "compressed for the eye, not for arithmetic",
               fmt::format("unpack it, its pixels as points: python3 -c \"import numpy, PIL.Image as i; "
                           "numpy.save('pixels.npy', numpy.asarray(i.open('{}').convert('RGB')).reshape(-1, 3))\"",
                           location.path));
    if (format == formats.end()) {
        std::vector<std::string_view> known;
        for (const Format& f : formats) known.push_back(f.suffix);
        refuse(location, "its format is not known", fmt::format("the name ends in none of {}", fmt::join(known, " ")),
               "convert it, or rename it");
    }
    return format->open(location);
}

std::string in_words(const Preparation& prepare, const std::string& scaling) {
    std::vector<std::string> words;
    if (prepare.transposed) words.emplace_back("transposed");
    if (!prepare.columns.empty()) words.push_back("columns " + prepare.columns);
    if (prepare.grayscale) words.push_back("grey levels of " + prepare.image);
    if (parse_scaling(scaling) != Scaling{}) words.push_back("scale " + scaling);
    if (prepare.blur > 0)
        words.push_back(fmt::format("blur {}{}", prepare.blur, prepare.grayscale ? "" : " of " + prepare.image));
    return fmt::format("{}", fmt::join(words, ", "));
}

Scaling parse_scaling(const std::string& text) {
    const std::string_view all{text};
    // A sign begins the offset, unless it is the first or an exponent's.
    std::size_t sign = 1;
    while (sign < all.size() &&
           !((all[sign] == '+' || all[sign] == '-') && all[sign - 1] != 'e' && all[sign - 1] != 'E'))
        ++sign;
    const std::string_view quotient = all.substr(0, sign), rest = all.substr(std::min(sign, all.size()));
    const auto slash = quotient.find('/');
    const std::optional<double> over = parse_number(quotient.substr(0, slash));
    const std::optional<double> under = slash == std::string::npos ? 1.0 : parse_number(quotient.substr(slash + 1));
    const bool one_sign = rest.size() < 2 || (rest[1] != '-' && rest[1] != '+');
    const std::optional<double> offset =
        rest.empty() ? 0.0 : parse_number(rest.starts_with('+') ? rest.substr(1) : rest);
    const Scaling scaling{over && under ? *over / *under : 0, one_sign ? offset.value_or(std::nan("")) : std::nan("")};
    CONVOY_VALIDATE(std::isfinite(scaling.factor) && scaling.factor > 0 && std::isfinite(scaling.offset),
                    fmt::format("cannot scale by '{}' (need a positive number or fraction, and perhaps an offset); "
                                "give one like 0.5, 1/255 or 1/127.5-1",
                                text));
    return scaling;
}

}  // namespace convoy::io
