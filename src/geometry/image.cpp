#include "convoy/image.hpp"

#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>

#include "convoy/error.hpp"
#include "geometry/dense.hpp"

namespace convoy {

namespace {

constexpr std::int64_t most_channels = 4;
constexpr std::int64_t largest_extent = 1 << 20;

// The sum of exp(-k^2 / (2 sigma^2)) over all integers. By Poisson's formula it is sigma sqrt(2 pi) but for
// 2 exp(-2 pi^2 sigma^2) of it.
double sum_of_kernel(double sigma) {
    if (sigma >= 2) return sigma * std::sqrt(2 * std::numbers::pi);
    double sum = 1;
    for (int k = 1; k <= 80; ++k) sum += 2 * std::exp(-k * k / (2 * sigma * sigma));
    return sum;
}

// g, extent x extent.
std::vector<double> kernel_matrix(std::int64_t extent, double sigma) {
    const double sum = sum_of_kernel(sigma);
    std::vector<double> by_distance;
    for (std::int64_t k = 0; k < extent; ++k) {
        const auto distance = static_cast<double>(k) / sigma;
        by_distance.push_back(std::exp(-distance * distance / 2) / sum);
    }
    std::vector<double> g;
    g.reserve(static_cast<std::size_t>(extent * extent));
    for (std::int64_t i = 0; i < extent; ++i)
        for (std::int64_t k = 0; k < extent; ++k) g.push_back(by_distance[static_cast<std::size_t>(std::abs(i - k))]);
    return g;
}

}  // namespace

std::string ImageShape::name() const {
    if (channels == 1) return fmt::format("{}x{}", height, width);
    return planes ? fmt::format("{}x{}x{}", channels, height, width) : fmt::format("{}x{}x{}", height, width, channels);
}

ImageShape ImageShape::parse(const std::string& text) {
    std::vector<std::int64_t> extents;
    const char *at = text.data(), *end = text.data() + text.size();
    bool good = true;
    while (good) {
        std::int64_t extent = 0;
        const auto [next, error] = std::from_chars(at, end, extent);
        good = error == std::errc{} && extent > 0 && extent <= largest_extent;
        extents.push_back(extent);
        if (next == end) break;
        good = good && *next == 'x';
        at = next + 1;
    }
    const auto is_channels = [](std::int64_t extent) { return extent <= most_channels; };
    good = good && (extents.size() == 2 ||
                    (extents.size() == 3 && (is_channels(extents.front()) || is_channels(extents.back()))));
    CONVOY_VALIDATE(good, fmt::format("'{}' is no shape of images (need HEIGHTxWIDTH, or with 1 to {} channels last or "
                                      "first); write for example 28x28, 32x32x3 or 3x32x32",
                                      text, most_channels));
    if (extents.size() == 2) return {extents[0], extents[1], 1, false};
    if (is_channels(extents[2])) return {extents[0], extents[1], extents[2], false};
    return {extents[1], extents[2], extents[0], extents[0] > 1};
}

void to_grayscale(const ImageShape& shape, std::vector<double>& rows) {
    CONVOY_VALIDATE(shape.channels == 3, fmt::format("images of {} {} have no luma (need red, green and blue); leave "
                                                     "out the conversion to grey levels",
                                                     shape.channels, shape.channels == 1 ? "channel" : "channels"));
    const std::int64_t numbers = shape.numbers(), pixels = shape.pixels();
    const auto count = static_cast<std::int64_t>(rows.size()) / numbers;
    const std::int64_t pixel = shape.planes ? 1 : 3, channel = shape.planes ? pixels : 1;
    // Ascending: what is written lies before what is still to be read. But a row of planes reads beyond its own first
    // third, so it is put together beside them.
    std::vector<double> grey(static_cast<std::size_t>(pixels));
    for (std::int64_t i = 0; i < count; ++i) {
        const double* row = rows.data() + i * numbers;
        for (std::int64_t p = 0; p < pixels; ++p) {
            const double* rgb = row + p * pixel;
            grey[static_cast<std::size_t>(p)] = 0.299 * rgb[0] + 0.587 * rgb[channel] + 0.114 * rgb[2 * channel];
        }
        std::ranges::copy(grey, rows.begin() + i * pixels);
    }
    rows.resize(static_cast<std::size_t>(count * pixels));
}

void blur(const ImageShape& shape, double sigma, std::span<double> rows) {
    CONVOY_EXPECT(sigma > 0 && static_cast<std::int64_t>(rows.size()) % shape.numbers() == 0);
    // A plane is height x width pixels of `depth` numbers each.
    const std::int64_t depth = shape.planes ? 1 : shape.channels;
    const std::int64_t h = shape.height, w = shape.width, line = w * depth, plane = h * line;
    const auto planes = static_cast<std::int64_t>(rows.size()) / plane;
    const std::vector<double> down = kernel_matrix(h, sigma), across = kernel_matrix(w, sigma);
    const dense::ConstMatrix g_down{down.data(), h, h, h}, g_across{across.data(), w, w, w};
    std::vector<double> scratch(static_cast<std::size_t>(omp_get_max_threads() * plane));
    const dense::OneThreadEach one_thread_each;
#pragma omp parallel for schedule(static)
    for (std::int64_t k = 0; k < planes; ++k) {
        double *const image = rows.data() + k * plane, *const half = scratch.data() + omp_get_thread_num() * plane;
        dense::multiply(1, g_down, dense::Form::plain, {image, h, line, line}, dense::Form::plain, 0,
                        {half, h, line, line});
        if (depth == 1) {
            dense::multiply(1, {half, h, w, w}, dense::Form::plain, g_across, dense::Form::plain, 0, {image, h, w, w});
            continue;
        }
        for (std::int64_t i = 0; i < h; ++i)
            dense::multiply(1, g_across, dense::Form::plain, {half + i * line, w, depth, depth}, dense::Form::plain, 0,
                            {image + i * line, w, depth, depth});
    }
}

}  // namespace convoy
