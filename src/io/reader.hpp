#pragma once
// Inputs: one reader a format, chosen by `open_reader` (registry in reader.cpp: one line a format).

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "convoy/communicator.hpp"
#include "convoy/coupling.hpp"
#include "convoy/grid.hpp"
#include "io/row_selection.hpp"

namespace convoy::io {

// PATH[#KEY]. A '#' in the path itself is allowed if a file of the whole name exists.
struct Location {
    std::string path, key;
    static Location parse(const std::string& text);
    std::string name() const;  // as given
};

// A matrix in a file. The constructor (open_reader) checks shape and type; errors are InputErrors that name file,
// place and remedy.
class Reader {
 public:
    virtual ~Reader() = default;
    virtual std::int64_t rows() const = 0;
    virtual std::int64_t columns() const = 0;         // 1 for a vector
    virtual bool is_vector() const { return false; }  // one-dimensional in the file
    // Rows [first, first + count) as fp64, row-major: out.size() == count * columns(). Sequential readers need
    // ascending, non-overlapping calls.
    virtual void read(std::int64_t first, std::int64_t count, std::span<double> out) = 0;
    // The rows of all runs, which ascend and do not overlap, one after the other: whoever unpacks much for few rows
    // does that once. Not for sequential readers.
    virtual void read_runs(std::span<const GlobalRun> runs, std::span<double> out);
    // Rows that are unpacked together, so that one rank reads them: 0 to band() - 1, and so on.
    virtual std::int64_t band() const { return 1; }
    // Made dense as it is read: much larger in memory than in the file.
    virtual bool is_sparse() const { return false; }
    // What is read, where the location's key may have left that open.
    virtual std::string key() const { return {}; }
    // Rows that a table of the file says this of (see row_filter.hpp). \throws InputError
    virtual FilteredRows filter(const std::vector<std::string>& conditions);
    // Text and compressed streams: one rank reads everything and sends it on.
    virtual bool sequential() const { return false; }
    // "dataset 'X'", "array", "table": what a message calls the matrix in its file. Row and column in messages are
    // 0-based as in the array, for tables the line of the file, 1-based.
    virtual std::string place() const = 0;
    virtual std::string row_name(std::int64_t row) const { return "row " + std::to_string(row); }
};

std::unique_ptr<Reader> open_reader(const Location& location);

struct InputOptions {
    std::string points;         // PATH[#KEY]
    std::string weights;        // PATH[#KEY], obs:COLUMN (of the points' own file), or empty: equal weights
    std::string scaling = "1";  // "1", "1/255", "0.5": points are multiplied with it
    // COLUMN=VALUE[,VALUE...] or COLUMN!=VALUE...: the rows for which all of them hold (.h5ad). None: all rows.
    std::vector<std::string> where = {};
};

// What identifies an input: stored in results, checked when they are used again. Paths are as given.
struct InputIdentity {
    std::string path, absolute_path, key;
    std::int64_t rows = 0, columns = 0;
    std::string scaling = "1";
    std::uint32_t checksum = 0;  // CRC-32C of all points as little-endian fp64, row-major, as read (before scaling)
    std::string weights_path, weights_key;
    std::uint32_t weights_checksum = 0;   // 0 if there are none
    std::string where;                    // conditions that chose the rows, a line each; empty: all of the file
    std::int64_t file_rows = 0;           // rows of the file, chosen or not
    std::int64_t rows_without_value = 0;  // of them, those without a value in a column of a condition: not chosen
};

// Rows and columns of an input, read by rank 0 and told to all. Throws the same InputError on all ranks. Collective.
struct Shape {
    std::int64_t rows = 0, columns = 0;
};
Shape shape_of(const Communicator& world, const InputOptions& input);

// Reads one side's cloud: every rank its stripe of its part, exchanged along the grid (sequential formats: rank 0 reads
// and sends pieces of at most 4 MiB). Checks that everything is finite, weights non-negative with a positive sum, and
// normalises them over the whole cloud: by the exact sum, so they are the same bits on every grid. Collective; throws
// the same InputError on all ranks.
DistributedCloud read_cloud(const Grid& grid, Side side, const Partition& partition, const InputOptions& input,
                            InputIdentity& identity);

// "1/255", "2", "1e-3" -> number. InputError if it is not finite and positive.
double parse_scaling(const std::string& text);

}  // namespace convoy::io
