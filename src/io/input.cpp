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
#include "io/selection.hpp"

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

std::unique_ptr<Reader> open_selected(const Input& input) {
    return select(input.location, open_reader(input.location), input.prepare.transposed, input.prepare.columns);
}

// Rank 0 opens it, and what it sees is told to the others.
void look(const Communicator& world, Input& input) {
    std::array<std::int64_t, 8> facts{};
    // The root first: a file that breaks a reader then breaks it on one rank.
    agree(world, [&] {
        if (!world.is_root()) return;
        input.reader = open_selected(input);
        const ImageShape image = input.reader->image().value_or(ImageShape{});
        facts = {input.reader->rows(),
                 input.reader->columns(),
                 input.reader->sequential() ? 1 : 0,
                 image.height,
                 image.width,
                 image.channels,
                 image.planes ? 1 : 0,
                 0};
        input.place = input.reader->place();
    });
    world.broadcast(std::span<std::int64_t>{facts});
    world.broadcast(input.place);
    input.rows = facts[0];
    input.columns = input.dimension = facts[1];
    input.sequential = facts[2] != 0;
    if (facts[3] > 0) input.image = ImageShape{facts[3], facts[4], facts[5], facts[6] != 0};
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
    input.options = option_prefix;
    look(world, input);
    find_image(input);
    return input;
}

Input open_weights(const Communicator& world, const std::string& text) {
    Input input;
    input.location = Location::parse(text);
    input.weights = true;
    look(world, input);
    return input;
}

void open_here(Input& input) {
    if (!input.reader) input.reader = open_selected(input);
    if (input.reader->rows() != input.rows || input.reader->columns() != input.columns)
        refuse(input.location,
               fmt::format("its shape differs between ranks ({} rows and {})", input.rows, input.reader->rows()), "",
               "do not change inputs during a run");
}

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

namespace {

void make_room(std::int64_t count, const Input& input, std::vector<double>& values) {
    try {
        values.resize(static_cast<std::size_t>(count));
    } catch (const std::exception&) {
        throw Failure{fmt::format("not enough memory ({:.1f} GB of '{}' on one rank); use more ranks or nodes",
                                  static_cast<double>(count) * 8e-9, input.location.name())};
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

}  // namespace

std::vector<double> read_here(Input& input, GlobalRun mine, Faults& faults, std::uint32_t& checksum) {
    std::vector<double> points;
    checksum = 0;
    if (mine.count == 0) return points;
    open_here(input);
    make_room(mine.count * input.dimension, input, points);
    // Grey levels are a third of what is read: a piece at a time, so that colours never take more memory than they do.
    const bool in_place = input.dimension == input.columns;
    const std::int64_t step = in_place ? mine.count : std::max<std::int64_t>(1, piece_bytes / 8 / input.columns);
    std::vector<double> piece;
    for (std::int64_t done = 0; done < mine.count; done += step) {
        const std::int64_t count = std::min(step, mine.count - done), first = mine.first.value + done;
        std::vector<double>& into = in_place ? points : piece;
        if (!in_place) make_room(count * input.columns, input, piece);
        input.reader->read(first, count, into);
        faults.look(*input.reader, first, into, input.weights);
        checksum = crc32c(into, checksum);
        prepare(input, into);
        if (!in_place) std::ranges::copy(piece, points.begin() + done * input.dimension);
    }
    return points;
}

std::vector<double> read_and_send(const Communicator& world, Input& input, GlobalRun all, GlobalRun mine,
                                  std::uint32_t& checksum) {
    std::vector<double> kept, piece, own;
    const std::int64_t step = std::max<std::int64_t>(1, piece_bytes / 8 / input.columns);
    agree(world, [&] {
        make_room(mine.count * input.dimension, input, kept);
        make_room(std::min(step, all.count) * input.columns, input, piece);
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
    identity.prepare = points.prepare;
    if (!points.image) identity.prepare.image.clear();
    identity.dimension = points.dimension;
    return identity;
}

}  // namespace convoy::io
