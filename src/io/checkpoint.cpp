#include "io/checkpoint.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>

#include "io/array_file.hpp"
#include "io/checksum.hpp"
#include "io/file_handle.hpp"
#include "io/hdf5_attributes.hpp"
#include "io/hdf5_dataset.hpp"
#include "io/input_error.hpp"
#include "io/number.hpp"
#include "io/part_file.hpp"
#include "io/result_open.hpp"
#include "io/sealed_file.hpp"

namespace convoy::io {

namespace {

// Groups that lead to an array, each once.
void add_groups(ArrayFile& file, const std::string& path) {
    for (std::size_t end = path.find('/'); end != std::string::npos; end = path.find('/', end + 1)) {
        const std::string above = path.substr(0, end);
        const bool there = std::ranges::any_of(file.groups, [&](const auto& group) { return group.first == above; });
        if (!there) file.groups.emplace_back(above, Attributes{});
    }
}

FileArray array_of(const Grid& grid, const Checkpoint::Part& part) {
    const GlobalRun stripe = my_stripe(grid, part.side, *part.partition);
    const std::int64_t skipped = stripe.first.value - part.partition->first(grid.part(part.side)).value;
    const auto mine = stripe.count == 0 ? std::span<const double>{}
                                        : part.values.subspan(static_cast<std::size_t>(skipped),
                                                              static_cast<std::size_t>(stripe.count));
    return {"state/parts/" + part.name, part.partition->items(), 0, stripe.first.value, mine};
}

FileArray array_of(const Communicator& world, const std::pair<std::string, std::vector<double>>& table) {
    const std::span<const double> all{table.second};
    return {"state/tables/" + table.first, std::ssize(table.second), 0, 0,
            world.is_root() ? all : std::span<const double>{}};
}

// Where each part's words begin among all, and how many there are: parts + 1 numbers.
std::vector<std::int64_t> ends_of(const Grid& grid, Side side, std::int64_t mine) {
    std::vector<std::int64_t> ends(static_cast<std::size_t>(grid.parts(side)) + 1, 0);
    const auto part = static_cast<std::size_t>(grid.part(side).value);
    ends[part + 1] = mine;
    grid.holders(side).sum(ends);
    for (std::size_t p = 1; p < ends.size(); ++p) ends[p] += ends[p - 1];
    return ends;
}

void add(ArrayFile& file, const Grid& grid, const Checkpoint::Words& words) {
    const std::vector<std::int64_t> ends = ends_of(grid, words.side, std::ssize(words.values));
    const auto part = static_cast<std::size_t>(grid.part(words.side).value);
    const std::string path = "state/words/" + words.name;
    std::vector<std::int64_t> mine;
    if (grid.sharers(words.side).rank() == 0) mine.assign(words.values.begin(), words.values.end());
    file.arrays.push_back({path, ends.back(), 0, ends[part], std::move(mine)});
    const bool root = grid.world().is_root();
    file.arrays.push_back({path + "_ends", std::ssize(ends), 0, 0, root ? ends : std::vector<std::int64_t>{}});
}

ArrayFile contents_of(const Grid& grid, const Checkpoint& checkpoint) {
    ArrayFile file;
    file.format = checkpoint_format;
    file.format_version = checkpoint_format_version;
    file.root = checkpoint.root;
    file.groups = {{"problem", checkpoint.problem}, {"plan", checkpoint.plan}, {"state", checkpoint.state}};
    for (const Checkpoint::Part& part : checkpoint.parts) file.arrays.push_back(array_of(grid, part));
    for (const auto& table : checkpoint.tables) file.arrays.push_back(array_of(grid.world(), table));
    for (const Checkpoint::Words& words : checkpoint.words) add(file, grid, words);
    for (const FileArray& array : file.arrays) add_groups(file, array.path);
    return file;
}

std::string packed(const std::vector<std::string>& texts) {
    std::string all;
    for (const std::string& text : texts) all += fmt::format("{} {}", text.size(), text);
    return all;
}

std::vector<std::string> unpacked(const std::string& all) {
    std::vector<std::string> texts;
    for (std::size_t at = 0; at < all.size();) {
        const std::size_t blank = all.find(' ', at);
        const std::size_t length = std::stoull(all.substr(at, blank - at));
        texts.push_back(all.substr(blank + 1, length));
        at = blank + 1 + length;
    }
    return texts;
}

}  // namespace

std::int64_t write_checkpoint(const Grid& grid, const Checkpoint& checkpoint, const std::string& path, bool keep_last) {
    const Communicator& world = grid.world();
    const ArrayFile contents = contents_of(grid, checkpoint);
    std::int64_t bytes = 0;
    for (const FileArray& array : contents.arrays) bytes += 8 * array.rows;
    write_array_file(world, contents, path, true, [&](const std::string& part) {
        seal(world, path, part);
        agree(world, [&] {
            if (!world.is_root() || !keep_last) return;
            if (std::rename(path.c_str(), previous_of(path).c_str()) != 0 && errno != ENOENT)
                fail_to_write(path, "the last checkpoint cannot be renamed", std::strerror(errno), "check the folder");
        });
    });
    return bytes;
}

void remove_checkpoints(const Communicator& world, const std::string& path) {
    if (!world.is_root()) return;
    // The previous one first: what is left where this ends in between is the newest.
    ::unlink(previous_of(path).c_str());
    ::unlink(path.c_str());
}

double bytes_of_checkpoint(double numbers) {
    constexpr double books = 64e3;  // attributes, groups, a short history
    return 8 * numbers + books;
}

StoredCheckpoint::StoredCheckpoint(const Communicator& world, std::string path)
    : world_{world}, path_{std::move(path)} {
    expect_sealed(world_, path_);
    look_at();
}

void StoredCheckpoint::damaged(const std::string& why) const {
    refuse({path_, ""}, "it is no checkpoint that this program can go on from", why, "start afresh, without --resume");
}

// Rank 0 looks into the file and tells the others.
void StoredCheckpoint::look_at() {
    std::string packs[4];
    agree(world_, [&] {
        if (!world_.is_root()) return;
        const Location location{path_, ""};
        const Hdf5 file = open_complete_file(location, checkpoint_format, checkpoint_format_version);
        const auto texts_of = [&](const char* group) {
            const Hdf5 object{H5Gopen2(file.get(), group, H5P_DEFAULT), H5Gclose};
            if (!object) damaged(fmt::format("it has no group '{}'", group));
            std::vector<std::string> texts;
            for (const auto& [name, text] : attributes_of(object.get())) {
                texts.push_back(name);
                texts.push_back(text);
            }
            return packed(texts);
        };
        packs[0] = texts_of("problem");
        packs[1] = texts_of("plan");
        packs[2] = texts_of("state");
        std::vector<std::string> arrays;
        for (const Hdf5Object& found : objects_of(file.get(), std::numeric_limits<std::size_t>::max())) {
            if (!found.dataset || !found.path.starts_with("state/")) continue;
            const Hdf5 dataset{H5Dopen2(file.get(), found.path.c_str(), H5P_DEFAULT), H5Dclose};
            const Hdf5 space{H5Dget_space(dataset.get()), H5Sclose};
            const hssize_t rows = dataset && space ? H5Sget_simple_extent_npoints(space.get()) : -1;
            const haddr_t offset = dataset ? H5Dget_offset(dataset.get()) : HADDR_UNDEF;
            if (rows < 0 || (rows > 0 && offset == HADDR_UNDEF)) damaged(fmt::format("'{}' has no place", found.path));
            for (const std::string& text :
                 {found.path.substr(6), fmt::format("{}", rows), fmt::format("{}", rows > 0 ? offset : 0),
                  fmt::format("{}", checksum_of(location, dataset.get(), found.path))})
                arrays.push_back(text);
        }
        packs[3] = packed(arrays);
    });
    for (std::string& pack : packs) world_.broadcast(pack);
    const auto pairs_of = [](const std::string& pack) {
        Texts pairs;
        const std::vector<std::string> texts = unpacked(pack);
        for (std::size_t k = 0; k + 1 < texts.size(); k += 2) pairs.emplace_back(texts[k], texts[k + 1]);
        return pairs;
    };
    problem_ = pairs_of(packs[0]);
    plan_ = pairs_of(packs[1]);
    for (auto& [name, text] : pairs_of(packs[2])) state_.emplace(name, text);
    const std::vector<std::string> arrays = unpacked(packs[3]);
    for (std::size_t k = 0; k + 3 < arrays.size(); k += 4)
        arrays_[arrays[k]] = {std::stoll(arrays[k + 1]), std::stoll(arrays[k + 2]),
                              static_cast<std::uint32_t>(std::stoul(arrays[k + 3]))};
}

const std::string& StoredCheckpoint::text(const std::string& name) const {
    const auto found = state_.find(name);
    if (found == state_.end()) damaged(fmt::format("'{}' is not in it", name));
    return found->second;
}

double StoredCheckpoint::number(const std::string& name) const {
    const auto number = parse_number(text(name));
    if (!number) damaged(fmt::format("'{}' is no number", name));
    return *number;
}

std::int64_t StoredCheckpoint::count(const std::string& name) const {
    const double value = number(name);
    if (!(value >= -9e15 && value <= 9e15)) damaged(fmt::format("'{}' is no count", name));
    return static_cast<std::int64_t>(value);
}

const StoredCheckpoint::Array& StoredCheckpoint::array(const std::string& name) const {
    const auto found = arrays_.find(name);
    if (found == arrays_.end()) damaged(fmt::format("'{}' is not in it", name));
    return found->second;
}

// Where bytes are is known, and that they are right: no library is in the way.
void StoredCheckpoint::read(const Array& array, std::int64_t first, std::span<std::byte> out) const {
    const FileHandle file{::open(path_.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!file) refuse({path_, ""}, "it cannot be read", std::strerror(errno), "check the disk");
    for (std::size_t done = 0; done < out.size();) {
        constexpr std::size_t most = std::size_t{1} << 30;
        const ssize_t more = ::pread(file.get(), out.data() + done, std::min(most, out.size() - done),
                                     array.offset + 8 * first + static_cast<std::int64_t>(done));
        if (more < 0 && errno == EINTR) continue;
        if (more <= 0)
            refuse({path_, ""}, "it cannot be read", more < 0 ? std::strerror(errno) : "it ends too early",
                   "check the disk");
        done += static_cast<std::size_t>(more);
    }
}

void StoredCheckpoint::expect_checksum(const std::string& name, std::uint32_t found) const {
    if (found != array(name).checksum) damaged(fmt::format("'{}' is not what was written", name));
}

std::vector<double> StoredCheckpoint::part(const Grid& grid, Side side, const Partition& partition,
                                           const std::string& name) const {
    const Array& from = array("parts/" + name);
    if (from.rows != partition.items())
        damaged(fmt::format("'{}' has {} numbers for {} points", name, from.rows, partition.items()));
    const GlobalRun stripe = my_stripe(grid, side, partition);
    std::vector<double> mine(static_cast<std::size_t>(stripe.count));
    agree(world_, [&] { read(from, stripe.first.value, std::as_writable_bytes(std::span{mine})); });
    expect_checksum("parts/" + name, crc32c_of_all(world_, crc32c(mine), 8 * stripe.count, stripe.first.value));
    return join_stripes(grid, side, partition, 1, mine);
}

std::vector<double> StoredCheckpoint::table(const std::string& name) const {
    const Array& from = array("tables/" + name);
    std::vector<double> all(static_cast<std::size_t>(from.rows));
    agree(world_, [&] {
        if (!world_.is_root()) return;
        read(from, 0, std::as_writable_bytes(std::span{all}));
        expect_checksum("tables/" + name, crc32c(all));
    });
    world_.broadcast(std::span{all});
    return all;
}

std::vector<std::int64_t> StoredCheckpoint::words(const Grid& grid, Side side, const std::string& name) const {
    const Array &from = array("words/" + name), &cuts = array("words/" + name + "_ends");
    if (cuts.rows != grid.parts(side) + 1) damaged(fmt::format("'{}' is of another grid", name));
    std::vector<std::int64_t> ends(static_cast<std::size_t>(cuts.rows)), mine;
    agree(world_, [&] {
        read(cuts, 0, std::as_writable_bytes(std::span{ends}));
        const auto part = static_cast<std::size_t>(grid.part(side).value);
        if (ends[part] < 0 || ends[part + 1] < ends[part] || ends[part + 1] > from.rows)
            damaged(fmt::format("'{}' has no place", name));
        mine.resize(static_cast<std::size_t>(ends[part + 1] - ends[part]));
        read(from, ends[part], std::as_writable_bytes(std::span{mine}));
    });
    return mine;
}

}  // namespace convoy::io
