#pragma once
// Rows of a dataset of one or two dimensions, as the bytes that are in the file: its elements, or one member of
// elements that are compounds.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "convoy/partition.hpp"
#include "io/hdf5_chunks.hpp"
#include "io/hdf5_handles.hpp"
#include "io/reader.hpp"

namespace convoy::io {

class Hdf5Rows {
 public:
    // \param dataset from open_hdf5_dataset(). \param member empty: whole elements. \throws InputError
    Hdf5Rows(const Location& location, const std::string& path, Hdf5 dataset, const std::string& member = {});

    std::int64_t rows() const { return rows_; }
    std::int64_t columns() const { return columns_; }
    bool vector() const { return dimensions_ < 2; }
    hid_t type() const { return type_.get(); }  // of what is read of an element
    std::size_t bytes() const { return bytes_; }
    bool written() const;  // it has data in the file
    const Location& location() const { return location_; }
    // "dataset 'X'", "column 'age' of dataset 'obs'"
    const std::string& place() const { return place_; }
    // Rows that one chunk spans, which are best read by one rank; 1 where any rows are as good. Likewise columns.
    std::int64_t band() const { return chunked() ? band_ : 1; }
    std::int64_t column_band() const { return chunked() ? width_ : 1; }

    // Some columns of the rows of all runs, which ascend and do not overlap, one after the other: bytes() of each
    // element. A chunk is decoded once, however the runs cut it. \throws InputError
    void read(std::span<const GlobalRun> runs, ColumnRun columns, std::span<std::byte> out);
    void read(std::span<const GlobalRun> runs, std::span<std::byte> out) { read(runs, {0, columns_}, out); }
    // As HDF5 reads them, for what has no fixed size in the file. \param memory of type()'s kind. \throws InputError
    void read_by_hdf5(GlobalRun run, hid_t memory, std::byte* out);

    [[noreturn]] void refuse_rows(std::int64_t first, std::int64_t count, const std::string& reason) const;

 private:
    // Some rows of a band, and where they go.
    struct Piece {
        std::int64_t row = 0, count = 0;
        std::byte* out = nullptr;
    };
    // A decoded chunk that is kept for the next call.
    struct Slot {
        std::int64_t band = -1, column = -1;
        std::vector<std::byte> bytes;
    };

    bool chunked() const { return decoder_.has_value(); }
    void choose(const std::string& member);
    void lay_out_chunks(hid_t creation);
    void read_in_order(std::span<const GlobalRun> runs, ColumnRun columns, std::byte* out);
    void read_band(std::int64_t band, ColumnRun columns, std::span<const Piece> pieces);
    std::span<const std::byte> chunk(std::int64_t band, std::int64_t column);
    hsize_t bytes_of_chunk(std::int64_t band, std::int64_t column) const;  // as stored; 0: it was never written
    void decode(std::int64_t band, std::int64_t column, std::span<std::byte> into);
    void read_slab(GlobalRun run, ColumnRun columns, hid_t memory, std::byte* out) const;

    Location location_;
    std::string place_;
    Hdf5 dataset_, element_type_, type_;
    std::string member_;
    int dimensions_ = 0;
    std::int64_t rows_ = 0, columns_ = 1;
    std::size_t element_ = 0;             // bytes of an element in the file
    std::size_t offset_ = 0, bytes_ = 0;  // what is read of it
    // Chunks that are decoded here; nothing: HDF5 reads.
    std::optional<ChunkDecoder> decoder_;
    std::int64_t band_ = 1, width_ = 1, across_ = 1;  // rows and columns of a chunk, chunks side by side
    bool edges_as_they_are_ = false;                  // chunks that stick out are stored without filters
    std::vector<std::byte> fill_;
    std::vector<Slot> slots_;
};

}  // namespace convoy::io
