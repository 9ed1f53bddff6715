#include "kernels/column_means.hpp"

#include <algorithm>

namespace convoy::kernels {

std::vector<double> column_means(std::span<const double> columns, std::int64_t width) {
    std::vector<double> means(static_cast<std::size_t>(width), 0.0);
    if (width == 0) return means;
    const std::int64_t rows = std::ssize(columns) / width;
    constexpr std::int64_t line = 8;  // numbers of a line of memory: a thread takes whole ones of every row
#pragma omp parallel for schedule(static) if (rows * width > 100000)
    for (std::int64_t first = 0; first < width; first += line) {
        double sums[line] = {};
        const std::int64_t count = std::min(line, width - first);
        for (std::int64_t j = 0; j < rows; ++j) {
            const double* const row = columns.data() + j * width + first;
            for (std::int64_t k = 0; k < count; ++k) sums[k] += row[k];
        }
        for (std::int64_t k = 0; k < count; ++k)
            means[static_cast<std::size_t>(first + k)] = sums[k] / static_cast<double>(std::max<std::int64_t>(rows, 1));
    }
    return means;
}

}  // namespace convoy::kernels
