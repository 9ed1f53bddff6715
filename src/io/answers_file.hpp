#pragma once
// The file of what was asked of a plan: one HDF5 file of arrays, texts and attributes, complete or absent. Laid out and
// reserved by rank 0, its large arrays then written by all ranks, as results are. docs/files.md has the layout.

#include <cstdint>
#include <functional>
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
struct AnswerArray {
    std::string path;
    std::int64_t rows = 0, width = 0;                                     // of the whole; width 0: a vector
    std::int64_t first = 0;                                               // of this rank's rows
    std::variant<std::vector<double>, std::vector<std::int64_t>> values;  // those rows; nothing elsewhere
    Attributes attributes = {};
};

// Texts that rank 0 has, or can get, some at a time.
struct AnswerTexts {
    std::string path;
    std::int64_t rows = 0;
    std::function<std::vector<std::string>(std::int64_t first, std::int64_t count)> read;
    Attributes attributes = {};
};

// A list of whole numbers as an attribute; an empty one reads as an empty list of any type.
struct AnswerList {
    std::string object, name;
    std::vector<std::int64_t> values;
};

// Groups on the way to a path have to be in `groups`, before those within them.
struct Answers {
    Attributes root;  // but for the format and its version
    std::vector<std::pair<std::string, Attributes>> groups;
    std::vector<std::pair<std::string, InputIdentity>> inputs;  // below /inputs
    std::vector<AnswerArray> arrays;
    std::vector<AnswerTexts> texts;
    std::vector<AnswerList> lists;
    std::vector<PhaseTiming> timing;  // none: no such group
};

// \throws Failure, FatalFailure as write_result(). Collective.
void write_answers(const Communicator& world, const Answers& answers, const std::string& path, bool overwrite);

}  // namespace convoy::io
