#include "convoy/image.hpp"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>

#include "convoy/error.hpp"

namespace convoy {
namespace {

std::vector<double> noise(std::int64_t count) {
    std::vector<double> values;
    for (std::int64_t i = 0; i < count; ++i) values.push_back(std::sin(1 + 1.7 * static_cast<double>(i)));
    return values;
}

TEST(ImageShape, IsReadAndNamed) {
    EXPECT_EQ(ImageShape::parse("28x20"), (ImageShape{28, 20, 1, false}));
    EXPECT_EQ(ImageShape::parse("32x31x3"), (ImageShape{32, 31, 3, false}));
    EXPECT_EQ(ImageShape::parse("3x32x31"), (ImageShape{32, 31, 3, true}));
    EXPECT_EQ(ImageShape::parse("3x3x3"), (ImageShape{3, 3, 3, false}));
    EXPECT_EQ(ImageShape::parse("1x8x9"), (ImageShape{8, 9, 1, false}));
    for (const char* name : {"28x20", "32x31x3", "3x32x31", "5x6x4"}) EXPECT_EQ(ImageShape::parse(name).name(), name);
    for (const char* text :
         {"", "x", "28", "28x", "x28", "0x3", "-1x3", "32x32x32", "1x2x3x4", "3x3y", "1e3x3", "99999999999x3"})
        EXPECT_THROW(ImageShape::parse(text), InputError) << text;
}

TEST(Grayscale, IsLumaInBothOrdersOfChannels) {
    // Two images of 1 x 2 pixels: red, white; then 10 20 30 and 40 50 60.
    std::vector<double> planes{255, 255, 0, 255, 0, 255, 10, 40, 20, 50, 30, 60};
    std::vector<double> pixels{255, 0, 0, 255, 255, 255, 10, 20, 30, 40, 50, 60};
    const std::vector<double> expected{0.299 * 255, 255, 0.299 * 10 + 0.587 * 20 + 0.114 * 30,
                                       0.299 * 40 + 0.587 * 50 + 0.114 * 60};

    to_grayscale({1, 2, 3, true}, planes);
    to_grayscale({1, 2, 3, false}, pixels);

    ASSERT_EQ(planes.size(), 4u);
    ASSERT_EQ(pixels.size(), 4u);
    for (std::size_t k = 0; k < 4; ++k) {
        EXPECT_NEAR(planes[k], expected[k], 1e-13 * 255);  // three roundings
        EXPECT_NEAR(pixels[k], expected[k], 1e-13 * 255);
    }
}

TEST(Grayscale, NeedsThreeChannels) {
    std::vector<double> rows(8);
    EXPECT_THROW(to_grayscale({2, 4, 1, false}, rows), InputError);
}

// The definition, without separating it.
std::vector<double> blurred_by_the_book(const ImageShape& shape, double sigma, const std::vector<double>& image) {
    double sum = 0;
    for (int k = -1000; k <= 1000; ++k) sum += std::exp(-k * k / (2 * sigma * sigma));
    const auto at = [&](std::int64_t i, std::int64_t j, std::int64_t c) {
        return static_cast<std::size_t>(shape.planes ? (c * shape.height + i) * shape.width + j
                                                     : (i * shape.width + j) * shape.channels + c);
    };
    std::vector<double> result(image.size());
    for (std::int64_t c = 0; c < shape.channels; ++c)
        for (std::int64_t i = 0; i < shape.height; ++i)
            for (std::int64_t j = 0; j < shape.width; ++j)
                for (std::int64_t k = 0; k < shape.height; ++k)
                    for (std::int64_t l = 0; l < shape.width; ++l) {
                        const auto squared = static_cast<double>((i - k) * (i - k) + (j - l) * (j - l));
                        result[at(i, j, c)] +=
                            std::exp(-squared / (2 * sigma * sigma)) / (sum * sum) * image[at(k, l, c)];
                    }
    return result;
}

TEST(Blur, IsTheConvolutionForEveryLayout) {
    for (const ImageShape& shape :
         {ImageShape{1, 1, 1, false}, ImageShape{5, 1, 1, false}, ImageShape{4, 7, 1, false},
          ImageShape{4, 7, 3, false}, ImageShape{4, 7, 3, true}, ImageShape{6, 3, 2, false}}) {
        for (const double sigma : {0.3, 1.0, 1.9999, 2.0, 4.0, 50.0}) {
            std::vector<double> rows = noise(3 * shape.numbers());
            std::vector<double> expected;
            for (std::int64_t i = 0; i < 3; ++i) {
                const auto first = rows.begin() + i * shape.numbers();
                const auto one = blurred_by_the_book(shape, sigma, {first, first + shape.numbers()});
                expected.insert(expected.end(), one.begin(), one.end());
            }

            blur(shape, sigma, rows);

            for (std::size_t k = 0; k < rows.size(); ++k)
                ASSERT_NEAR(rows[k], expected[k], 1e-14) << shape.name() << ", sigma " << sigma;  // sums of 28 numbers
        }
    }
}

TEST(Blur, GivesTheSameBitsWithAnyNumberOfThreads) {
    const ImageShape shape{16, 12, 3, true};
    std::vector<double> one = noise(40 * shape.numbers()), many = one;
    const int before = omp_get_max_threads();

    omp_set_num_threads(1);
    blur(shape, 1.5, one);
    omp_set_num_threads(3);
    blur(shape, 1.5, many);
    omp_set_num_threads(before);

    EXPECT_EQ(one, many);
}

}  // namespace
}  // namespace convoy
