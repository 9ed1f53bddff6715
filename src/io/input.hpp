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

namespace convoy::io {

// Points must be finite, weights also not negative. What was found wrong on this rank: how often, and first where.
struct Faults {
    std::int64_t count = 0, row = 0;
    double value = 0;
    std::string position;

    void look(const Reader& reader, std::int64_t first, std::span<const double> values, bool weights);
};

// All ranks know its shape; those that read have it open.
struct Input {
    Location location;
    bool weights = false;
    Preparation prepare;
    std::string scaling = "1";
    std::string options;                 // how the options that concern it begin, for messages: "--source-"
    std::int64_t rows = 0, columns = 0;  // as read: transposed, chosen columns
    std::optional<ImageShape> image;     // what a row is, where that matters
    std::int64_t dimension = 0;          // of the points, prepared
    bool sequential = false;
    std::unique_ptr<Reader> reader;
    std::string place;
};

// Rank 0 opens it and tells the others its shape. \throws InputError where it cannot be prepared as asked. Collective.
Input open_points(const Communicator& world, const InputOptions& options, const std::string& option_prefix);
Input open_weights(const Communicator& world, const std::string& text);
// This rank opens it too, to read its own rows: it must be what rank 0 saw. \throws InputError
void open_here(Input& input);

// All ranks throw the same error if any rank found a fault: the first one of the file is named. Collective.
void expect_no_faults(const Communicator& world, const Input& input, const Faults& mine);

// This rank's rows, prepared: grey levels, scaled, blurred. `checksum` is that of what was read.
// \throws InputError, Failure on this rank alone
std::vector<double> read_here(Input& input, GlobalRun mine, Faults& faults, std::uint32_t& checksum);

// Sequential formats: rank 0 reads the rows `all` and sends them on; each rank keeps and prepares those of its run
// `mine`. Checked for faults; `checksum` is that of `all`. Collective; throws the same error on all ranks.
std::vector<double> read_and_send(const Communicator& world, Input& input, GlobalRun all, GlobalRun mine,
                                  std::uint32_t& checksum);

// What identifies the points, but for their checksum.
InputIdentity identity_of(const Input& points);

}  // namespace convoy::io
