#include "io/input.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <exception>
#include <filesystem>
#include <system_error>

#include "convoy/error.hpp"
#include "io/checksum.hpp"
#include "io/input_error.hpp"

namespace convoy::io {

void Faults::look(const Reader& reader, std::int64_t first, std::span<const double> values, bool weights) {
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (std::isfinite(values[i]) && !(weights && values[i] < 0)) continue;
        if (count++ > 0) continue;
        row = first + static_cast<std::int64_t>(i) / reader.columns();
        column = static_cast<std::int64_t>(i) % reader.columns();
        value = values[i];
        row_name = reader.row_name(row);
    }
}

Input open_input(const Communicator& world, const std::string& text, bool weights) {
    Input input;
    input.location = Location::parse(text);
    input.weights = weights;
    std::array<std::int64_t, 3> facts{};
    // The root first: a file that breaks a reader then breaks it on one rank.
    agree(world, [&] {
        if (!world.is_root()) return;
        input.reader = open_reader(input.location);
        facts = {input.reader->rows(), input.reader->columns(), input.reader->sequential() ? 1 : 0};
        input.place = input.reader->place();
    });
    world.broadcast(std::span<std::int64_t>{facts});
    world.broadcast(input.place);
    input.rows = facts[0];
    input.columns = facts[1];
    input.sequential = facts[2] != 0;
    return input;
}

void open_here(Input& input) {
    if (!input.reader) input.reader = open_reader(input.location);
    if (input.reader->rows() != input.rows || input.reader->columns() != input.columns)
        refuse(input.location,
               fmt::format("its shape differs between ranks ({} rows and {})", input.rows, input.reader->rows()), "",
               "do not change inputs during a run");
}

void expect_no_faults(const Communicator& world, const Input& input, const Faults& mine) {
    const std::array<double, 4> sent{static_cast<double>(mine.count), static_cast<double>(mine.row),
                                     static_cast<double>(mine.column), mine.value};
    const std::vector<double> all = world.gather_all(sent);
    double count = 0;
    std::size_t first = all.size();
    for (std::size_t i = 0; i < all.size(); i += 4) {
        count += all[i];
        if (all[i] > 0 && (first == all.size() || all[i + 1] < all[first + 1])) first = i;
    }
    if (first == all.size()) return;
    std::string row_name = mine.row_name;
    world.broadcast(row_name, static_cast<int>(first / 4));
    refuse(input.location,
           fmt::format("{} has {:.0f} value{} that {} not {}", input.place, count, count > 1 ? "s" : "",
                       count > 1 ? "are" : "is", input.weights ? "finite and at least 0" : "finite"),
           input.columns == 1 ? fmt::format("first: {} in {}", all[first + 3], row_name)
                              : fmt::format("first: {} in {}, column {:.0f}", all[first + 3], row_name, all[first + 2]),
           "repair or remove these rows");
}

void make_room(const Input& input, std::int64_t rows, std::vector<double>& values) {
    const std::int64_t count = rows * input.columns;
    try {
        values.resize(static_cast<std::size_t>(count));
    } catch (const std::exception&) {
        throw Failure{fmt::format("not enough memory ({:.1f} GB of '{}' on one rank); use more ranks or nodes",
                                  static_cast<double>(count) * 8e-9, input.location.name())};
    }
}

// An error on rank 0 is sent as a status first.
std::vector<double> read_and_send(const Communicator& world, Input& input, GlobalRun all, GlobalRun mine,
                                  std::uint32_t& checksum) {
    constexpr std::int64_t piece_bytes = std::int64_t{4} << 20;
    std::vector<double> kept, piece;
    const std::int64_t step = std::max<std::int64_t>(1, piece_bytes / 8 / input.columns);
    agree(world, [&] {
        make_room(input, mine.count, kept);
        make_room(input, std::min(step, all.count), piece);
    });

    Faults faults;
    std::exception_ptr error;
    std::int64_t sum = 0;
    for (std::int64_t done = 0; done < all.count; done += step) {
        const std::int64_t at = all.first.value + done;
        const std::int64_t count = std::min(step, all.count - done);
        const std::span values{piece.data(), static_cast<std::size_t>(count * input.columns)};
        int status = 0;
        if (world.is_root()) {
            try {
                input.reader->read(at, count, values);
                faults.look(*input.reader, at, values, input.weights);
                sum = crc32c(values, static_cast<std::uint32_t>(sum));
            } catch (...) {
                error = std::current_exception();
                status = 1;
            }
        }
        world.broadcast(status);
        if (status != 0) break;
        world.broadcast(values);
        const GlobalRun common = intersect(mine, {GlobalIndex{at}, count});
        if (common.count > 0)
            std::copy_n(values.data() + (common.first.value - at) * input.columns, common.count * input.columns,
                        kept.data() + (common.first.value - mine.first.value) * input.columns);
    }
    agree(world, [&] {
        if (error) std::rethrow_exception(error);
    });
    expect_no_faults(world, input, faults);
    world.broadcast(sum);
    checksum = static_cast<std::uint32_t>(sum);
    return kept;
}

void scale(const Communicator& world, const std::string& option, const Input& input, const std::string& scaling,
           std::span<double> points) {
    const double factor = parse_scaling(scaling);
    if (factor == 1) return;
    agree(world, [&] {
        for (double& x : points) {
            if (!std::isfinite(x * factor))
                refuse(input.location, fmt::format("{} times {} is infinite", x, scaling), "beyond what fp64 holds",
                       "give a smaller " + option);
            x *= factor;
        }
    });
}

InputIdentity identity_of(const Input& points, const std::string& scaling) {
    InputIdentity identity;
    identity.path = points.location.path;
    std::error_code none;  // a working folder that is gone: the path has to do as it was given
    const auto absolute = std::filesystem::absolute(points.location.path, none);
    identity.absolute_path = none ? identity.path : absolute.lexically_normal().string();
    identity.key = points.location.key;
    identity.rows = points.rows;
    identity.columns = points.columns;
    identity.scaling = scaling;
    return identity;
}

}  // namespace convoy::io
