#pragma once
// Averages of columns under a plan are formed about the columns' means: far-off values then lose nothing in single
// precision.

#include <cstdint>
#include <span>
#include <vector>

namespace convoy::kernels {

// Of each of `width` columns, rows in order: the same bits on any number of threads.
std::vector<double> column_means(std::span<const double> columns, std::int64_t width);

}  // namespace convoy::kernels
