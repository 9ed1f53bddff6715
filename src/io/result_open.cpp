#include "io/result_open.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "io/checksum.hpp"
#include "io/formats.hpp"
#include "io/hdf5_attributes.hpp"
#include "io/hdf5_dataset.hpp"
#include "io/input_error.hpp"
#include "io/number.hpp"

namespace convoy::io {

Hdf5 open_convoy_file(const Location& location, std::string& format) {
    expect_readable_file(location);
    Hdf5 file = open_hdf5_input(location);
    format = attribute_text(file.get(), "format").value_or("");
    if (!format.starts_with("convoy-"))
        refuse(location, "it was not written by convoy", "it has no attribute 'format' that says so",
               "give a result file");
    return file;
}

Hdf5 open_complete_file(const Location& location, std::string_view format, std::int64_t newest_version) {
    std::string found;
    Hdf5 file = open_convoy_file(location, found);
    if (found != format)
        refuse(location, fmt::format("it is a file of format '{}'", found), fmt::format("need '{}'", format),
               "give a result file");
    const auto version = parse_number(attribute_text(file.get(), "format_version").value_or(""));
    if (!version || !(*version >= 1) || *version > static_cast<double>(newest_version))
        refuse(location, fmt::format("its format version is {}", version.value_or(0)),
               fmt::format("this program reads up to {}", newest_version), "use a newer convoy");
    if (attribute_text(file.get(), "complete") != "1")
        refuse(location, "the result is incomplete", "its writer did not finish", "solve again");
    return file;
}

std::uint32_t checksum_of(const Location& location, hid_t dataset, const std::string& path) {
    const auto checksum = parse_number(attribute_text(dataset, "checksum").value_or(""));
    if (!checksum || !(*checksum >= 0) || *checksum > 4294967295.0)
        refuse(location, fmt::format("'{}' has no checksum", path), "damaged file", "write it again");
    return static_cast<std::uint32_t>(*checksum);
}

std::vector<double> read_stripe(const Grid& grid, Side side, const Partition& partition, const Location& location,
                                std::int64_t width, std::uint32_t checksum) {
    const GlobalRun stripe = my_stripe(grid, side, partition);
    std::vector<double> values(static_cast<std::size_t>(stripe.count * width));
    agree(grid.world(), [&] {
        if (stripe.count == 0) return;
        open_hdf5(location)->read(stripe.first.value, stripe.count, values);
        const auto bad = std::ranges::find_if(values, [](double value) { return !std::isfinite(value); });
        if (bad != values.end())
            refuse(location, fmt::format("a number of '{}' is not finite", location.key),
                   fmt::format("{} in row {}", *bad, stripe.first.value + (bad - values.begin()) / width),
                   "solve again");
    });
    const std::uint32_t found =
        crc32c_of_all(grid.world(), crc32c(values), static_cast<std::int64_t>(values.size() * 8), stripe.first.value);
    if (found != checksum)
        refuse(location, "the file is damaged", fmt::format("checksum {:08x}, should be {:08x}", found, checksum),
               "copy it again, or solve again");
    return values;
}

std::vector<double> read_rows(const Grid& grid, Side side, const Partition& partition, const Location& location,
                              std::int64_t width, std::uint32_t checksum) {
    return join_stripes(grid, side, partition, width, read_stripe(grid, side, partition, location, width, checksum));
}

}  // namespace convoy::io
