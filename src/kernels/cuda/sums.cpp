// Shifted sums: one kernel for all pairs of two portions, chunk by chunk of the summed side.

#include "kernels/cuda/call.hpp"
#include "kernels/device_memory.hpp"

namespace convoy::cuda {

namespace {

template <class T>
void launch_sums_from(Source source, const Pairs<T>& pairs, const Cut& cut, double* partial, cudaStream_t stream) {
    if constexpr (sizeof(T) == sizeof(float)) {
        if (source == Source::registers) return launch_sums_in_registers(pairs, cut, partial, stream);
        if (source == Source::tensor_cores) return launch_sums_split(pairs, cut, partial, stream);
        if (source == Source::kept) return launch_sums_kept(pairs, cut, partial, stream);
    }
    launch_sums(pairs, cut, partial, stream);
}

}  // namespace

template <class T>
void add_sums(const Call<T>& call, const Part<T>& part) {
    Workspace<T>& w = call.work;
    const std::int64_t rows = part.pairs.staying.rows;
    const std::int64_t block_rows = call.forms.source == Source::registers ? rows_in_registers : 128;
    const ChunkCut chunks = cut_summed(rows, part.pairs.summed.rows, block_rows);
    w.partial.need(chunks.chunks * rows);
    launch_sums_from(call.forms.source, part.pairs, Cut{chunks.chunk, chunks.chunks}, w.partial.get(), w.stream.get());
    launch_join(w.partial.get(), chunks.chunks, rows, w.sums.get() + part.done, w.stream.get());
}

template void add_sums(const Call<float>&, const Part<float>&);
template void add_sums(const Call<double>&, const Part<double>&);

}  // namespace convoy::cuda
