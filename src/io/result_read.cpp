// Reading results back: for people (describe) and for the next run (read_potentials).

#include <fmt/format.h>

#include <cmath>

#include "io/hdf5_attributes.hpp"
#include "io/hdf5_dataset.hpp"
#include "io/input_error.hpp"
#include "io/number.hpp"
#include "io/result.hpp"
#include "io/result_open.hpp"

namespace convoy::io {

namespace {

constexpr std::size_t most_objects = 1000;

// Facts of a result that rank 0 finds and tells the others.
struct Facts {
    double epsilon = 0;
    std::string cost;
    std::uint32_t checksum_f = 0, checksum_g = 0;
};

std::uint32_t stored_checksum(const Location& location, hid_t file, const char* path, std::int64_t expected,
                              const char* side) {
    const NumericDataset found = open_numeric_dataset({location.path, path}, file);
    if (!found.vector || found.rows != expected)
        refuse(location, fmt::format("it has {} {} potentials", found.rows, side),
               fmt::format("this problem has {} {} points", expected, side), "take the result of this problem");
    return checksum_of(location, found.dataset.get(), path);
}

Facts find_facts(const Location& location, std::int64_t rows, std::int64_t columns) {
    const Hdf5 file = open_complete_file(location, result_format, result_format_version);
    Facts facts;
    facts.checksum_f = stored_checksum(location, file.get(), "potentials/f", rows, "source");
    facts.checksum_g = stored_checksum(location, file.get(), "potentials/g", columns, "target");
    const Hdf5 solution{H5Gopen2(file.get(), "solution", H5P_DEFAULT), H5Gclose};
    const auto epsilon =
        parse_number(solution ? attribute_text(solution.get(), "epsilon").value_or("") : std::string{});
    if (!epsilon || !std::isfinite(*epsilon) || *epsilon < 0)
        refuse(location, "it does not say its epsilon", "attribute of 'solution'", "the file is damaged: solve again");
    facts.epsilon = *epsilon;
    facts.cost = attribute_text(solution.get(), "cost").value_or("");
    return facts;
}

}  // namespace

Description describe(const std::string& path) {
    const Location location{path, ""};
    std::string format;
    const Hdf5 file = open_convoy_file(location, format);
    Description description;
    const auto note = [&](const std::string& object_path, hid_t object) {
        for (const auto& [name, text] : attributes_of(object))
            description.attributes.emplace_back(object_path + "/" + name, text);
    };
    note("", file.get());
    for (const Hdf5Object& found : objects_of(file.get(), most_objects)) {
        const Hdf5 object{H5Oopen(file.get(), found.path.c_str(), H5P_DEFAULT), H5Oclose};
        if (!object) continue;
        note("/" + found.path, object.get());
        if (!found.dataset) continue;
        const Hdf5 type{H5Dget_type(object.get()), H5Tclose};
        description.datasets.emplace_back("/" + found.path, type_name(type.get()) + " " + extents_of(object.get()));
    }
    description.complete = attribute_text(file.get(), "complete") == "1";
    return description;
}

StoredPotentials read_potentials(const Grid& grid, const Partition& rows, const Partition& columns,
                                 const std::string& path) {
    const Communicator& world = grid.world();
    Facts facts;
    agree(world, [&] {
        if (world.is_root()) facts = find_facts({path, ""}, rows.items(), columns.items());
    });
    std::int64_t checksum_f = facts.checksum_f, checksum_g = facts.checksum_g;
    world.broadcast(checksum_f);
    world.broadcast(checksum_g);
    StoredPotentials stored;
    stored.epsilon = facts.epsilon;
    stored.cost = facts.cost;
    world.broadcast(stored.epsilon);
    world.broadcast(stored.cost);
    stored.f = read_rows(grid, Side::row, rows, {path, "potentials/f"}, 1, static_cast<std::uint32_t>(checksum_f));
    stored.g =
        read_rows(grid, Side::column, columns, {path, "potentials/g"}, 1, static_cast<std::uint32_t>(checksum_g));
    return stored;
}

std::vector<double> read_stored_vector(const Grid& grid, Side side, const Partition& partition, const std::string& path,
                                       const std::string& dataset) {
    const Communicator& world = grid.world();
    std::int64_t checksum = 0;
    agree(world, [&] {
        if (!world.is_root()) return;
        const Hdf5 file = open_complete_file({path, ""}, result_format, result_format_version);
        checksum = stored_checksum({path, ""}, file.get(), dataset.c_str(), partition.items(),
                                   side == Side::row ? "source" : "target");
    });
    world.broadcast(checksum);
    return read_rows(grid, side, partition, {path, dataset}, 1, static_cast<std::uint32_t>(checksum));
}

}  // namespace convoy::io
