// Safe sums, and averages of both forms: of tiles of logits, or, where products come from tensor cores and columns are
// few, in one kernel that stores nothing on its way.

#include <algorithm>

#include "kernels/column_means.hpp"
#include "kernels/cuda/apply_columns.hpp"
#include "kernels/cuda/call.hpp"
#include "kernels/cuda/tiles.hpp"
#include "kernels/device_memory.hpp"

namespace convoy::cuda {

namespace {

// The tile's logits once more: they are still wanted when terms have been made of them.
template <class T>
T* copy_of_logits(Workspace<T>& w, const TermTile<T>& tile) {
    const std::int64_t n = (tile.rows - 1) * tile.stride + tile.columns;
    w.terms.need(n);
    check(cudaMemcpyAsync(w.terms.get(), tile.terms, static_cast<std::size_t>(n) * sizeof(T), cudaMemcpyDeviceToDevice,
                          w.stream.get()),
          "copying logits");
    return w.terms.get();
}

}  // namespace

template <class T>
bool Averages<T>::in_one_kernel() const {
    return call_.forms.source == Source::tensor_cores && call_.request.is(Weighting::Kind::columns) &&
           call_.request.width() > 0 && call_.request.width() <= widest_average && averages_fit();
}

template <class T>
void Averages<T>::upload_columns() const {
    const std::int64_t width = call_.request.width();
    if (!call_.request.is(Weighting::Kind::columns) || width == 0) return;
    Workspace<T>& w = call_.work;
    const std::int64_t rows = call_.points.side(other(call_.request.stays)).rows();
    const double* const v = call_.request.weighting->columns.data();
    const std::vector<double> means = kernels::column_means(call_.request.weighting->columns, width);
    w.host_means.need(width);
    w.means.need(width);
    std::copy(means.begin(), means.end(), w.host_means.get());
    copy_to_device(w.host_means.get(), w.means.get(), width, w.stream);
    w.columns.need(rows * width);
    constexpr std::int64_t numbers_of_piece = std::int64_t{1} << 24;
    const std::int64_t piece = std::max<std::int64_t>(numbers_of_piece / width, 1);
    w.host_columns.need(std::min(piece, rows) * width);
    for (std::int64_t first = 0; first < rows; first += piece) {
        const std::int64_t count = std::min(piece, rows - first);
        w.stream.wait();  // the piece before is on its way from the same memory
        T* const to = w.host_columns.get();
#pragma omp parallel for schedule(static) if (count * width > 10000)
        for (std::int64_t j = 0; j < count; ++j) {
            for (std::int64_t k = 0; k < width; ++k)
                to[j * width + k] = static_cast<T>(v[(first + j) * width + k] - means[static_cast<std::size_t>(k)]);
        }
        copy_to_device(to, w.columns.get() + first * width, count * width, w.stream);
    }
    if constexpr (sizeof(T) == sizeof(float)) {
        if (!in_one_kernel()) return;
        const std::int64_t stride = stride_of_split(width);
        w.largest_of_columns.need(width);
        w.high.need(rows * stride);
        w.low.need(rows * stride);
        launch_split_columns(w.columns.get(), rows, width, w.largest_of_columns.get(), w.high.get(), w.low.get(),
                             stride, w.stream.get());
    }
}

template <class T>
void Averages<T>::add(const Part<T>& part) const {
    if (in_one_kernel()) {
        add_in_one_kernel(part);
    } else {
        add_tiles(part);
    }
}

template <class T>
void Averages<T>::add_in_one_kernel(const Part<T>& part) const {
    if constexpr (sizeof(T) == sizeof(float)) {
        Workspace<T>& w = call_.work;
        const std::int64_t width = call_.request.width(), rows = part.pairs.staying.rows;
        const std::int64_t stride = stride_of_split(width), skipped = part.first_summed * stride;
        const ChunkCut chunks = cut_averages(rows, part.pairs.summed.rows, width);
        w.partial.need(chunks.chunks * rows);
        w.partial_maximum.need(chunks.chunks * rows);
        w.partial_values.need(chunks.chunks * rows * width);
        const ChunkAverages partial{w.partial_maximum.get(), w.partial.get(), w.partial_values.get()};
        const ChunkAverages all{w.maximum.get() + part.done, w.sums.get() + part.done,
                                w.values.get() + part.done * width};
        const SplitColumns columns{
            {w.high.get() + skipped, w.low.get() + skipped, stride}, w.largest_of_columns.get(), width};
        launch_average_split(part.pairs, columns, Cut{chunks.chunk, chunks.chunks}, partial, w.stream.get());
        launch_join_averages(partial, chunks.chunks, rows, width, all, w.stream.get());
    }
}

template <class T>
void Averages<T>::add_tiles(const Part<T>& part) const {
    Workspace<T>& w = call_.work;
    const Request& request = call_.request;
    const std::int64_t width = request.width();
    const bool distances = request.is(Weighting::Kind::gradient) && call_.forms.form.form == PairForm::root;
    w.rescale.need(tile_rows);
    for_each_tile(call_, part, request.wants_costs() || distances,
                  [&](TermTile<T> tile, const Pairs<T>& pairs, const TilePlace& at) {
                      const std::int64_t row = part.done + at.row;
                      double* const sums = w.sums.get() + row;
                      double* const values = width > 0 ? w.values.get() + row * width : nullptr;
                      T* const maximum = request.safe ? w.maximum.get() + row : nullptr;
                      if (request.safe) {
                          launch_raise_maximum(tile, maximum, w.rescale.get(), w.stream.get());
                          launch_rescale(w.rescale.get(), tile.rows, width, sums, values, w.stream.get());
                      }
                      if (request.is(Weighting::Kind::values)) tile.terms = copy_of_logits(w, tile);
                      launch_exponentials(tile, maximum, sums, w.stream.get());
                      if (width > 0) add_values(tile, pairs, at, part.first_summed, values);
                  });
}

template <class T>
void Averages<T>::add_values(const TermTile<T>& tile, const Pairs<T>& pairs, const TilePlace& at,
                             std::int64_t first_summed, double* values) const {
    Workspace<T>& w = call_.work;
    const std::int64_t width = call_.request.width();
    switch (call_.request.weighting->kind) {
        case Weighting::Kind::columns:
            return launch_add_columns(tile, w.columns.get() + (first_summed + at.column) * width, width, values,
                                      w.stream.get());
        case Weighting::Kind::cost:
            return launch_add_costs(tile, w.costs.get(), values, w.stream.get());
        case Weighting::Kind::values:
            return launch_add_values(tile, w.logits.get(), w.costs.get(), w.row_densities.get() + at.row,
                                     w.column_densities.get() + at.column, values, w.stream.get());
        case Weighting::Kind::gradient:
            return launch_add_gradients(tile, pairs, w.costs.get(), values, w.stream.get());
    }
}

template <class T>
void Averages<T>::finish() const {
    if constexpr (sizeof(T) == sizeof(float)) {
        Workspace<T>& w = call_.work;
        if (!in_one_kernel() || call_.request.safe) return;
        const ChunkAverages all{w.maximum.get(), w.sums.get(), w.values.get()};
        launch_unshift(all, call_.request.range.count, call_.request.width(), w.stream.get());
    }
}

template class Averages<float>;
template class Averages<double>;

}  // namespace convoy::cuda
