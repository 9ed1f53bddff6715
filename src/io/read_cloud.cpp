// Reading a cloud on all ranks: who reads what, and what must be true of the numbers.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <exception>
#include <filesystem>
#include <limits>
#include <system_error>
#include <utility>

#include "convoy/error.hpp"
#include "io/checksum.hpp"
#include "io/exact_sum.hpp"
#include "io/input_error.hpp"
#include "io/reader.hpp"

namespace convoy::io {

namespace {

constexpr std::int64_t piece_bytes = std::int64_t{4} << 20;

// Points must be finite, weights also not negative. What was found wrong on this rank: how often, and first where.
struct Faults {
    std::int64_t count = 0, row = 0, column = 0;
    double value = 0;
    std::string row_name;

    void look(const Reader& reader, std::int64_t first, std::span<const double> values, bool weights) {
        for (std::size_t i = 0; i < values.size(); ++i) {
            if (std::isfinite(values[i]) && !(weights && values[i] < 0)) continue;
            if (count++ > 0) continue;
            row = first + static_cast<std::int64_t>(i) / reader.columns();
            column = static_cast<std::int64_t>(i) % reader.columns();
            value = values[i];
            row_name = reader.row_name(row);
        }
    }
};

// One input while it is read. All ranks know its shape; those that read have it open.
struct Input {
    Location location;
    bool weights = false;
    std::int64_t rows = 0, columns = 0;
    bool sequential = false;
    std::unique_ptr<Reader> reader;
    std::string place;
};

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

void expect_length(const Input& input, std::int64_t rows) {
    if (input.weights && (input.rows != rows || input.columns != 1))
        refuse(input.location,
               fmt::format("it holds {} x {} numbers, and there are {} points", input.rows, input.columns, rows),
               "need one weight a point", "give weights in the order of the points");
    if (input.rows != rows)
        refuse(input.location, fmt::format("it has {} rows now", input.rows), fmt::format("{} at first", rows),
               "do not change inputs during a run");
}

// All ranks throw the same error if any rank found a fault: the first one of the file is named.
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

// This rank's part of the input (its rows x columns), and the checksum of the whole.
struct Part {
    std::vector<double> values;
    std::uint32_t checksum = 0;
};

// Rank 0 reads pieces and sends each to all; everyone keeps what is theirs. An error there is sent as a status first.
Part read_and_send(const Communicator& world, Input& input, GlobalRun mine) {
    Part part;
    std::vector<double> piece;
    const std::int64_t step = std::max<std::int64_t>(1, piece_bytes / 8 / input.columns);
    agree(world, [&] {
        make_room(input, mine.count, part.values);
        make_room(input, std::min(step, input.rows), piece);
    });

    Faults faults;
    std::exception_ptr error;
    for (std::int64_t at = 0; at < input.rows; at += step) {
        const std::int64_t count = std::min(step, input.rows - at);
        const std::span values{piece.data(), static_cast<std::size_t>(count * input.columns)};
        int status = 0;
        if (world.is_root()) {
            try {
                input.reader->read(at, count, values);
                faults.look(*input.reader, at, values, input.weights);
                part.checksum = crc32c(values, part.checksum);
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
                        part.values.data() + (common.first.value - mine.first.value) * input.columns);
    }
    agree(world, [&] {
        if (error) std::rethrow_exception(error);
    });
    expect_no_faults(world, input, faults);
    std::int64_t checksum = part.checksum;
    world.broadcast(checksum);
    part.checksum = static_cast<std::uint32_t>(checksum);
    return part;
}

// Every rank reads its stripe of its part; the ranks that share the part then exchange them.
Part read_stripes(const Grid& grid, Side side, const Partition& partition, Input& input) {
    const GlobalRun stripe = my_stripe(grid, side, partition);
    std::vector<double> values;
    Faults faults;
    agree(grid.world(), [&] {
        if (stripe.count == 0) return;
        if (!input.reader) input.reader = open_reader(input.location);
        if (input.reader->rows() != input.rows || input.reader->columns() != input.columns)
            refuse(input.location,
                   fmt::format("its shape differs between ranks ({} rows and {})", input.rows, input.reader->rows()),
                   "", "do not change inputs during a run");
        make_room(input, stripe.count, values);
        input.reader->read(stripe.first.value, stripe.count, values);
        faults.look(*input.reader, stripe.first.value, values, input.weights);
    });
    expect_no_faults(grid.world(), input, faults);

    Part part;
    part.checksum =
        crc32c_of_all(grid.world(), crc32c(values), static_cast<std::int64_t>(values.size() * 8), stripe.first.value);
    part.values =
        grid.sharers(side).size() == 1 ? std::move(values) : join_stripes(grid, side, partition, input.columns, values);
    return part;
}

Part read_part(const Grid& grid, Side side, const Partition& partition, Input& input) {
    if (input.sequential) return read_and_send(grid.world(), input, partition.run(grid.part(side)));
    return read_stripes(grid, side, partition, input);
}

void scale(const Communicator& world, Side side, const Input& input, const std::string& scaling,
           std::span<double> points) {
    const double factor = parse_scaling(scaling);
    if (factor == 1) return;
    agree(world, [&] {
        for (double& x : points) {
            if (!std::isfinite(x * factor))
                refuse(input.location, fmt::format("{} times {} is infinite", x, scaling), "beyond what fp64 holds",
                       fmt::format("give a smaller --{}-scale", side == Side::row ? "source" : "target"));
            x *= factor;
        }
    });
}

// Divides by the exact sum over the whole cloud. Each part is summed once: by the first of its sharers.
void normalise(const Grid& grid, Side side, const Input& input, std::span<double> weights) {
    ExactSum sum;
    if (grid.sharers(side).rank() == 0) sum.add(weights);
    sum.join(grid.world());
    const double total = sum.value();
    if (total == 0) refuse(input.location, "all weights are 0", "need a positive sum", "give other weights");
    if (!std::isfinite(total))
        refuse(input.location, "the sum of the weights overflows", "beyond what fp64 holds", "scale the weights down");
    if (!(total >= std::numeric_limits<double>::min()))
        refuse(input.location, fmt::format("the sum of the weights is {}", total), "less than fp64 holds exactly",
               "scale the weights up");
    for (double& weight : weights) weight /= total;
}

}  // namespace

Shape shape_of(const Communicator& world, const InputOptions& input) {
    const Input opened = open_input(world, input.points, false);
    return {opened.rows, opened.columns};
}

DistributedCloud read_cloud(const Grid& grid, Side side, const Partition& partition, const InputOptions& options,
                            InputIdentity& identity) {
    Input points = open_input(grid.world(), options.points, false);
    expect_length(points, partition.items());
    Input weights;
    if (!options.weights.empty()) {
        weights = open_input(grid.world(), options.weights, true);
        expect_length(weights, partition.items());
    }

    DistributedCloud cloud{partition, {}};
    cloud.local.rows = partition.count(grid.part(side));
    cloud.local.dimension = points.columns;
    Part part = read_part(grid, side, partition, points);
    cloud.local.points = std::move(part.values);
    identity = {};
    identity.checksum = part.checksum;
    scale(grid.world(), side, points, options.scaling, cloud.local.points);

    if (options.weights.empty()) {
        cloud.local.weights.assign(static_cast<std::size_t>(cloud.local.rows),
                                   1 / static_cast<double>(partition.items()));
    } else {
        Part masses = read_part(grid, side, partition, weights);
        cloud.local.weights = std::move(masses.values);
        normalise(grid, side, weights, cloud.local.weights);
        identity.weights_path = weights.location.path;
        identity.weights_key = weights.location.key;
        identity.weights_checksum = masses.checksum;
    }

    identity.path = points.location.path;
    std::error_code none;  // a working folder that is gone: the path has to do as it was given
    const auto absolute = std::filesystem::absolute(points.location.path, none);
    identity.absolute_path = none ? identity.path : absolute.lexically_normal().string();
    identity.key = points.location.key;
    identity.rows = points.rows;
    identity.columns = points.columns;
    identity.scaling = options.scaling;
    return cloud;
}

}  // namespace convoy::io
