#pragma once
// Inputs: one reader a format, chosen by `open_reader` (registry in reader.cpp: one line a format).

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "convoy/communicator.hpp"
#include "convoy/coupling.hpp"
#include "convoy/grid.hpp"
#include "convoy/image.hpp"
#include "io/row_selection.hpp"

namespace convoy::io {

// PATH[#KEY]. A '#' in the path itself is allowed if a file of the whole name exists. PATH may be a pattern
// (io/pattern.hpp).
struct Location {
    std::string path, key;
    static Location parse(const std::string& text);
    std::string name() const;  // as given
};

// Columns [first, first + count) of a matrix.
struct ColumnRun {
    std::int64_t first = 0, count = 0;
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
    // Some columns of the rows of all runs, which ascend and do not overlap, one after the other: whoever unpacks much
    // for few numbers does that once.
    virtual void read_runs(std::span<const GlobalRun> runs, ColumnRun columns, std::span<double> out);
    // Rows that are unpacked together, so that one rank reads them: 0 to band() - 1, and so on. Likewise columns.
    virtual std::int64_t band() const { return 1; }
    virtual std::int64_t column_band() const { return 1; }
    // Made dense as it is read: much larger in memory than in the file.
    virtual bool is_sparse() const { return false; }
    // What is read, where the location's key may have left that open.
    virtual std::string key() const { return {}; }
    // What a row is, where the format says so.
    virtual std::optional<ImageShape> image() const { return std::nullopt; }
    // Rows that a table of the file says this of (see row_filter.hpp). \throws InputError
    virtual FilteredRows filter(const std::vector<std::string>& conditions);
    // Text and compressed streams: one rank reads everything and sends it on.
    virtual bool sequential() const { return false; }
    // "dataset 'X'", "array", "table": what a message calls the matrix in its file. Row and column in messages are
    // 0-based as in the array, for tables the line of the file, 1-based.
    virtual std::string place() const = 0;
    virtual std::string row_name(std::int64_t row) const { return "row " + std::to_string(row); }
    // "row 3, column 2": where a number is, as the file has it.
    virtual std::string position(std::int64_t row, std::int64_t column) const;

 protected:
    ColumnRun all_columns() const { return {0, columns()}; }
    // A programmer's error if they are not, or if `out` is no room for them.
    void expect_within(std::span<const GlobalRun> runs, ColumnRun run, std::span<const double> out) const;
};

std::unique_ptr<Reader> open_reader(const Location& location);

// What is done with the numbers of a file before they are points, in this order; between grey levels and blur they are
// scaled (InputOptions::scaling).
struct Preparation {
    bool transposed = false;  // the file's columns are the points
    std::string columns;      // of the matrix, once transposed: parse_columns(); empty: all
    std::string image;        // what a row is: ImageShape::parse(); empty: what the format says
    bool grayscale = false;   // luma of red, green and blue
    double blur = 0;          // standard deviation in pixels; 0: none
    bool operator==(const Preparation&) const = default;
};

struct InputOptions {
    std::string points;         // PATH[#KEY]
    std::string weights;        // PATH[#KEY], obs:COLUMN (of the points' own file), or empty: equal weights
    std::string scaling = "1";  // "1", "1/255", "1/127.5-1": see parse_scaling()
    // COLUMN=VALUE[,VALUE...] or COLUMN!=VALUE...: the rows for which all of them hold (.h5ad). None: all rows.
    std::vector<std::string> where = {};
    Preparation prepare = {};
};

// What identifies an input: stored in results, checked when they are used again. Paths are as given.
struct InputIdentity {
    std::string path, absolute_path, key;
    std::int64_t rows = 0, columns = 0;  // as read: transposed, the chosen columns
    std::string scaling = "1";
    std::uint32_t checksum = 0;  // CRC-32C of all points as little-endian fp64, row-major, as read (before grey levels)
    std::string weights_path, weights_key;
    std::uint32_t weights_checksum = 0;   // 0 if there are none
    std::string where;                    // conditions that chose the rows, a line each; empty: all of the file
    std::int64_t file_rows = 0;           // rows of the file, chosen or not
    std::int64_t rows_without_value = 0;  // of them, those without a value in a column of a condition: not chosen
    Preparation prepare = {};             // `image` is filled in where it was the format that knew it
    std::int64_t dimension = 0;           // of the points, prepared
};

// "columns 6:17, scale 1/255", empty: as they are. What differs in it are different points.
std::string in_words(const Preparation& prepare, const std::string& scaling);

// Points of an input and their dimension, prepared; read by rank 0 and told to all. Throws the same InputError on all
// ranks. Collective.
struct Shape {
    std::int64_t rows = 0, columns = 0;
};
// \param option_prefix how the options that concern the input begin, for messages
Shape shape_of(const Communicator& world, const InputOptions& input, const std::string& option_prefix = "--");

// Reads one side's cloud: every rank its stripe of its part, exchanged along the grid (sequential formats: rank 0 reads
// and sends pieces of at most 4 MiB). Checks that everything is finite, weights non-negative with a positive sum, and
// normalises them over the whole cloud: by the exact sum, so they are the same bits on every grid. Collective; throws
// the same InputError on all ranks.
DistributedCloud read_cloud(const Grid& grid, Side side, const Partition& partition, const InputOptions& input,
                            InputIdentity& identity);

// Its weights alone, likewise: of this rank's part. Collective.
std::vector<double> read_weights(const Grid& grid, Side side, const Partition& partition, const InputOptions& input,
                                 InputIdentity& identity);

// x * factor + offset
struct Scaling {
    double factor = 1, offset = 0;
    bool operator==(const Scaling&) const = default;
};
// "1/255", "2", "1e-3", "1/127.5-1". InputError if the factor is not finite and positive.
Scaling parse_scaling(const std::string& text);

}  // namespace convoy::io
