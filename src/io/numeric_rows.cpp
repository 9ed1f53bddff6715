#include "io/numeric_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "convoy/error.hpp"
#include "io/hdf5_dataset.hpp"
#include "io/input_error.hpp"

namespace convoy::io {

namespace {

constexpr std::size_t buffer_bytes = std::size_t{4} << 20;
constexpr std::size_t largest_number = 16;

// h5py's booleans: an enumeration of FALSE and TRUE over int8.
bool is_boolean_enumeration(hid_t type) {
    if (H5Tget_class(type) != H5T_ENUM || H5Tget_nmembers(type) != 2) return false;
    for (unsigned k = 0; k < 2; ++k) {
        char* name = H5Tget_member_name(type, k);
        const bool known = name != nullptr && (std::strcmp(name, "TRUE") == 0 || std::strcmp(name, "FALSE") == 0);
        H5free_memory(name);
        if (!known) return false;
    }
    return true;
}

}  // namespace

Hdf5 number_type(hid_t type, bool& boolean) {
    boolean = is_boolean_enumeration(type);
    Hdf5 number{boolean ? H5Tget_super(type) : H5Tcopy(type), H5Tclose};
    const H5T_class_t kind = H5Tget_class(number.get());
    if ((kind != H5T_INTEGER && kind != H5T_FLOAT) || H5Tget_size(number.get()) > largest_number) return {};
    return number;
}

bool NumericRows::reads(hid_t type) {
    bool boolean = false;
    return static_cast<bool>(number_type(type, boolean));
}

NumericRows::NumericRows(const Location& location, const std::string& path, Hdf5 dataset, const std::string& member)
    : rows_{location, path, std::move(dataset), member} {
    Hdf5 type{H5Tcopy(rows_.type()), H5Tclose};
    is_array_ = H5Tget_class(type.get()) == H5T_ARRAY;
    if (is_array_) {
        std::array<hsize_t, H5S_MAX_RANK> extents{};
        if (H5Tget_array_ndims(type.get()) != 1 || H5Tget_array_dims2(type.get(), extents.data()) != 1 ||
            !rows_.vector())
            refuse(location, place() + " holds arrays of more than one dimension", "need numbers");
        width_ = static_cast<std::int64_t>(extents[0]);
        type = Hdf5{H5Tget_super(type.get()), H5Tclose};
    }
    number_ = number_type(type.get(), boolean_);
    if (!number_)
        refuse(location, place() + " holds no numbers", fmt::format("its type is {}", type_name(type.get())),
               fmt::format("see what there is: convoy check {}", location.path));
    integer_ = H5Tget_class(number_.get()) == H5T_INTEGER;
    bytes_ = H5Tget_size(number_.get());
}

template <class T>
void NumericRows::convert(std::span<const GlobalRun> runs, ColumnRun columns, hid_t memory, std::span<T> out) {
    // Of arrays, which are whole elements, all of them.
    const ColumnRun elements = is_array_ ? ColumnRun{0, 1} : columns;
    // HDF5 converts in place; numbers that grow have their room in the end before.
    const auto turn = [&](std::byte* numbers, std::size_t count) {
        if (count > 0 && H5Tconvert(number_.get(), memory, count, numbers, nullptr, H5P_DEFAULT) < 0)
            rows_.refuse_rows(0, rows(), "its numbers cannot be converted");
    };
    if (bytes_ <= sizeof(T)) {
        const std::span<std::byte> room = std::as_writable_bytes(out);
        rows_.read(runs, elements, room.first(out.size() * bytes_));
        turn(room.data(), out.size());
        return;
    }
    const std::int64_t step = std::max<std::int64_t>(
        1, static_cast<std::int64_t>(buffer_bytes / bytes_) / std::max<std::int64_t>(columns.count, 1));
    std::vector<std::byte> piece(static_cast<std::size_t>(step * columns.count) * bytes_);
    T* to = out.data();
    for (const GlobalRun& run : runs) {
        for (std::int64_t at = 0; at < run.count; at += step) {
            const GlobalRun part{GlobalIndex{run.first.value + at}, std::min(step, run.count - at)};
            const auto count = static_cast<std::size_t>(part.count * columns.count);
            rows_.read(std::span{&part, 1}, elements, std::span{piece}.first(count * bytes_));
            turn(piece.data(), count);
            std::memcpy(to, piece.data(), count * sizeof(T));
            to += count;
        }
    }
}

void NumericRows::read(std::span<const GlobalRun> runs, ColumnRun columns, std::span<double> out) {
    if (is_array_ && columns.count != width_) return read_arrays(runs, columns, out);
    convert(runs, columns, H5T_NATIVE_DOUBLE, out);
}

void NumericRows::read_arrays(std::span<const GlobalRun> runs, ColumnRun columns, std::span<double> out) {
    const std::int64_t rows = rows_of(runs);
    std::vector<double> whole(static_cast<std::size_t>(rows * width_));
    convert(runs, {0, width_}, H5T_NATIVE_DOUBLE, std::span{whole});
    auto to = out.begin();
    for (std::int64_t i = 0; i < rows; ++i)
        to = std::copy_n(whole.begin() + i * width_ + columns.first, columns.count, to);
}

void NumericRows::read(std::span<const GlobalRun> runs, std::span<std::int64_t> out) {
    convert(runs, {0, columns()}, is_unsigned() ? H5T_NATIVE_UINT64 : H5T_NATIVE_INT64, out);
}

}  // namespace convoy::io
