#pragma once
// One input while it is read: who has it open, and what must be true of its numbers. Used by everything that reads
// points or weights on all ranks.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/reader.hpp"
#include "io/row_selection.hpp"

namespace convoy::io {

// Points must be finite, weights also not negative. What was found wrong on this rank: how often, and first where.
struct Faults {
    std::int64_t count = 0, row = 0;
    double value = 0;
    std::string position;

    void look(const Reader& reader, std::int64_t first, std::span<const double> values, bool weights);
};

// All ranks know its shape and which rows of the file it has; those that read have it open.
struct Input {
    Location location;  // its key is what is read
    bool weights = false;
    Preparation prepare;
    std::string scaling = "1";
    std::string options;                 // how the options that concern it begin, for messages: "--source-"
    std::int64_t rows = 0, columns = 0;  // as read: transposed, chosen rows and columns
    std::optional<ImageShape> image;     // what a row is, where that matters
    std::int64_t dimension = 0;          // of the points, prepared
    bool sequential = false, is_sparse = false;
    std::int64_t band = 1;  // of the file's rows (columns, if transposed), see Reader
    std::unique_ptr<Reader> reader;
    std::string place;
    std::vector<std::string> where;                 // conditions on the rows
    std::int64_t file_rows = 0;                     // chosen or not
    std::shared_ptr<const RowSelection> selection;  // nothing: all of them
    std::int64_t rows_without_value = 0;            // see FilteredRows
};

// Rank 0 opens it, chooses its rows, and tells the others. \throws InputError where it cannot be prepared as asked.
// Collective.
Input open_points(const Communicator& world, const InputOptions& options, const std::string& option_prefix = "--");
// The weights of these points: as many, or one for each row of the points' file, of which the same are taken.
// Collective.
Input open_weights(const Communicator& world, const InputOptions& options, const Input& points);

// All ranks throw the same error if any rank found a fault: the first one of the file is named. Collective.
void expect_no_faults(const Communicator& world, const Input& input, const Faults& mine);

// Rows that are made dense fit into this node's memory, `rows` of them at once on this rank. Collective; throws the
// same InputError on all ranks.
void expect_room(const Communicator& world, const Input& input, std::int64_t rows);
// Room for so many points. \throws Failure that says how much is missing
void make_room(const Input& input, std::int64_t rows, std::vector<double>& values);

// Every rank reads its rows, `mine`, and prepares them: grey levels, scaled, blurred. Runs do not overlap; `checksum`
// is that of all of them in ascending order, as they were read. Checked for faults. Collective; throws the same error
// on all ranks.
std::vector<double> read_here(const Communicator& world, Input& input, GlobalRun mine, std::uint32_t& checksum);

// Sequential formats: rank 0 reads the rows `all` and sends them on; each rank keeps and prepares those of its run
// `mine`. Checked for faults; `checksum` is that of `all`. Collective; throws the same error on all ranks.
std::vector<double> read_and_send(const Communicator& world, Input& input, GlobalRun all, GlobalRun mine,
                                  std::uint32_t& checksum);

// What identifies the points, but for their checksum.
InputIdentity identity_of(const Input& points);

}  // namespace convoy::io
