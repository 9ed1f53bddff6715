#pragma once
/// \file
/// Points that are images: what their numbers mean, grey levels of colours, and Gaussian blur.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace convoy {

/// How the numbers of a row make an image.
struct ImageShape {
    std::int64_t height = 0, width = 0;
    std::int64_t channels = 1;
    /// Channel after channel (channels x height x width, as in CIFAR-10), or a pixel's channels beside each other
    /// (height x width x channels, as in most libraries).
    bool planes = false;

    std::int64_t pixels() const { return height * width; }
    std::int64_t numbers() const { return pixels() * channels; }
    /// `28x28`, `32x32x3`, `3x32x32`: what parse() reads.
    std::string name() const;
    bool operator==(const ImageShape&) const = default;

    /// From HEIGHTxWIDTH, HEIGHTxWIDTHxCHANNELS or CHANNELSxHEIGHTxWIDTH. Channels are 1 to 4; where both ends could be
    /// channels, the last is. \throws InputError
    static ImageShape parse(const std::string& text);
};

/// Luma of red, green and blue: 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), in fp64. PIL's convert('L') is this,
/// rounded to whole numbers. In place: each row of `numbers()` values becomes one of `pixels()`, without gaps between
/// rows. \throws InputError unless the shape has 3 channels.
void to_grayscale(const ImageShape& shape, std::vector<double>& rows);

/// Convolution with a Gaussian of standard deviation sigma pixels, each channel by itself, zero beyond the edges. The
/// kernel exp(-(i - k)^2 / (2 sigma^2)) / Z is not cut off and Z is its sum over all integers, so blurring is the
/// symmetric positive definite matrix g (x) g. In place, fp64; uses all threads, the same bits with any number of them.
void blur(const ImageShape& shape, double sigma, std::span<double> rows);

}  // namespace convoy
