#pragma once
// One input while it is read: who has it open, and what must be true of its numbers. Used by everything that reads
// points or weights on all ranks.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/reader.hpp"
#include "io/row_selection.hpp"

namespace convoy::io {

// Points must be finite, weights also not negative. What was found wrong on this rank: how often, and first where.
struct Faults {
    std::int64_t count = 0, row = 0, column = 0;
    double value = 0;
    std::string row_name;

    void look(const Reader& reader, std::int64_t first, std::span<const double> values, bool weights);
};

// All ranks know its shape and which rows of the file it has; those that read have it open.
struct Input {
    Location location;  // its key is what is read
    bool weights = false;
    std::int64_t rows = 0, columns = 0;
    bool sequential = false, is_sparse = false;
    std::int64_t band = 1;  // of the file's rows, see Reader
    std::unique_ptr<Reader> reader;
    std::string place;
    std::int64_t file_rows = 0;                     // chosen or not
    std::shared_ptr<const RowSelection> selection;  // nothing: all of them
    std::int64_t rows_without_value = 0;            // see FilteredRows
};

// Rank 0 opens it, chooses its rows, and tells the others. Collective.
Input open_points(const Communicator& world, const InputOptions& options);
// The weights of these points: as many, or one for each row of the points' file, of which the same are taken.
// Collective.
Input open_weights(const Communicator& world, const InputOptions& options, const Input& points);
// This rank opens it too, to read its own rows: it must be what rank 0 saw. \throws InputError
void open_here(Input& input);

// All ranks throw the same error if any rank found a fault: the first one of the file is named. Collective.
void expect_no_faults(const Communicator& world, const Input& input, const Faults& mine);

// Rows that are made dense fit into this node's memory, `rows` of them at once on this rank. Collective; throws the
// same InputError on all ranks.
void expect_room(const Communicator& world, const Input& input, std::int64_t rows);
// Room for so many rows. \throws Failure that says how much is missing
void make_room(const Input& input, std::int64_t rows, std::vector<double>& values);

// Sequential formats: rank 0 reads the rows `all` and sends them on; each rank keeps those of its run `mine`. Checked
// for faults; `checksum` is that of `all`. Collective; throws the same error on all ranks.
std::vector<double> read_and_send(const Communicator& world, Input& input, GlobalRun all, GlobalRun mine,
                                  std::uint32_t& checksum);

// Multiplies this rank's points with the factor; `option` is what a message tells to change. Collective.
void scale(const Communicator& world, const std::string& option, const Input& input, const std::string& scaling,
           std::span<double> points);

// What identifies the points, but for their checksum.
InputIdentity identity_of(const Input& points, const InputOptions& options);

}  // namespace convoy::io
