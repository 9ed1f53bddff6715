#pragma once
// The file of a run that is not over: everything that it needs to go on.
//
//     /          attributes: format, format_version, then Checkpoint::root, complete (uint8: 0, at the end 1)
//     /problem   attributes: what the run is about; a run that differs in one of them is another one
//     /plan      attributes: the plan of the run, as in a result's /run
//     /state     attributes: the numbers and words of the solver's state; below it
//       parts/...    fp64, a number for each point of one side
//       tables/...   fp64, the same on all ranks
//       words/...    int64: a piece for each part of a grid; useful on a grid with the same parts alone
//
// Every array has the attribute checksum (uint32, CRC-32C), and the file as a whole is sealed (sealed_file.hpp): it is
// as it was written, or it is refused before HDF5 looks at it. The one before the last is kept as FILE.previous.

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "convoy/grid.hpp"
#include "convoy/partition.hpp"
#include "io/result.hpp"

namespace convoy::io {

inline constexpr std::string_view checkpoint_format = "convoy-checkpoint";
inline constexpr std::int64_t checkpoint_format_version = 1;

// Where the one before the last is.
inline std::string previous_of(const std::string& checkpoint) {
    return checkpoint + ".previous";
}

// What is to be written; spans are the solver's own vectors.
struct Checkpoint {
    struct Part {
        std::string name;
        Side side;
        const Partition* partition;
        std::span<const double> values;  // this rank's part
    };
    struct Words {
        std::string name;
        Side side;
        std::span<const std::int64_t> values;  // the same on all ranks that share a part
    };
    Attributes root, problem, plan, state;
    std::vector<Part> parts;
    std::vector<std::pair<std::string, std::vector<double>>> tables;  // rank 0's are written
    std::vector<Words> words;
};

// The last one takes the place of the previous one, this one that of the last one. \throws Failure, FatalFailure as
// write_result(): both that were there are then untouched. Returns its bytes. Collective.
// \param keep_last false where the last one is damaged: the previous one stays then
std::int64_t write_checkpoint(const Grid& grid, const Checkpoint& checkpoint, const std::string& path,
                              bool keep_last = true);

// Removes both, and says nothing where that fails. Collective.
void remove_checkpoints(const Communicator& world, const std::string& path);

// Bytes of a checkpoint whose parts hold so many numbers in all. Pure arithmetic.
double bytes_of_checkpoint(double numbers);

// One that was written: attributes are read when it is opened, arrays when they are asked for. InputErrors on all
// ranks.
class StoredCheckpoint {
 public:
    // Collective.
    StoredCheckpoint(const Communicator& world, std::string path);

    const std::string& path() const { return path_; }
    // Attributes as text, by group and name; numbers so that they read back exactly.
    using Texts = std::vector<std::pair<std::string, std::string>>;
    const Texts& problem() const { return problem_; }
    const Texts& plan() const { return plan_; }
    bool has(const std::string& name) const { return state_.contains(name); }
    const std::string& text(const std::string& name) const;
    double number(const std::string& name) const;
    std::int64_t count(const std::string& name) const;
    bool has_part(const std::string& name) const { return arrays_.contains("parts/" + name); }
    bool has_words(const std::string& name) const { return arrays_.contains("words/" + name); }

    // This rank's part. Collective, like those below.
    std::vector<double> part(const Grid& grid, Side side, const Partition& partition, const std::string& name) const;
    std::vector<double> table(const std::string& name) const;
    // This rank's words; all ranks that share a part get the same. \throws InputError where they are another grid's.
    std::vector<std::int64_t> words(const Grid& grid, Side side, const std::string& name) const;

 private:
    struct Array {
        std::int64_t rows = 0, offset = 0;
        std::uint32_t checksum = 0;
    };
    void look_at();
    const Array& array(const std::string& name) const;
    void read(const Array& array, std::int64_t first, std::span<std::byte> out) const;
    void expect_checksum(const std::string& name, std::uint32_t found) const;
    [[noreturn]] void damaged(const std::string& why) const;

    Communicator world_;
    std::string path_;
    Texts problem_, plan_;
    std::map<std::string, std::string> state_;
    std::map<std::string, Array> arrays_;
};

}  // namespace convoy::io
