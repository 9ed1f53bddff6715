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
#include "io/pattern.hpp"
#include "io/selected_columns.hpp"
#include "io/selected_rows.hpp"
#include "parallel/node.hpp"

namespace convoy::io {

namespace {
constexpr std::int64_t piece_bytes = std::int64_t{4} << 20;
}  // namespace

void Faults::look(const Reader& reader, std::int64_t first, std::span<const double> values, bool weights) {
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (std::isfinite(values[i]) && !(weights && values[i] < 0)) continue;
        if (count++ > 0) continue;
        row = first + static_cast<std::int64_t>(i) / reader.columns();
        value = values[i];
        position = reader.position(row, static_cast<std::int64_t>(i) % reader.columns());
    }
}

namespace {

constexpr std::string_view own_column = "obs:";

// Each file of a pattern is transposed by itself.
std::unique_ptr<Reader> open_chosen(const Input& input) {
    const auto open_one = [prepare = input.prepare](const Location& file) {
        return select_columns(file, open_reader(file), prepare.transposed, prepare.columns);
    };
    return is_pattern(input.location.path) ? open_pattern(input.location, open_one) : open_one(input.location);
}

// Rank 0 opens it and chooses its rows and columns; what it sees is told to the others.
void look(const Communicator& world, Input& input) {
    std::optional<FilteredRows> chosen;
    std::array<std::int64_t, 11> facts{};
    // The root first: a file that breaks a reader then breaks it on one rank.
    agree(world, [&] {
        if (!world.is_root()) return;
        input.reader = open_chosen(input);
        const Reader& reader = *input.reader;
        if (!reader.key().empty()) input.location.key = reader.key();
        if (!input.where.empty()) chosen = input.reader->filter(input.where);
        const ImageShape image = reader.image().value_or(ImageShape{});
        facts = {reader.rows(),
                 reader.columns(),
                 reader.sequential() ? 1 : 0,
                 reader.is_sparse() ? 1 : 0,
                 reader.band(),
                 chosen ? 1 : 0,
                 chosen ? chosen->without_value : 0,
                 image.height,
                 image.width,
                 image.channels,
                 image.planes ? 1 : 0};
        input.place = reader.place();
    });
    world.broadcast(std::span<std::int64_t>{facts});
    world.broadcast(input.place);
    world.broadcast(input.location.key);
    input.rows = input.file_rows = facts[0];
    input.columns = input.dimension = facts[1];
    input.sequential = facts[2] != 0;
    input.is_sparse = facts[3] != 0;
    input.band = facts[4];
    input.rows_without_value = facts[6];
    if (facts[7] > 0) input.image = ImageShape{facts[7], facts[8], facts[9], facts[10] != 0};
    if (facts[5] == 0) return;
    RowSelection selection = chosen ? std::move(chosen->rows) : RowSelection{};
    selection.broadcast(world);
    input.rows = selection.rows();
    input.selection = std::make_shared<const RowSelection>(std::move(selection));
    if (input.reader) input.reader = select_rows(std::move(input.reader), input.selection);
}

// What a row's numbers are, where that matters.
void find_image(Input& input) {
    if (!input.prepare.grayscale && !(input.prepare.blur > 0)) {
        input.image.reset();
        return;
    }
    if (!input.prepare.image.empty()) input.image = ImageShape::parse(input.prepare.image);
    const std::string option = input.options + "image";
    if (!input.image)
        refuse(input.location, "it is not known what images its rows are",
               fmt::format("{} numbers each", input.columns),
               fmt::format("say it, like: {} 32x32x3 (or 3x32x32, channel after channel)", option));
    if (input.image->numbers() != input.columns)
        refuse(input.location, fmt::format("its rows are no images of {}", input.image->name()),
               fmt::format("these have {} numbers, the rows {}", input.image->numbers(), input.columns),
               "give the right " + option);
    if (input.prepare.grayscale && input.image->channels != 3)
        refuse(input.location, "its images are not red, green and blue",
               fmt::format("{} has {} {}", input.image->name(), input.image->channels,
                           input.image->channels == 1 ? "channel" : "channels"),
               fmt::format("leave out {}grayscale", input.options));
    input.prepare.image = input.image->name();
    if (input.prepare.grayscale) input.dimension = input.image->pixels();
}

}  // namespace

