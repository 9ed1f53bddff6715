#pragma once
// A file of arrays, texts and attributes, complete or absent: one HDF5 file, laid out and reserved by rank 0, its large
// arrays then written by all ranks, as results are. Answers of queries and checkpoints are such files; docs/files.md
// has their layouts.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "convoy/communicator.hpp"
#include "io/result.hpp"

namespace convoy::io {

inline constexpr std::string_view answers_format = "convoy-query";
inline constexpr std::int64_t answers_format_version = 1;

// An array whose rows the ranks have. Gets the attribute checksum (uint32, CRC-32C).
struct FileArray {
    std::string path;
    std::int64_t rows = 0, width = 0;  // of the whole; width 0: a vector
    std::int64_t first = 0;            // of this rank's rows
    // Those rows, nothing elsewhere; as a span, the numbers are somebody else's, who outlives this.
    std::variant<std::vector<double>, std::vector<std::int64_t>, std::span<const double>> values;
    Attributes attributes = {};
};

// Texts that rank 0 has, or can get, some at a time.
struct FileTexts {
    std::string path;
    std::int64_t rows = 0;
    std::function<std::vector<std::string>(std::int64_t first, std::int64_t count)> read;
    Attributes attributes = {};
};

// A list of whole numbers as an attribute; an empty one reads as an empty list of any type.
struct FileList {
    std::string object, name;
    std::vector<std::int64_t> values;
};

// Groups on the way to a path have to be in `groups`, before those within them.
struct ArrayFile {
    std::string format{answers_format};
    std::int64_t format_version = answers_format_version;
    Attributes root;  // but for the format and its version
    std::vector<std::pair<std::string, Attributes>> groups;
    std::vector<std::pair<std::string, InputIdentity>> inputs;  // below /inputs
    std::vector<FileArray> arrays;
    std::vector<FileTexts> texts;
    std::vector<FileList> lists;
    std::vector<PhaseTiming> timing;  // none: no such group
};

// \throws Failure, FatalFailure as write_result(). Collective.
// \param last_touch called on all ranks with the name of the part file, once it is complete on the disk and before it
// takes its own name; may throw Failure on all ranks alike
void write_array_file(
    const Communicator& world, const ArrayFile& contents, const std::string& path, bool overwrite,
    const std::function<void(const std::string& part)>& last_touch = [](const std::string&) {});

}  // namespace convoy::io
