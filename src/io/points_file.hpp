#pragma once
// The file of mapped points: one HDF5 file, complete or absent, whose rows are written as they come.
//
//     /          attributes: format, format_version, then PointsHead::root, complete (uint8: 0, at the end 1)
//     /points    n x d fp64; attribute checksum (uint32, CRC-32C)
//     /model  /run             attributes
//     /inputs/points           attributes of InputIdentity; relative_path: seen from the file's folder
//     /timing                  phase (string) min mean max
//     /self   f (fp64, a number for each point of the model's side; attribute checksum) and attributes, if there is one
//
// Two phases as for results: rank 0 lays it out and reserves its length, then every rank writes its rows where they
// belong - with plain writes, since a portion that fails must not leave ranks waiting in HDF5 - and rank 0 completes
// it.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "convoy/grid.hpp"
#include "io/file_handle.hpp"
#include "io/result.hpp"
#include "io/unfinished_file.hpp"

namespace convoy::io {

inline constexpr std::string_view points_format = "convoy-points";
inline constexpr std::int64_t points_format_version = 1;

// The potential of a symmetric problem, and what it belongs to.
struct SelfPotential {
    std::vector<double> f;  // this rank's part in the distribution of Side::column
    double epsilon = 0, marginal_error = 0, tolerance = 0;
    std::string status;
    std::uint32_t points_checksum = 0, weights_checksum = 0;  // as the model has them
    std::string scaling;
};

// What is known before the first row is.
struct PointsHead {
    Attributes root, model, run;
    std::vector<std::string> phases;  // of /timing
    std::int64_t rows = 0, columns = 0;
    InputIdentity input;  // but for its checksum
    const SelfPotential* self = nullptr;
    std::int64_t self_points = 0;
};

class PointsFile {
 public:
    // \throws Failure, FatalFailure as write_result(). Collective.
    PointsFile(const Communicator& world, const PointsHead& head, const std::string& path);

    // How far it is, for a run that goes on another time.
    struct Progress {
        std::string part;       // the file's present name
        std::int64_t rows = 0;  // that are written
        std::int64_t points_offset = 0, self_offset = 0;
        std::uint32_t points_checksum = 0, self_checksum = 0;
    };
    // The file of a run that was interrupted. Nothing where it is not there any more, or what was written of it is not
    // what it should be. Collective.
    static std::optional<PointsFile> again(const Communicator& world, const PointsHead& head, const std::string& path,
                                           const Progress& progress);
    // Brings to disk what was written so far, and leaves the file where it is if this run ends. Collective.
    Progress keep();
    std::int64_t rows_written() const { return rows_written_; }

    // The next rows, `portion`, of which this rank has `mine`; each row is somebody's, once. Collective.
    void write(GlobalRun portion, GlobalRun mine, std::span<const double> rows);
    // The potential in head.self, which is spread like Side::column of the grid. Collective.
    void write_self(const Grid& grid, const Partition& partition, const SelfPotential& self);
    // Fills in what is known now, and gives the file its name. `timing` has the phases of the head. Collective.
    void finish(std::uint32_t input_checksum, const std::vector<PhaseTiming>& timing, bool overwrite);

 private:
    // Where a dataset's numbers begin, and the checksum of what is written of it.
    struct Place {
        std::int64_t offset = 0, width = 1;
        std::uint32_t checksum = 0;
    };
    PointsFile(const Communicator& world, const PointsHead& head, const std::string& path, const Progress& progress);
    void open();
    void sync() const;
    bool is_as_left() const;
    void lay_out(const PointsHead& head);
    void put(Place& place, GlobalRun all, GlobalRun mine, std::span<const double> numbers);
    void complete(std::uint32_t input_checksum, const std::vector<PhaseTiming>& timing) const;

    std::unique_ptr<UnfinishedFile> file_;
    FileHandle handle_;
    std::int64_t rows_written_ = 0;
    Place points_, self_;
    bool has_self_ = false;
};

// The self potential that an earlier file holds, for reuse: all but f on every rank. InputError on all ranks.
// Collective.
SelfPotential read_self(const Grid& grid, const Partition& partition, const std::string& path);

}  // namespace convoy::io
