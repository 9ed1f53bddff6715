#pragma once
// How the CUDA backend cuts a block, and what that takes on the device. Pure arithmetic, which needs no device: the
// plan of a run and the block itself both go by it.

#include <cstdint>

#include "kernels/devices.hpp"

namespace convoy::cuda {

// Split points are padded: whole steps of tensor cores along the dimensions; along the rows whole tiles, and one more
// for ranges that begin within a tile.
constexpr std::int64_t stride_of_split(std::int64_t dimension) {
    return (dimension + 63) / 64 * 64;
}
constexpr std::int64_t padded_rows(std::int64_t rows) {
    return (rows + 127) / 128 * 128 + 128;
}
// Rows of kept products, in numbers: whole lines of memory.
constexpr std::int64_t stride_of_products(std::int64_t columns) {
    return (columns + 31) / 32 * 32;
}

// Products of more dimensions than this come from tensor cores, of fewer from registers.
constexpr std::int64_t few_dimensions = 16;

// What the driver itself takes on the device for a process: not ours to count, but it must be left.
constexpr double context_memory = 600e6;

// Logits that are stored, not used at once, go in tiles of so many rows and columns.
constexpr std::int64_t tile_rows = 2048, tile_columns = 2048;

// Points that pass through the device together where not all fit: 64 MiB in single precision, which are copied in about
// a millisecond. Only tests change the limits.
struct PortionLimits {
    std::int64_t numbers = std::int64_t{1} << 24;
    std::int64_t least_rows = tile_rows;  // a multiple of 128
};
extern PortionLimits portion_limits;
std::int64_t rows_of_portion(std::int64_t dimension);

// The summed side of a reduction in chunks, so that there is work for all multiprocessors of any device.
struct ChunkCut {
    std::int64_t chunk;
    int chunks;
};
// \param block_rows staying points of a block of threads
ChunkCut cut_summed(std::int64_t staying, std::int64_t summed, std::int64_t block_rows = 128);
// Likewise where each chunk has averages of `width` numbers a row: their memory is bounded.
constexpr std::int64_t partial_averages = std::int64_t{1} << 24;
ChunkCut cut_averages(std::int64_t staying, std::int64_t summed, std::int64_t width);

}  // namespace convoy::cuda