Input open_points(const Communicator& world, const InputOptions& options, const std::string& option_prefix) {
    Input input;
    input.location = Location::parse(options.points);
    input.prepare = options.prepare;
    input.scaling = options.scaling;
    input.where = options.where;
    input.options = option_prefix;
    look(world, input);
    find_image(input);
    return input;
}

Input open_weights(const Communicator& world, const InputOptions& options, const Input& points) {
    const bool own = options.weights.starts_with(own_column);
    Input weights;
    weights.location = own ? Location{points.location.path, options.weights} : Location::parse(options.weights);
    weights.weights = true;
    look(world, weights);
    if (weights.rows != points.rows && points.selection && weights.rows == points.file_rows) {
        weights.selection = points.selection;
        weights.rows = points.rows;
        if (weights.reader) weights.reader = select_rows(std::move(weights.reader), weights.selection);
    }
    return weights;
}

namespace {

// This rank opens it too, to read its own rows: it must be what rank 0 saw. \throws InputError
void open_here(Input& input) {
    if (!input.reader) {
        input.reader = open_chosen(input);
        if (input.selection && input.reader->rows() == input.file_rows)
            input.reader = select_rows(std::move(input.reader), input.selection);
    }
    if (input.reader->rows() != input.rows || input.reader->columns() != input.columns)
        refuse(input.location,
               fmt::format("its shape differs between ranks ({} rows and {})", input.rows, input.reader->rows()), "",
               "do not change inputs during a run");
}

}  // namespace

