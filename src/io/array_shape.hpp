#pragma once
// Arrays of one to four dimensions as matrices: a row is everything below the first dimension.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "convoy/image.hpp"
#include "io/number_type.hpp"
#include "io/reader.hpp"

namespace convoy::io {

struct ArrayShape {
    std::int64_t rows = 0, columns = 0;
    bool vector = false;
    std::optional<ImageShape> image;  // of arrays with more than two dimensions, where it is clear what they mean

    std::int64_t numbers() const { return rows * columns; }
};

// images x height x width, images x height x width x channels or images x channels x height x width are images. What
// cannot be a matrix of this size is refused in words, a single picture in colour, too.
// \param remedy how the array is written with two dimensions
ArrayShape array_shape(const Location& location, const std::vector<std::int64_t>& extents, const std::string& remedy);

// 60000 x 28 x 28
std::string in_words(const std::vector<std::int64_t>& extents);

// The numbers begin at byte `at` of `bytes`, and end where these do. \throws InputError
void expect_size(const Location& location, const std::vector<std::int64_t>& extents, const ArrayShape& shape,
                 const NumberType& type, std::int64_t at, std::int64_t bytes);

}  // namespace convoy::io
