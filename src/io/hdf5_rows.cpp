#include "io/hdf5_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "convoy/error.hpp"
#include "io/input_error.hpp"

namespace convoy::io {

namespace {

constexpr std::int64_t slab_bytes = std::int64_t{1} << 30;
// Rows of different runs that lie no farther apart than this are read together.
constexpr std::int64_t together_bytes = std::int64_t{1} << 18;
constexpr std::size_t most_kept = std::size_t{1} << 26;
constexpr std::size_t largest_element = std::size_t{1} << 24;

// Bytes in the file. Text of any length is stored elsewhere: a length, an address and a number stand for it there, and
// a pointer in memory, where HDF5 counts.
std::size_t stored_bytes(hid_t type, std::size_t address) {
    const H5T_class_t kind = H5Tget_class(type);
    if (kind == H5T_VLEN || H5Tis_variable_str(type) > 0) return 8 + address;
    std::size_t bytes = H5Tget_size(type);
    if (kind == H5T_COMPOUND) {
        for (int k = 0; k < H5Tget_nmembers(type); ++k) {
            const Hdf5 member{H5Tget_member_type(type, static_cast<unsigned>(k)), H5Tclose};
            bytes += stored_bytes(member.get(), address) - H5Tget_size(member.get());
        }
    }
    if (kind == H5T_ARRAY) {
        const Hdf5 super{H5Tget_super(type), H5Tclose};
        const std::size_t one = std::max<std::size_t>(H5Tget_size(super.get()), 1);
        bytes = bytes / one * stored_bytes(super.get(), address);
    }
    return bytes;
}

// Where a member begins in the file: the members before it may be longer there.
std::size_t stored_offset(hid_t compound, unsigned index, std::size_t address) {
    const std::size_t begin = H5Tget_member_offset(compound, index);
    std::size_t offset = begin;
    for (int k = 0; k < H5Tget_nmembers(compound); ++k) {
        if (H5Tget_member_offset(compound, static_cast<unsigned>(k)) >= begin) continue;
        const Hdf5 member{H5Tget_member_type(compound, static_cast<unsigned>(k)), H5Tclose};
        offset += stored_bytes(member.get(), address) - H5Tget_size(member.get());
    }
    return offset;
}

std::size_t address_bytes(hid_t dataset) {
    const Hdf5 file{H5Iget_file_id(dataset), H5Fclose};
    const Hdf5 creation{H5Fget_create_plist(file.get()), H5Pclose};
    std::size_t address = 8, length = 8;
    H5Pget_sizes(creation.get(), &address, &length);
    return address;
}

}  // namespace

Hdf5Rows::Hdf5Rows(const Location& location, const std::string& path, Hdf5 dataset, const std::string& member)
    : location_{location},
      place_{fmt::format("dataset '{}'", path)},
      dataset_{std::move(dataset)},
      element_type_{H5Dget_type(dataset_.get()), H5Tclose},
      type_{H5Tcopy(element_type_.get()), H5Tclose},
      member_{member} {
    const Hdf5 space{H5Dget_space(dataset_.get()), H5Sclose};
    std::array<hsize_t, H5S_MAX_RANK> extents{};
    dimensions_ = H5Sget_simple_extent_ndims(space.get());
    if (dimensions_ < 0 || dimensions_ > 2 || H5Sget_simple_extent_type(space.get()) == H5S_NULL)
        refuse(location_, fmt::format("{} has {} dimensions", place_, dimensions_), "need 2: points x features",
               fmt::format("pick another one, see: convoy check {}", location.path));
    H5Sget_simple_extent_dims(space.get(), extents.data(), nullptr);
    const hsize_t rows = dimensions_ > 0 ? extents[0] : 1, columns = dimensions_ > 1 ? extents[1] : 1;
    const std::size_t address = address_bytes(dataset_.get());
    element_ = stored_bytes(element_type_.get(), address);
    constexpr auto largest = static_cast<hsize_t>(std::numeric_limits<std::int64_t>::max() / 16);
    if (element_ == 0 || element_ > largest_element || rows > largest / std::max<hsize_t>(columns, 1) / element_)
        refuse(location_, place_ + " is too large", fmt::format("{} x {}", rows, columns),
               "the file seems damaged: copy or write it again");
    rows_ = static_cast<std::int64_t>(rows);
    columns_ = static_cast<std::int64_t>(columns);
    bytes_ = element_;
    if (!member.empty()) choose(member);

    const Hdf5 creation{H5Dget_create_plist(dataset_.get()), H5Pclose};
    if (H5Pget_layout(creation.get()) == H5D_CHUNKED) {
        lay_out_chunks(creation.get());
    } else if (const hsize_t stored = H5Dget_storage_size(dataset_.get());
               stored != 0 && stored < rows * columns * element_) {
        refuse(location_, place_ + " has lost some of its data",
               fmt::format("it needs {} bytes and has {}", rows * columns * element_, stored),
               "the file is damaged: copy or write it again");
    }
}

bool Hdf5Rows::written() const {
    return H5Dget_storage_size(dataset_.get()) > 0;
}

void Hdf5Rows::choose(const std::string& member) {
    const hid_t compound = element_type_.get();
    const int index = H5Tget_class(compound) == H5T_COMPOUND ? H5Tget_member_index(compound, member.c_str()) : -1;
    if (index < 0) refuse(location_, fmt::format("{} has no column '{}'", place_, member));
    place_ = fmt::format("column '{}' of {}", member, place_);
    const std::size_t address = address_bytes(dataset_.get());
    type_ = Hdf5{H5Tget_member_type(compound, static_cast<unsigned>(index)), H5Tclose};
    offset_ = stored_offset(compound, static_cast<unsigned>(index), address);
    bytes_ = stored_bytes(type_.get(), address);
    if (bytes_ == 0 || bytes_ > element_ || offset_ > element_ - bytes_)
        refuse(location_, place_ + " is not within its row", "", "the file is damaged: copy or write it again");
}

void Hdf5Rows::lay_out_chunks(hid_t creation) {
    decoder_ = ChunkDecoder::of(creation);
    if (!decoder_) return;
    std::array<hsize_t, 2> extents{1, 1};
    if (H5Pget_chunk(creation, dimensions_, extents.data()) != dimensions_ || extents[0] == 0 || extents[1] == 0)
        refuse(location_, place_ + " has chunks of no size", "", "the file is damaged: copy or write it again");
    constexpr hsize_t largest = std::numeric_limits<std::uint32_t>::max();  // HDF5's own limit for a chunk's bytes
    if (extents[0] > largest / extents[1] / element_)
        refuse(location_, place_ + " has chunks that are too large", "", "the file is damaged: copy or write it again");
    band_ = static_cast<std::int64_t>(extents[0]);
    width_ = static_cast<std::int64_t>(extents[1]);
    across_ = std::max<std::int64_t>(1, (columns_ + width_ - 1) / width_);
    const std::size_t bytes = static_cast<std::size_t>(band_ * width_) * element_;
    slots_.resize(static_cast<std::size_t>(across_) <= most_kept / bytes ? static_cast<std::size_t>(across_) : 1);

    unsigned options = 0;
    edges_as_they_are_ = H5Pget_chunk_opts(creation, &options) >= 0 && (options & H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS);
    fill_.resize(element_);
    H5D_fill_value_t defined = H5D_FILL_VALUE_UNDEFINED;
    const H5T_class_t kind = H5Tget_class(element_type_.get());
    const bool plain = kind == H5T_INTEGER || kind == H5T_FLOAT || kind == H5T_ENUM;
    if (!plain || H5Pfill_value_defined(creation, &defined) < 0 || defined == H5D_FILL_VALUE_UNDEFINED ||
        H5Pget_fill_value(creation, element_type_.get(), fill_.data()) < 0)
        std::ranges::fill(fill_, std::byte{0});
}

void Hdf5Rows::refuse_rows(std::int64_t first, std::int64_t count, const std::string& reason) const {
    refuse(location_, fmt::format("rows {} to {} of {} cannot be read", first, first + count - 1, place_), reason,
           "the file is damaged: copy or write it again");
}

void Hdf5Rows::read(std::span<const GlobalRun> runs, ColumnRun columns, std::span<std::byte> out) {
    CONVOY_EXPECT(columns.first >= 0 && columns.count >= 0 && columns.first + columns.count <= columns_);
    std::byte* at = out.data();
    if (!chunked()) {
        read_in_order(runs, columns, at);
        return;
    }
    std::int64_t band = -1;
    std::vector<Piece> pieces;
    for (const GlobalRun& run : runs) {
        CONVOY_EXPECT(run.first.value >= 0 && run.first.value + run.count <= rows_);
        for (std::int64_t row = run.first.value, end = row + run.count; row < end;) {
            if (row / band_ != band) {
                if (!pieces.empty()) read_band(band, columns, pieces);
                pieces.clear();
                band = row / band_;
            }
            const std::int64_t count = std::min(end, (band + 1) * band_) - row;
            pieces.push_back({row - band * band_, count, at});
            at += count * columns.count * static_cast<std::int64_t>(bytes_);
            row += count;
        }
    }
    if (!pieces.empty()) read_band(band, columns, pieces);
}

void Hdf5Rows::read_band(std::int64_t band, ColumnRun columns, std::span<const Piece> pieces) {
    const std::int64_t end = columns.first + columns.count;
    for (std::int64_t column = columns.first / width_; column * width_ < end; ++column) {
        const std::span<const std::byte> stored = chunk(band, column);
        const auto pitch = static_cast<std::size_t>(width_) * element_;
        const auto row = static_cast<std::size_t>(columns.count) * bytes_;
        const std::int64_t first = std::max(columns.first, column * width_);  // of those wanted, in this chunk
        const auto elements = static_cast<std::size_t>(std::min(end, (column + 1) * width_) - first);
        const auto skip = static_cast<std::size_t>(first - column * width_) * element_;
        for (const Piece& piece : pieces) {
            const std::byte* from = stored.data() + static_cast<std::size_t>(piece.row) * pitch + skip;
            std::byte* to = piece.out + static_cast<std::size_t>(first - columns.first) * bytes_;
            const auto count = static_cast<std::size_t>(piece.count);
            if (bytes_ == element_ && row == pitch && elements * element_ == pitch) {
                std::memcpy(to, from, count * row);
                continue;
            }
            for (std::size_t k = 0; k < count; ++k, from += pitch, to += row) {
                if (bytes_ == element_) {
                    std::memcpy(to, from, elements * bytes_);
                    continue;
                }
                for (std::size_t e = 0; e < elements; ++e)
                    std::memcpy(to + e * bytes_, from + e * element_ + offset_, bytes_);
            }
        }
    }
}

std::span<const std::byte> Hdf5Rows::chunk(std::int64_t band, std::int64_t column) {
    Slot& slot = slots_[static_cast<std::size_t>(column) % slots_.size()];
    if (slot.band == band && slot.column == column) return slot.bytes;
    slot.band = -1;
    slot.bytes.resize(static_cast<std::size_t>(band_ * width_) * element_);
    decode(band, column, slot.bytes);
    slot.band = band;
    slot.column = column;
    return slot.bytes;
}

hsize_t Hdf5Rows::bytes_of_chunk(std::int64_t band, std::int64_t column) const {
    const std::int64_t first = band * band_, count = std::min(band_, rows_ - first);
    const std::array<hsize_t, 2> offset{static_cast<hsize_t>(first), static_cast<hsize_t>(column * width_)};
    if (!written()) return 0;
    unsigned skipped = 0;
    haddr_t address = HADDR_UNDEF;
    hsize_t bytes = 0, found = 0;
    if (H5Dget_chunk_info_by_coord(dataset_.get(), offset.data(), &skipped, &address, &bytes) < 0)
        refuse_rows(first, count, hdf5_error("unknown reason"));
    if (address == HADDR_UNDEF) return 0;
    // That one looks through all chunks. What reads them searches, which leads elsewhere in a damaged index.
    if (H5Dget_chunk_storage_size(dataset_.get(), offset.data(), &found) < 0)
        refuse_rows(first, count, hdf5_error("unknown reason"));
    if (found != bytes || bytes == 0)
        refuse_rows(first, count, fmt::format("a chunk has {} bytes, or {}", bytes, found));
    return bytes;
}

void Hdf5Rows::decode(std::int64_t band, std::int64_t column, std::span<std::byte> into) {
    const std::int64_t first = band * band_, count = std::min(band_, rows_ - first);
    const std::array<hsize_t, 2> offset{static_cast<hsize_t>(first), static_cast<hsize_t>(column * width_)};
    const hsize_t bytes = bytes_of_chunk(band, column);
    if (bytes == 0) {  // never written
        for (std::size_t at = 0; at < into.size(); at += element_)
            std::memcpy(into.data() + at, fill_.data(), element_);
        return;
    }
    // HDF5 would make room for any length that the file claims.
    const Hdf5 file{H5Iget_file_id(dataset_.get()), H5Fclose};
    hsize_t whole = 0;
    if (H5Fget_filesize(file.get(), &whole) < 0 || bytes > whole)
        refuse_rows(first, count, fmt::format("a chunk of {} bytes in a file of {}", bytes, whole));
    std::vector<std::byte> stored(bytes);
    std::uint32_t skipped = 0;
    if (H5Dread_chunk(dataset_.get(), H5P_DEFAULT, offset.data(), &skipped, stored.data()) < 0)
        refuse_rows(first, count, hdf5_error("unknown reason"));
    if (edges_as_they_are_ && (count < band_ || (column + 1) * width_ > columns_)) skipped = ~std::uint32_t{0};
    const std::string wrong = decoder_->decode(stored, skipped, into);
    if (!wrong.empty()) refuse_rows(first, count, "a chunk is damaged: " + wrong);
}

void Hdf5Rows::read_in_order(std::span<const GlobalRun> runs, ColumnRun columns, std::byte* out) {
    const std::int64_t row = std::max<std::int64_t>(1, columns.count * static_cast<std::int64_t>(bytes_));
    const std::int64_t together = std::max<std::int64_t>(1, together_bytes / row);
    std::vector<std::byte> buffer;
    for (std::size_t k = 0; k < runs.size();) {
        const std::int64_t first = runs[k].first.value;
        CONVOY_EXPECT(first >= 0 && first + runs[k].count <= rows_);
        std::size_t end = k + 1;
        while (end < runs.size() && runs[end].first.value + runs[end].count - first <= together) ++end;
        if (end == k + 1) {
            read_slab(runs[k], columns, type_.get(), out);
            out += runs[k].count * row;
        } else {
            const std::int64_t count = runs[end - 1].first.value + runs[end - 1].count - first;
            buffer.resize(static_cast<std::size_t>(count * row));
            read_slab({runs[k].first, count}, columns, type_.get(), buffer.data());
            for (std::size_t i = k; i < end; ++i) {
                std::memcpy(out, buffer.data() + (runs[i].first.value - first) * row,
                            static_cast<std::size_t>(runs[i].count * row));
                out += runs[i].count * row;
            }
        }
        k = end;
    }
}

void Hdf5Rows::read_by_hdf5(GlobalRun run, hid_t memory, std::byte* out) {
    // It would not look at how long the decoded chunks are, nor whether there is anything in one.
    if (chunked() && written())
        for (std::int64_t band = run.first.value / band_; band * band_ < run.first.value + run.count; ++band)
            for (std::int64_t column = 0; column < across_; ++column) {
                if (bytes_of_chunk(band, column) == 0)
                    refuse_rows(run.first.value, run.count, "a chunk of text is not there");
                chunk(band, column);
            }
    read_slab(run, {0, columns_}, memory, out);
}

void Hdf5Rows::read_slab(GlobalRun run, ColumnRun columns, hid_t memory, std::byte* out) const {
    const auto bytes = static_cast<std::int64_t>(H5Tget_size(memory));
    Hdf5 wrapped;  // a member alone
    if (!member_.empty()) {
        wrapped = Hdf5{H5Tcreate(H5T_COMPOUND, H5Tget_size(memory)), H5Tclose};
        H5Tinsert(wrapped.get(), member_.c_str(), 0, memory);
        memory = wrapped.get();
    }
    const std::int64_t row = std::max<std::int64_t>(1, columns.count * bytes);
    const std::int64_t step = std::max<std::int64_t>(1, slab_bytes / row);
    for (std::int64_t at = 0; at < run.count && columns.count > 0; at += step) {
        const std::int64_t first = run.first.value + at, count = std::min(step, run.count - at);
        const std::array<hsize_t, 2> start{static_cast<hsize_t>(first), static_cast<hsize_t>(columns.first)};
        const std::array<hsize_t, 2> extents{static_cast<hsize_t>(count), static_cast<hsize_t>(columns.count)};
        const Hdf5 in_file{H5Dget_space(dataset_.get()), H5Sclose};
        const Hdf5 in_memory{
            dimensions_ == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(dimensions_, extents.data(), nullptr),
            H5Sclose};
        if (dimensions_ > 0)
            H5Sselect_hyperslab(in_file.get(), H5S_SELECT_SET, start.data(), nullptr, extents.data(), nullptr);
        if (H5Dread(dataset_.get(), memory, in_memory.get(), in_file.get(), H5P_DEFAULT, out + at * row) < 0)
            refuse_rows(first, count, hdf5_error("unknown reason"));
    }
}

}  // namespace convoy::io