void expect_no_faults(const Communicator& world, const Input& input, const Faults& mine) {
    const std::array<double, 3> sent{static_cast<double>(mine.count), static_cast<double>(mine.row), mine.value};
    const std::vector<double> all = world.gather_all(sent);
    double count = 0;
    std::size_t first = all.size();
    for (std::size_t i = 0; i < all.size(); i += sent.size()) {
        count += all[i];
        if (all[i] > 0 && (first == all.size() || all[i + 1] < all[first + 1])) first = i;
    }
    if (first == all.size()) return;
    std::string position = mine.position;
    world.broadcast(position, static_cast<int>(first / sent.size()));
    refuse(input.location,
           fmt::format("{} has {:.0f} value{} that {} not {}", input.place, count, count > 1 ? "s" : "",
                       count > 1 ? "are" : "is", input.weights ? "finite and at least 0" : "finite"),
           fmt::format("first: {} in {}", all[first + 2], position), "repair or remove these rows");
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

namespace {

void make_room_for(const Input& input, std::int64_t numbers, std::vector<double>& values) {
    try {
        values.resize(static_cast<std::size_t>(numbers));
    } catch (const std::exception&) {
        throw Failure{fmt::format("not enough memory ({:.1f} GB of '{}' on one rank); use more ranks or nodes",
                                  static_cast<double>(numbers) * 8e-9, input.location.name())};
    }
}

void scale(const Input& input, std::span<double> points) {
    const auto [factor, offset] = parse_scaling(input.scaling);
    if (factor == 1 && offset == 0) return;
    for (double& x : points) {
        const double scaled = offset == 0 ? x * factor : x * factor + offset;
        if (!std::isfinite(scaled) && std::isfinite(x))
            refuse(input.location, fmt::format("{} times {} is infinite", x, input.scaling), "beyond what fp64 holds",
                   fmt::format("give a smaller {}scale", input.options));
        x = scaled;
    }
}

void prepare(const Input& input, std::vector<double>& points) {
    if (input.prepare.grayscale) to_grayscale(*input.image, points);
    scale(input, points);
    if (!(input.prepare.blur > 0)) return;
    ImageShape shape = *input.image;
    if (input.prepare.grayscale) shape = {shape.height, shape.width, 1, false};
    blur(shape, input.prepare.blur, points);
}

// Of this rank alone; `checksum` is that of what was read.
std::vector<double> read_rows(Input& input, GlobalRun mine, Faults& faults, std::uint32_t& checksum) {
    std::vector<double> points;
    checksum = 0;
    if (mine.count == 0) return points;
    open_here(input);
    make_room_for(input, mine.count * input.dimension, points);
    // Grey levels are a third of what is read: a piece at a time, so that colours never take more memory than they do.
    const bool in_place = input.dimension == input.columns;
    const std::int64_t step = in_place ? mine.count : std::max<std::int64_t>(1, piece_bytes / 8 / input.columns);
    std::vector<double> piece;
    for (std::int64_t done = 0; done < mine.count; done += step) {
        const std::int64_t count = std::min(step, mine.count - done), first = mine.first.value + done;
        std::vector<double>& into = in_place ? points : piece;
        if (!in_place) make_room_for(input, count * input.columns, piece);
        input.reader->read(first, count, into);
        faults.look(*input.reader, first, into, input.weights);
        checksum = crc32c(into, checksum);
        prepare(input, into);
        if (!in_place) std::ranges::copy(piece, points.begin() + done * input.dimension);
    }
    return points;
}

}  // namespace

void make_room(const Input& input, std::int64_t rows, std::vector<double>& values) {
    make_room_for(input, rows * input.dimension, values);
}

std::vector<double> read_here(const Communicator& world, Input& input, GlobalRun mine, std::uint32_t& checksum) {
    std::vector<double> points;
    Faults faults;
    agree(world, [&] { points = read_rows(input, mine, faults, checksum); });
    expect_no_faults(world, input, faults);
    checksum = crc32c_of_all(world, checksum, mine.count * input.columns * 8, mine.first.value);
    return points;
}

std::vector<double> read_and_send(const Communicator& world, Input& input, GlobalRun all, GlobalRun mine,
                                  std::uint32_t& checksum) {
    std::vector<double> kept, piece, own;
    const std::int64_t step = std::max<std::int64_t>(1, piece_bytes / 8 / input.columns);
    agree(world, [&] {
        make_room_for(input, mine.count * input.dimension, kept);
        make_room_for(input, std::min(step, all.count) * input.columns, piece);
    });

    Faults faults;
    std::exception_ptr error;
    std::int64_t sum = 0;
    for (std::int64_t done = 0; done < all.count; done += step) {
        const std::int64_t at = all.first.value + done;
        const std::int64_t count = std::min(step, all.count - done);
        const std::span values{piece.data(), static_cast<std::size_t>(count * input.columns)};
        int status = 0;  // an error on rank 0 is sent as a status first
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
        if (common.count == 0 || error) continue;
        try {
            const auto begin = values.begin() + (common.first.value - at) * input.columns;
            own.assign(begin, begin + common.count * input.columns);
            prepare(input, own);
            std::ranges::copy(own, kept.begin() + (common.first.value - mine.first.value) * input.dimension);
        } catch (...) {
            error = std::current_exception();
        }
    }
    // What is wrong in the file comes first: it may be why it could not be prepared.
    expect_no_faults(world, input, faults);
    agree(world, [&] {
        if (error) std::rethrow_exception(error);
    });
    world.broadcast(sum);
    checksum = static_cast<std::uint32_t>(sum);
    return kept;
}

InputIdentity identity_of(const Input& points) {
    InputIdentity identity;
    identity.path = points.location.path;
    std::error_code none;  // a working folder that is gone: the path has to do as it was given
    const auto absolute = std::filesystem::absolute(points.location.path, none);
    identity.absolute_path = none ? identity.path : absolute.lexically_normal().string();
    identity.key = points.location.key;
    identity.rows = points.rows;
    identity.columns = points.columns;
    identity.scaling = points.scaling;
    identity.where = joined_conditions(points.where);
    identity.file_rows = points.file_rows;
    identity.rows_without_value = points.rows_without_value;
    identity.prepare = points.prepare;
    if (!points.image) identity.prepare.image.clear();
    identity.dimension = points.dimension;
    return identity;
}

}  // namespace convoy::io
