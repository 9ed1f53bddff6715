// The self potential of an earlier file, for reuse.

#include <fmt/format.h>

#include "convoy/error.hpp"
#include "io/hdf5_attributes.hpp"
#include "io/hdf5_dataset.hpp"
#include "io/input_error.hpp"
#include "io/number.hpp"
#include "io/points_file.hpp"
#include "io/result_open.hpp"

namespace convoy::io {

namespace {

SelfPotential facts_of(const Location& location, std::int64_t points, std::uint32_t& checksum) {
    const Hdf5 file = open_complete_file(location, points_format, points_format_version);
    if (H5Lexists(file.get(), "self", H5P_DEFAULT) <= 0)
        refuse(location, "it holds no self potential", "map --debiased writes one", "leave out --self");
    const Hdf5 group{H5Gopen2(file.get(), "self", H5P_DEFAULT), H5Gclose};
    const auto number = [&](const char* name) {
        return parse_number(group ? attribute_text(group.get(), name).value_or("") : std::string{}).value_or(0);
    };
    SelfPotential self;
    self.epsilon = number("epsilon");
    self.marginal_error = number("marginal_error");
    self.tolerance = number("tolerance");
    self.points_checksum = static_cast<std::uint32_t>(number("points_checksum"));
    self.weights_checksum = static_cast<std::uint32_t>(number("weights_checksum"));
    self.status = group ? attribute_text(group.get(), "status").value_or("") : std::string{};
    self.scaling = group ? attribute_text(group.get(), "scaling").value_or("") : std::string{};
    const NumericDataset f = open_numeric_dataset({location.path, "self/f"}, file.get());
    if (!f.vector || f.rows != points)
        refuse(location, fmt::format("its self potential has {} numbers", f.rows),
               fmt::format("the model has {} points on that side", points), "leave out --self");
    checksum = checksum_of(location, f.dataset.get(), "self/f");
    return self;
}

}  // namespace

SelfPotential read_self(const Grid& grid, const Partition& partition, const std::string& path) {
    const Location location{path, ""};
    SelfPotential self;
    std::uint32_t checksum = 0;
    const Communicator& world = grid.world();
    agree(world, [&] {
        if (world.is_root()) self = facts_of(location, partition.items(), checksum);
    });
    agree(world, [&] {
        if (!world.is_root()) self = facts_of(location, partition.items(), checksum);
    });
    self.f = read_rows(grid, Side::column, partition, {path, "self/f"}, 1, checksum);
    return self;
}

}  // namespace convoy::io
