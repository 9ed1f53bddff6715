#include "io/input.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <exception>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "convoy/error.hpp"
#include "io/checksum.hpp"
#include "io/conditions.hpp"
#include "io/input_error.hpp"
#include "io/selected_reader.hpp"
#include "parallel/node.hpp"

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

namespace {

// `choose` is called on rank 0 when the file is open; the selection that it gives, if any, is everybody's.
template <class Choose>
Input open_and_tell(const Communicator& world, const Location& location, bool weights, Choose&& choose) {
    Input input;
    input.location = location;
    input.weights = weights;
    std::optional<FilteredRows> chosen;
    std::array<std::int64_t, 7> facts{};
    // The root first: a file that breaks a reader then breaks it on one rank.
    agree(world, [&] {
        if (!world.is_root()) return;
        input.reader = open_reader(input.location);
        const Reader& reader = *input.reader;
        chosen = choose(*input.reader);
        facts = {reader.rows(), reader.columns(), reader.sequential() ? 1 : 0,       reader.is_sparse() ? 1 : 0,
                 reader.band(), chosen ? 1 : 0,   chosen ? chosen->without_value : 0};
        input.place = reader.place();
        if (!reader.key().empty()) input.location.key = reader.key();
    });
    world.broadcast(std::span<std::int64_t>{facts});
    world.broadcast(input.place);
    world.broadcast(input.location.key);
    input.rows = input.file_rows = facts[0];
    input.columns = facts[1];
    input.sequential = facts[2] != 0;
    input.is_sparse = facts[3] != 0;
    input.band = facts[4];
    input.rows_without_value = facts[6];
    if (facts[5] == 0) return input;
    RowSelection selection = chosen ? std::move(chosen->rows) : RowSelection{};
    selection.broadcast(world);
    input.rows = selection.rows();
    input.selection = std::make_shared<const RowSelection>(std::move(selection));
    if (input.reader) input.reader = selected(std::move(input.reader), input.selection);
    return input;
}

constexpr std::string_view own_column = "obs:";

}  // namespace

Input open_points(const Communicator& world, const InputOptions& options) {
    return open_and_tell(world, Location::parse(options.points), false, [&](Reader& reader) {
        return options.where.empty() ? std::nullopt : std::optional{reader.filter(options.where)};
    });
}

Input open_weights(const Communicator& world, const InputOptions& options, const Input& points) {
    const bool own = options.weights.starts_with(own_column);
    const Location location = own ? Location{points.location.path, options.weights} : Location::parse(options.weights);
    Input weights = open_and_tell(world, location, true, [](Reader&) { return std::optional<FilteredRows>{}; });
    if (weights.rows != points.rows && points.selection && weights.rows == points.file_rows) {
        weights.selection = points.selection;
        weights.rows = points.rows;
        if (weights.reader) weights.reader = selected(std::move(weights.reader), weights.selection);
    }
    return weights;
}

void open_here(Input& input) {
    if (!input.reader) {
        input.reader = open_reader(input.location);
        if (input.selection && input.reader->rows() == input.file_rows)
            input.reader = selected(std::move(input.reader), input.selection);
    }
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

void expect_room(const Communicator& world, const Input& input, std::int64_t rows) {
    if (!input.is_sparse) return;
    const double there = share_of_node(world).memory;
    std::array<double, 1> needed{static_cast<double>(rows) * static_cast<double>(input.columns) * 8};
    world.max(needed);
    if (needed[0] <= there) return;
    refuse(input.location, fmt::format("{} made dense takes {:.1f} GB on one rank", input.place, needed[0] * 1e-9),
           fmt::format("{} x {} numbers over {} rank{}; {:.1f} GB are there", input.rows, input.columns, world.size(),
                       world.size() > 1 ? "s" : "", there * 1e-9),
           "use more nodes, choose fewer rows, or a dense matrix of fewer columns such as obsm/X_pca");
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

InputIdentity identity_of(const Input& points, const InputOptions& options) {
    InputIdentity identity;
    identity.path = points.location.path;
    std::error_code none;  // a working folder that is gone: the path has to do as it was given
    const auto absolute = std::filesystem::absolute(points.location.path, none);
    identity.absolute_path = none ? identity.path : absolute.lexically_normal().string();
    identity.key = points.location.key;
    identity.rows = points.rows;
    identity.columns = points.columns;
    identity.scaling = options.scaling;
    identity.where = joined_conditions(options.where);
    identity.file_rows = points.file_rows;
    identity.rows_without_value = points.rows_without_value;
    return identity;
}

}  // namespace convoy::io
