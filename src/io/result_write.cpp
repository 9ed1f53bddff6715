// The second phase of a result file and the protocol around both.

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>

#include "convoy/error.hpp"
#include "io/checksum.hpp"
#include "io/hdf5_handles.hpp"
#include "io/part_file.hpp"
#include "io/result_layout.hpp"
#include "io/unfinished_file.hpp"
#include "parallel/native.hpp"

namespace convoy::io {

namespace {

constexpr std::int64_t slab_bytes = std::int64_t{1} << 30;

// This rank's share of a large dataset: a stripe of its part, so that every row is written once.
struct Share {
    GlobalRun rows;
    std::span<const double> values;
};

Share share_of(const Grid& grid, const Partition& partition, const LargeDataset& data) {
    CONVOY_EXPECT(static_cast<std::int64_t>(data.local.size()) == partition.count(grid.part(data.side)) * data.width);
    const GlobalRun rows = my_stripe(grid, data.side, partition);
    if (rows.count == 0) return {rows, {}};
    const std::int64_t skipped = rows.first.value - partition.first(grid.part(data.side)).value;
    return {rows, data.local.subspan(static_cast<std::size_t>(skipped * data.width),
                                     static_cast<std::size_t>(rows.count * data.width))};
}

// Nothing if all went well, else HDF5's reason.
std::optional<std::string> write_share(hid_t dataset, const LargeDataset& data, const Share& share) {
    const Hdf5 in_file{H5Dget_space(dataset), H5Sclose};
    const std::int64_t step = std::max<std::int64_t>(1, slab_bytes / 8 / data.width);
    for (std::int64_t at = 0; at < share.rows.count; at += step) {
        const std::int64_t count = std::min(step, share.rows.count - at);
        const hsize_t start[2] = {static_cast<hsize_t>(share.rows.first.value + at), 0};
        const hsize_t extents[2] = {static_cast<hsize_t>(count), static_cast<hsize_t>(data.width)};
        const Hdf5 in_memory{H5Screate_simple(data.matrix ? 2 : 1, extents, nullptr), H5Sclose};
        if (H5Sselect_hyperslab(in_file.get(), H5S_SELECT_SET, start, nullptr, extents, nullptr) < 0 ||
            H5Dwrite(dataset, H5T_NATIVE_DOUBLE, in_memory.get(), in_file.get(), H5P_DEFAULT,
                     share.values.data() + at * data.width) < 0)
            return hdf5_error("HDF5 gives no reason");
    }
    return std::nullopt;
}

// Independent transfers only: a collective write to a full disk hangs. After an error nothing is closed, since closing
// is collective, too: the ranks leave by FatalFailure with the file open.
void write_shares(const Communicator& world, const std::string& out, const std::string& part,
                  const std::vector<LargeDataset>& large, const std::vector<Share>& shares) {
    Hdf5 access = serial_access();
    if (world.size() > 1) H5Pset_fapl_mpio(access.get(), native(world), MPI_INFO_NULL);
    Hdf5 file;
    std::vector<Hdf5> datasets;
    const auto fail = [&](const char* what, const std::string& reason) {
        fail_to_write(out, fmt::format("rank {} could not {}", world.rank(), what), reason,
                      "check the disk and its free space");
    };
    const auto require = [&](bool done, const char* what) {
        if (!done) fail(what, hdf5_error("HDF5 gives no reason"));
    };
    try {
        agree(world, [&] {
            file = Hdf5{H5Fopen(part.c_str(), H5F_ACC_RDWR, access.get()), H5Fclose};
            require(static_cast<bool>(file), "open the part file");
            for (const LargeDataset& one : large) {
                datasets.push_back({H5Dopen2(file.get(), one.path.c_str(), H5P_DEFAULT), H5Dclose});
                require(static_cast<bool>(datasets.back()), "open a dataset");
            }
        });
        agree(world, [&] {
            for (std::size_t i = 0; i < large.size(); ++i)
                if (const auto reason = write_share(datasets[i].get(), large[i], shares[i]))
                    fail("write its rows", *reason);
        });
        agree(world, [&] {
            bool closed = true;
            for (Hdf5& dataset : datasets) closed = dataset.close() && closed;
            require(file.close() && closed, "close the part file");
        });
    } catch (const std::exception& error) {
        for (Hdf5& dataset : datasets) dataset.abandon();
        file.abandon();
        throw FatalFailure{error.what()};
    }
}

void write_part(const Grid& grid, const std::string& out, const std::string& part, const Result& result,
                const std::vector<LargeDataset>& large, const std::vector<Share>& shares) {
    const Communicator& world = grid.world();
    agree(world, [&] {
        if (!world.is_root()) return;
        // Before HDF5 has anything to lose; creating the file gives the space back, and layout takes it again.
        reserve_part_file(out, part, bytes_needed(result, large));
        lay_out_result(out, part, result, large);
        sync_part_file(out, part);
    });
    write_shares(world, out, part, large, shares);
    agree(world, [&] { sync_part_file(out, part); });

    std::vector<std::uint32_t> checksums;
    for (const Share& share : shares)
        checksums.push_back(crc32c_of_all(
            world, crc32c(share.values), static_cast<std::int64_t>(share.values.size_bytes()), share.rows.first.value));
    agree(world, [&] {
        if (!world.is_root()) return;
        mark_complete(out, part, large, checksums);
        sync_part_file(out, part);
    });
}

}  // namespace

void check_output(const Communicator& world, const std::string& path, bool overwrite) {
    agree(world, [&] {
        if (!world.is_root()) return;
        const auto refuse_output = [&](const std::string& problem, const std::string& remedy) {
            throw InputError{fmt::format("cannot write '{}': {}; {}", path, problem, remedy)};
        };
        if (path.empty() || path.ends_with('/')) refuse_output("it names no file", "give a file's name");
        std::error_code gone;
        const std::string folder = std::filesystem::absolute(path, gone).parent_path().string();
        if (gone)
            refuse_output(fmt::format("the working folder is not known ({})", gone.message()),
                          "change into one that exists, or give the whole path");
        struct stat status;
        if (::stat(folder.c_str(), &status) != 0)
            refuse_output("there is no folder for it", fmt::format("create it: mkdir -p '{}'", folder));
        if (!S_ISDIR(status.st_mode))
            refuse_output(fmt::format("'{}' is not a folder", folder), "choose another folder");
        if (::lstat(path.c_str(), &status) == 0) {
            if (S_ISDIR(status.st_mode)) refuse_output("it is a folder", "give the name of a file in it");
            if (!overwrite)
                refuse_output("it exists (results are not replaced unasked)", "choose another name, or --overwrite");
            if (!S_ISREG(status.st_mode) && !S_ISLNK(status.st_mode))
                refuse_output("it is no regular file", "choose another name");
        }
        // Permissions are best asked by doing it: a root user, quotas and read-only mounts have their own rules.
        try {
            remove_part_file(create_part_file(path));
        } catch (const Failure& failure) {
            throw InputError{failure.what()};
        }
    });
}

void write_result(const Grid& grid, const DistributedCloud& source, const DistributedCloud& target,
                  const Result& result, const std::string& path, bool overwrite) {
    const Communicator& world = grid.world();
    const std::vector<LargeDataset> large = large_datasets(source, target, result);
    std::vector<Share> shares;
    for (const LargeDataset& one : large)
        shares.push_back(share_of(grid, one.side == Side::row ? source.partition : target.partition, one));

    UnfinishedFile file{world, path};
    write_part(grid, path, file.part(), result, large, shares);
    file.publish(overwrite);
}

}  // namespace convoy::io
