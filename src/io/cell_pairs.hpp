#pragma once
// Groups of an .h5ad file's cells by the value that one column of its table has for them, and which pairs of groups are
// asked for:
//
//     COLUMN=sequential            each value and the next: numbers by size, categories as the file lists them, else
//                                  by the alphabet
//     COLUMN=star:VALUE            this value and each of the others
//     COLUMN=A:B[,A:B...]          these; values that have a colon or a comma stand in double quotes

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "convoy/communicator.hpp"
#include "io/reader.hpp"

namespace convoy::io {

// What stands behind COLUMN=, its words as they are.
struct PairRequest {
    enum class Kind { sequential, star, listed };
    Kind kind = Kind::sequential;
    std::string centre;                                       // of a star
    std::vector<std::pair<std::string, std::string>> listed;  // pairs
};
// \throws InputError
PairRequest parse_pairs(const std::string& text);

struct CellPairs {
    std::string column;
    std::string order;                                       // of the values: "by size", ...
    std::vector<std::string> values;                         // those that are in a pair; in that order
    std::vector<std::int64_t> cells;                         // of each value
    std::vector<std::pair<std::size_t, std::size_t>> pairs;  // numbers of values: source, target
    // Of each cell that is in any of these groups, in the order of the file: the number of its value.
    std::vector<std::int16_t> group_of_cell;

    static constexpr std::size_t most_values = 1000;
    // The condition (see row_filter.hpp) that chooses one value's cells, or those of all of them.
    std::string condition(std::size_t value) const;
    std::string condition_of_all() const;
};

// Of the cells that `input` chooses. Rank 0 looks at the column, all ranks have the answer. \throws InputError that
// lists what there is, on all ranks. Collective.
CellPairs choose_pairs(const Communicator& world, const InputOptions& input, const std::string& request);

}  // namespace convoy::io
