#include "kernels/device_memory.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace convoy {

namespace cuda {

PortionLimits portion_limits;

std::int64_t rows_of_portion(std::int64_t dimension) {
    const std::int64_t rows = portion_limits.numbers / std::max<std::int64_t>(dimension, 1);
    return std::max(rows / 128 * 128, portion_limits.least_rows);
}

namespace {

// The number of blocks of threads is some ten times what the largest devices of today hold at once: the last, partial
// wave then costs little. It must not depend on the device, since sums would.
ChunkCut cut_at_most(std::int64_t staying, std::int64_t summed, std::int64_t block_rows, std::int64_t most_chunks) {
    constexpr std::int64_t wanted = 4096, shortest = 256;
    const std::int64_t tiles = std::max<std::int64_t>((staying + block_rows - 1) / block_rows, 1);
    const std::int64_t most = std::clamp<std::int64_t>(summed / shortest, 1, most_chunks);
    const std::int64_t chunks = std::clamp<std::int64_t>(wanted / tiles, 1, most);
    const std::int64_t chunk = ((summed + chunks - 1) / chunks + 127) / 128 * 128;
    const std::int64_t cut = std::max<std::int64_t>(chunk, 128);
    return {cut, static_cast<int>(std::max<std::int64_t>((summed + cut - 1) / cut, 1))};
}

}  // namespace

ChunkCut cut_summed(std::int64_t staying, std::int64_t summed, std::int64_t block_rows) {
    return cut_at_most(staying, summed, block_rows, std::numeric_limits<std::int64_t>::max());
}

ChunkCut cut_averages(std::int64_t staying, std::int64_t summed, std::int64_t width) {
    const std::int64_t numbers = std::max<std::int64_t>(staying * width, 1);
    return cut_at_most(staying, summed, 128, std::max<std::int64_t>(partial_averages / numbers, 1));
}

}  // namespace cuda

namespace {

double number(const CudaBlockSize& size) {
    return size.single ? 4 : 8;
}

bool splits(const CudaBlockSize& size) {
    return size.single && size.from_products && size.dimension > cuda::few_dimensions;
}

// A point as it lies on the device: rounded, once more scaled or split.
double point(const CudaBlockSize& size) {
    const auto d = static_cast<double>(size.dimension);
    const auto stride = static_cast<double>(cuda::stride_of_split(size.dimension));
    return number(size) * d + (splits(size) ? 4 * stride : 0);
}

// Everything but points: numbers of a point, tiles, partial sums, averages.
double beside_points(const CudaBlockSize& size) {
    const auto n = static_cast<double>(size.rows), m = static_cast<double>(size.columns);
    const auto width = static_cast<double>(size.width);
    const auto tile = static_cast<double>(cuda::tile_rows * cuda::tile_columns);
    const double partial = 8 * (std::max(n, m) + 4096.0 * 1024);
    // Averages in one kernel: the columns in two terms of fp16, partial results of the chunks.
    const bool at_once = splits(size) && size.width > 0 && size.width <= 256;
    const double split = 4 * static_cast<double>(cuda::stride_of_split(size.width)) * std::max(n, m);
    const double averages =
        at_once ? split + 8 * std::max(static_cast<double>(cuda::partial_averages), width * std::max(n, m)) : 0;
    constexpr double own = 16, potential = 8, prepared = 2 * 8 + 3 * 8, sums = 4 * 8;
    return (n + m) * (own + potential + prepared + sums) + partial + 3 * tile * number(size) +
           width * (8 * std::max(n, m) + number(size) * std::max(n, m)) + averages + cuda::context_memory;
}

double prescaled(const CudaBlockSize& size, double rows) {
    return splits(size) ? 0 : rows * number(size) * static_cast<double>(size.dimension);
}

}  // namespace

double cuda_memory_resident(const CudaBlockSize& size) {
    const auto n = static_cast<double>(size.rows), m = static_cast<double>(size.columns);
    return (n + m + 512) * point(size) + prescaled(size, std::max(n, m)) + beside_points(size) +
           (size.keep_products ? cuda_memory_of_products(size) : 0);
}

double cuda_memory_streamed(const CudaBlockSize& size) {
    const std::int64_t portion = cuda::rows_of_portion(size.dimension);
    const auto n = static_cast<double>(std::min(portion, size.rows));
    const auto m = static_cast<double>(std::min(portion, size.columns));
    return 2 * (n + m + 512) * point(size) + prescaled(size, std::max(n, m)) + beside_points(size) +
           (size.keep_products ? cuda_memory_of_products(size) : 0);
}

double cuda_memory_of_driver() {
    return cuda::context_memory;
}

double cuda_memory_of(std::span<const CudaBlockSize> blocks, bool stream_points) {
    double sum = cuda::context_memory;
    for (const CudaBlockSize& block : blocks)
        sum += (stream_points ? cuda_memory_streamed(block) : cuda_memory_resident(block)) - cuda::context_memory;
    return sum;
}

std::string cuda_tiling() {
    return std::to_string(cuda::tile_rows) + " x " + std::to_string(cuda::tile_columns) + " logits, portions of " +
           std::to_string(cuda::portion_limits.numbers) + " numbers";
}

double cuda_memory_of_products(const CudaBlockSize& size) {
    return 4 * static_cast<double>(size.rows) * static_cast<double>(cuda::stride_of_products(size.columns));
}

// Predicted, not measured (bench/cuda-rates.md): seconds a pair of a product in three parts on tensor cores, of an
// exponential, and of reading four bytes.
bool cuda_products_pay(std::int64_t dimension) {
    constexpr double flops = 5.5e14, exponentials = 3.2e12, bytes = 3.5e12;
    constexpr double passes = 20, gain = 1.25;  // of a usual run; that is worth the memory
    const double products = 6 * static_cast<double>(cuda::stride_of_split(dimension)) / flops;
    const double reading = 4 / bytes;
    return dimension > cuda::few_dimensions &&
           passes * std::max(products, 1 / exponentials) > gain * (products + reading + passes * reading);
}

}  // namespace convoy
