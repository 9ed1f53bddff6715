#include "io/points_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "convoy/error.hpp"
#include "io/checksum.hpp"
#include "io/file_layout.hpp"
#include "io/hdf5_attributes.hpp"
#include "io/part_file.hpp"
#include "io/placed_rows.hpp"
#include "io/sealed_file.hpp"

namespace convoy::io {

namespace {

std::int64_t bytes_needed(const PointsHead& head) {
    return (std::int64_t{1} << 20) + 8 * (head.rows * head.columns + head.self_points) + bytes_of(head.root) +
           bytes_of(head.model) + bytes_of(head.run) + static_cast<std::int64_t>(256 * head.phases.size());
}

Attributes attributes_of(const SelfPotential& self) {
    return {{"epsilon", self.epsilon},
            {"marginal_error", self.marginal_error},
            {"tolerance", self.tolerance},
            {"status", self.status},
            {"points_checksum", std::int64_t{self.points_checksum}},
            {"weights_checksum", std::int64_t{self.weights_checksum}},
            {"scaling", self.scaling}};
}

}  // namespace

PointsFile::PointsFile(const Communicator& world, const PointsHead& head, const std::string& path)
    : file_{std::make_unique<UnfinishedFile>(world, path)}, has_self_{head.self != nullptr} {
    agree(world, [&] {
        if (!world.is_root()) return;
        // Before HDF5 has anything to lose; creating the file gives the space back, and layout takes it again.
        reserve_part_file(path, file_->part(), bytes_needed(head));
        lay_out(head);
        sync_part_file(path, file_->part());
    });
    std::array<std::int64_t, 2> places{points_.offset, self_.offset};
    world.broadcast(std::span<std::int64_t>{places});
    points_ = {places[0], head.columns, 0};
    self_ = {places[1], 1, 0};
    open();
}

PointsFile::PointsFile(const Communicator& world, const PointsHead& head, const std::string& path,
                       const Progress& progress)
    : file_{std::make_unique<UnfinishedFile>(world, path, progress.part)},
      rows_written_{progress.rows},
      points_{progress.points_offset, head.columns, progress.points_checksum},
      self_{progress.self_offset, 1, progress.self_checksum},
      has_self_{head.self != nullptr} {
    open();
}

void PointsFile::open() {
    agree(file_->world(), [&] {
        handle_ = FileHandle{::open(file_->part().c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW)};
        if (!handle_)
            fail_to_write(file_->out(), "a rank cannot open its part file", std::strerror(errno),
                          "write to a file system that all ranks see");
    });
}

std::optional<PointsFile> PointsFile::again(const Communicator& world, const PointsHead& head, const std::string& path,
                                            const Progress& progress) {
    try {
        PointsFile file{world, head, path, progress};
        if (file.is_as_left()) return file;
    } catch (const Failure&) {  // on all ranks
    }
    return std::nullopt;
}

bool PointsFile::is_as_left() const {
    const auto fail = [&](const char* why) { fail_to_write(file_->out(), "its part file cannot be read", why, ""); };
    const std::int64_t bytes = 8 * points_.width * rows_written_;
    return checksum_of_bytes(file_->world(), handle_.get(), points_.offset, bytes, fail) == points_.checksum;
}

void PointsFile::sync() const {
    agree(file_->world(), [&] {
        if (::fsync(handle_.get()) != 0)
            fail_to_write(file_->out(), "it could not be brought to disk", std::strerror(errno),
                          "check the disk and its free space");
    });
}

PointsFile::Progress PointsFile::keep() {
    sync();
    file_->keep();
    return {file_->part(), rows_written_, points_.offset, self_.offset, points_.checksum, self_.checksum};
}

void PointsFile::lay_out(const PointsHead& head) {
    const FileLayout layout{file_->out()};
    Hdf5 file = layout.create(file_->part(), std::string{points_format}, points_format_version, head.root);
    const auto extent = [](std::int64_t count) { return static_cast<hsize_t>(count); };
    points_.offset = offset_of(
        file_->out(), layout.large_dataset(file.get(), "points", {extent(head.rows), extent(head.columns)}).get());
    layout.attributes(layout.group(file.get(), "model").get(), head.model);
    layout.attributes(layout.group(file.get(), "run").get(), head.run);
    layout.group(file.get(), "inputs");
    layout.input(file.get(), "points", head.input);
    if (head.self != nullptr) {
        layout.attributes(layout.group(file.get(), "self").get(), attributes_of(*head.self));
        self_.offset =
            offset_of(file_->out(), layout.large_dataset(file.get(), "self/f", {extent(head.self_points)}).get());
    }
    std::vector<PhaseTiming> phases;
    for (const std::string& phase : head.phases) phases.push_back({phase, 0, 0, 0});
    layout.timing(file.get(), phases);
    layout.reserve_and_close(file_->part(), file);
}

void PointsFile::put(Place& place, GlobalRun all, GlobalRun mine, std::span<const double> numbers) {
    CONVOY_EXPECT(static_cast<std::int64_t>(numbers.size()) == mine.count * place.width);
    agree(file_->world(), [&] {
        write_at(file_->out(), handle_.get(), place.offset + 8 * place.width * mine.first.value,
                 std::as_bytes(numbers));
    });
    const std::uint32_t checksum = crc32c_of_all(file_->world(), crc32c(numbers),
                                                 static_cast<std::int64_t>(numbers.size_bytes()), mine.first.value);
    place.checksum = crc32c_combine(place.checksum, checksum, static_cast<std::uint64_t>(8 * place.width * all.count));
}

void PointsFile::write(GlobalRun portion, GlobalRun mine, std::span<const double> rows) {
    put(points_, portion, mine, rows);
    rows_written_ += portion.count;
}

void PointsFile::write_self(const Grid& grid, const Partition& partition, const SelfPotential& self) {
    CONVOY_EXPECT(has_self_);
    const GlobalRun mine = my_stripe(grid, Side::column, partition);
    const std::int64_t skipped = mine.first.value - partition.first(grid.part(Side::column)).value;
    put(self_, {GlobalIndex{0}, partition.items()}, mine,
        mine.count == 0
            ? std::span<const double>{}
            : std::span{self.f}.subspan(static_cast<std::size_t>(skipped), static_cast<std::size_t>(mine.count)));
}

// Everything has its place by now: numbers are overwritten where they stand, and the disk cannot be too full for them.
void PointsFile::complete(std::uint32_t input_checksum, const std::vector<PhaseTiming>& timing) const {
    const FileLayout layout{file_->out()};
    std::string error;
    Hdf5 file = open_hdf5_file(file_->part(), H5F_ACC_RDWR, error);
    layout.require(static_cast<bool>(file), "opening the part file again");
    const auto mark = [&](const char* path, const char* name, std::uint32_t value) {
        const Hdf5 object{H5Oopen(file.get(), path, H5P_DEFAULT), H5Oclose};
        layout.require(object && set_mark(object.get(), name, value), "writing a checksum");
    };
    mark("points", "checksum", points_.checksum);
    if (has_self_) mark("self/f", "checksum", self_.checksum);
    mark("inputs/points", "checksum", input_checksum);
    const auto refill = [&](const char* path, double PhaseTiming::*member) {
        std::vector<double> values;
        for (const PhaseTiming& row : timing) values.push_back(row.*member);
        const Hdf5 dataset{H5Dopen2(file.get(), path, H5P_DEFAULT), H5Dclose};
        const Hdf5 space{H5Dget_space(dataset.get()), H5Sclose};
        CONVOY_ASSERT(H5Sget_simple_extent_npoints(space.get()) == static_cast<hssize_t>(values.size()));
        layout.require(H5Dwrite(dataset.get(), H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0,
                       "writing the times");
    };
    refill("timing/min", &PhaseTiming::min);
    refill("timing/mean", &PhaseTiming::mean);
    refill("timing/max", &PhaseTiming::max);
    layout.require(set_mark(file.get(), "complete", 1), "marking the file complete");
    layout.require(file.close(), "closing the file");
}

void PointsFile::finish(std::uint32_t input_checksum, const std::vector<PhaseTiming>& timing, bool overwrite) {
    const Communicator& world = file_->world();
    sync();
    handle_ = FileHandle{};
    agree(world, [&] {
        if (!world.is_root()) return;
        complete(input_checksum, timing);
        sync_part_file(file_->out(), file_->part());
    });
    file_->publish(overwrite);
}

}  // namespace convoy::io
