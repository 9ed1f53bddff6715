#pragma once
// The pairs of two portions as tiles of logits, one after the other in the same memory: small enough for the L2 cache,
// where the kernels that follow find them.

#include <algorithm>

#include "kernels/cuda/call.hpp"
#include "kernels/device_memory.hpp"

namespace convoy::cuda {

template <class T>
Operand<T> rows_of(Operand<T> operand, std::int64_t first, std::int64_t rows, std::int64_t dimension) {
    operand.rows = rows;
    if (operand.points != nullptr) operand.points += first * dimension;
    if (operand.logits != nullptr) operand.logits += first;
    if (operand.weights != nullptr) operand.weights += first;
    if (operand.split.high != nullptr) {
        operand.split.high += first * operand.split.stride;
        operand.split.low += first * operand.split.stride;
    }
    return operand;
}

// Where a tile lies among the pairs of its part.
struct TilePlace {
    std::int64_t row, rows, column, columns;
};

template <class T>
Pairs<T> pairs_of(Pairs<T> pairs, const TilePlace& at) {
    pairs.staying = rows_of(pairs.staying, at.row, at.rows, pairs.dimension);
    pairs.summed = rows_of(pairs.summed, at.column, at.columns, pairs.dimension);
    KeptView& kept = pairs.kept;
    if (kept.data != nullptr)
        kept.data += kept.transposed ? at.column * kept.stride + at.row : at.row * kept.stride + at.column;
    return pairs;
}

template <class T>
void launch_logits_from(Source source, const Pairs<T>& pairs, const LogitTile<T>& tile, cudaStream_t stream) {
    if constexpr (sizeof(T) == sizeof(float)) {
        if (source == Source::tensor_cores) return launch_logits_split(pairs, tile, stream);
        if (source == Source::kept) return launch_logits_kept(pairs, tile, stream);
    }
    launch_logits(pairs, tile, stream);
}

// Calls use(logits, pairs, place) tile after tile: the columns of some rows, then the next rows'. Costs, where `costs`,
// lie in the workspace's.
template <class T, class Use>
void for_each_tile(const Call<T>& call, const Part<T>& part, bool costs, const Use& use) {
    Workspace<T>& w = call.work;
    const std::int64_t rows = part.pairs.staying.rows, columns = part.pairs.summed.rows;
    const std::int64_t stride = std::min(columns, tile_columns);
    w.logits.need(std::min(rows, tile_rows) * stride);
    if (costs) w.costs.need(std::min(rows, tile_rows) * stride);
    const bool offsets = call.request.wants_costs();
    for (std::int64_t row = 0; row < rows; row += tile_rows) {
        for (std::int64_t column = 0; column < columns; column += tile_columns) {
            const TilePlace at{row, std::min(tile_rows, rows - row), column, std::min(tile_columns, columns - column)};
            const Pairs<T> pairs = pairs_of(part.pairs, at);
            launch_logits_from(
                call.forms.source, pairs,
                {w.logits.get(), costs ? w.costs.get() : nullptr, stride, offsets ? w.row_offsets.get() + row : nullptr,
                 offsets ? w.column_offsets.get() + column : nullptr},
                w.stream.get());
            use(TermTile<T>{w.logits.get(), stride, at.rows, at.columns, pairs.summed.weights}, pairs, at);
        }
    }
}

}  // namespace convoy::cuda
