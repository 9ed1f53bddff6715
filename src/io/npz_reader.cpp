// NumPy's .npz: a zip archive of .npy files. Stored ones (numpy.savez) are read in place by all ranks; deflated ones
// (numpy.savez_compressed) by one rank, from their beginning.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "io/array_reader.hpp"
#include "io/byte_stream.hpp"
#include "io/formats.hpp"
#include "io/input_error.hpp"
#include "io/npy_header.hpp"
#include "io/streamed_array.hpp"
#include "io/zip_directory.hpp"

namespace convoy::io {

namespace {

constexpr std::size_t most_listed = 12;

// x.npy -> x
std::string array_name(const ZipMember& member) {
    return member.name.ends_with(".npy") ? member.name.substr(0, member.name.size() - 4) : member.name;
}

std::string list_of(const std::vector<ZipMember>& members) {
    if (members.empty()) return "it holds none";
    std::vector<std::string> names;
    for (const ZipMember& member : members) names.push_back(array_name(member));
    const bool long_list = names.size() > most_listed;
    if (long_list) names.resize(most_listed);
    return fmt::format("its arrays: {}{}", fmt::join(names, ", "), long_list ? ", ..." : "");
}

ZipMember choose(const Location& location, const std::vector<ZipMember>& members) {
    const auto remedy = [&] {
        return members.empty() ? std::string{"write arrays with numpy.savez"}
                               : fmt::format("name one, like: {}#{}", location.path, array_name(members[0]));
    };
    if (location.key.empty()) {
        if (members.size() == 1) return members[0];
        refuse(location, "no array is named", list_of(members), remedy());
    }
    const auto found = std::ranges::find_if(members, [&](const ZipMember& member) {
        return member.name == location.key || array_name(member) == location.key;
    });
    if (found == members.end())
        refuse(location, fmt::format("it has no array '{}'", location.key), list_of(members), remedy());
    return *found;
}

std::unique_ptr<Reader> open_stored(ByteFile file, const ZipMember& member, std::int64_t at) {
    const Location location = file.location();
    if (member.packed != member.bytes)
        refuse(location, "the zip archive is damaged", fmt::format("'{}' has two lengths", member.name),
               "copy or write it again");
    std::string head(static_cast<std::size_t>(std::min(member.bytes, longest_npy_header)), '\0');
    file.read(at, head.data(), std::ssize(head));
    ArrayLayout layout = npy_layout(location, parse_npy_header(location, head), at, member.bytes);
    return open_array(std::move(file), std::move(layout));
}

std::unique_ptr<Reader> open_packed(ByteFile file, const ZipMember& member, std::int64_t at) {
    const Location location = file.location();
    if (member.bytes / largest_expansion > member.packed)
        refuse(location, "the zip archive is damaged",
               fmt::format("'{}' cannot be {} bytes of {} packed ones", member.name, member.bytes, member.packed),
               "copy or write it again");
    const Deflated piece{at, member.packed, member.bytes, member.crc};
    // Once for the header, then from the beginning to where the numbers are: the stream cannot go back.
    std::string head(static_cast<std::size_t>(std::min(member.bytes, longest_npy_header)), '\0');
    const std::int64_t got = open_deflated(ByteFile{location}, piece)->read(head.data(), std::ssize(head));
    head.resize(static_cast<std::size_t>(got));
    const NpyHeader header = parse_npy_header(location, head);
    const ArrayLayout layout = npy_layout(location, header, 0, member.bytes);
    if (header.columns_first)
        refuse(location, fmt::format("'{}' is compressed and in Fortran order", member.name),
               "it can be read from its beginning only", "write it with numpy.savez, or in C order");
    auto stream = open_deflated(std::move(file), piece);
    stream->read(head.data(), header.data_at);
    return open_streamed_array(location, std::move(stream), {layout.type, layout.shape, layout.place});
}

}  // namespace

std::unique_ptr<Reader> open_npz(const Location& location) {
    ByteFile file{location};
    const ZipMember member = choose(location, zip_members(file));
    if (member.encrypted || (member.method != 0 && member.method != 8))
        refuse(location,
               fmt::format("'{}' is {}", member.name,
                           member.encrypted ? "encrypted" : fmt::format("packed by method {}", member.method)),
               "stored and deflated arrays are read", "write it with numpy.savez");
    const std::int64_t at = data_of(file, member);
    return member.method == 0 ? open_stored(std::move(file), member, at) : open_packed(std::move(file), member, at);
}

}  // namespace convoy::io
