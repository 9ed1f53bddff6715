// One thread a point, everything in fp64: some tens of operations and of bytes a point, where a reduction has thousands
// for each. Bounded by memory; nothing here is worth tuning.

#include "kernels/cuda/numbers.hpp"

namespace convoy::cuda {

namespace {

constexpr unsigned threads = 256;

unsigned blocks_for(std::int64_t n) {
    return static_cast<unsigned>((n + threads - 1) / threads);
}

__device__ std::int64_t my_index() {
    return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

__device__ double exact_logit(const PotentialRule& rule, double potential, double own) {
    return rule.scale == 0 ? 0.0 : rule.scale * (potential - own);
}

template <class T>
__global__ void summed_numbers(std::int64_t rows, const double* own, const double* log_weights, const double* potential,
                               PotentialRule rule, SummedNumbers<T> out) {
    const std::int64_t j = my_index();
    if (j >= rows) return;
    const double log_weight = log_weights[j];
    const double of_weight = rule.log_weights ? log_weight : 0;
    const double exact = exact_logit(rule, potential[j], rule.own_terms ? own[j] : 0) + of_weight;
    const bool mass = log_weight > -INFINITY;
    const T rounded = static_cast<T>(mass ? exact : no_mass);
    const double residue = exact - static_cast<double>(rounded);
    const T weight = mass ? static_cast<T>(exp2(residue)) : T(0);
    out.logits[j] = rounded;
    out.weights[j] = weight;
    if (out.offsets != nullptr) out.offsets[j] = rule.own_terms ? static_cast<T>(own[j]) : T(0);
    if (out.densities != nullptr) {
        out.densities[j] = weight > T(0) ? static_cast<T>(log2(static_cast<double>(weight)) - of_weight) : T(0);
    }
}

// OwnTerm of a point as it was scaled and rounded.
template <class T>
__device__ double scale_point(const T* from, T* to, double unit, std::int64_t dimension, const OwnTermView& own) {
    double squares = 0, sum = own.constant;
    for (std::int64_t k = 0; k < dimension; ++k) {
        const T scaled = static_cast<T>(static_cast<double>(from[k]) * unit);
        to[k] = scaled;
        const double x = static_cast<double>(scaled) / unit;
        squares += x * x;
        if (own.linear != nullptr) sum += own.linear[k] * x;
    }
    return sum + own.square * squares;
}

template <class T>
__global__ void staying_numbers(Portion<T> portion, const double* potential, PotentialRule rule, StayingNumbers<T> out,
                                T* scaled, double unit, std::int64_t dimension, OwnTermView own_term) {
    const std::int64_t i = my_index();
    if (i >= portion.rows) return;
    double own = rule.own_terms ? portion.own[i] : 0;
    if (scaled != nullptr) {
        const double again =
            scale_point(portion.points + i * dimension, scaled + i * dimension, unit, dimension, own_term);
        // In fp64 the second rounding is no worse than the first; unit = 0 leaves nothing to measure.
        if (rule.own_terms && sizeof(T) < sizeof(double) && unit != 0 && unit != 1) own = again;
    }
    const double exact = exact_logit(rule, potential[i], own);
    const T rounded = static_cast<T>(exact);
    const double correction = exact - static_cast<double>(rounded);
    out.logits[i] = rounded;
    out.corrections[i] = correction;
    if (out.densities != nullptr) out.densities[i] = static_cast<T>(correction);
    if (out.offsets != nullptr) out.offsets[i] = static_cast<T>(own - out.shift);
}

__global__ void join(const double* partial, int chunks, std::int64_t rows, double* sums) {
    const std::int64_t i = my_index();
    if (i >= rows) return;
    double sum = sums[i];
    for (int c = 0; c < chunks; ++c) sum += partial[c * rows + i];
    sums[i] = sum;
}

template <class T>
__global__ void fill(T* memory, std::int64_t n, T value) {
    const std::int64_t i = my_index();
    if (i < n) memory[i] = value;
}

// A thread a value. The sums are still without their corrections here: finish_sums runs after it.
template <class T>
__global__ void finish_values(Finish<T> f) {
    const std::int64_t at = my_index();
    if (at >= f.rows * f.width) return;
    const std::int64_t i = at / f.width, k = at % f.width;
    const double factor = f.maximum == nullptr ? exp2(f.corrections[i]) : 1.0;
    const double mean = f.means == nullptr ? 0.0 : f.means[k];
    f.values[at] = (k == 1 ? f.second_unit : 1.0) * factor * (f.values[at] + mean * f.sums[i]);
}

template <class T>
__global__ void finish_sums(Finish<T> f) {
    const std::int64_t i = my_index();
    if (i >= f.rows) return;
    if (f.maximum == nullptr) {
        f.sums[i] *= exp2(f.corrections[i]);
        return;
    }
    constexpr double ln2 = 0.693147180559945309417;
    const double largest = static_cast<double>(f.maximum[i]);
    f.largest[i] = largest <= no_mass / 2 ? -INFINITY : ln2 * (largest + f.corrections[i]);
}

}  // namespace

template <class T>
void launch_summed_numbers(const Portion<T>& portion, const double* potential, const PotentialRule& rule,
                           const SummedNumbers<T>& out, cudaStream_t stream) {
    launch(summed_numbers<T>, {blocks_for(portion.rows), threads}, stream, portion.rows, portion.own,
           portion.log_weights, potential, rule, out);
}

template <class T>
void launch_staying_numbers(const Portion<T>& portion, const double* potential, const PotentialRule& rule,
                            const StayingNumbers<T>& out, T* scaled, double unit, std::int64_t dimension,
                            const OwnTermView& own, cudaStream_t stream) {
    launch(staying_numbers<T>, {blocks_for(portion.rows), threads}, stream, portion, potential, rule, out, scaled, unit,
           dimension, own);
}

void launch_join(const double* partial, int chunks, std::int64_t rows, double* sums, cudaStream_t stream) {
    launch(join, {blocks_for(rows), threads}, stream, partial, chunks, rows, sums);
}

template <class T>
void launch_fill(T* memory, std::int64_t n, T value, cudaStream_t stream) {
    launch(fill<T>, {blocks_for(n), threads}, stream, memory, n, value);
}

template <class T>
void launch_finish(const Finish<T>& finish, cudaStream_t stream) {
    launch(finish_values<T>, {blocks_for(finish.rows * finish.width), threads}, stream, finish);
    launch(finish_sums<T>, {blocks_for(finish.rows), threads}, stream, finish);
}

template void launch_summed_numbers(const Portion<float>&, const double*, const PotentialRule&,
                                    const SummedNumbers<float>&, cudaStream_t);
template void launch_summed_numbers(const Portion<double>&, const double*, const PotentialRule&,
                                    const SummedNumbers<double>&, cudaStream_t);
template void launch_staying_numbers(const Portion<float>&, const double*, const PotentialRule&,
                                     const StayingNumbers<float>&, float*, double, std::int64_t, const OwnTermView&,
                                     cudaStream_t);
template void launch_staying_numbers(const Portion<double>&, const double*, const PotentialRule&,
                                     const StayingNumbers<double>&, double*, double, std::int64_t, const OwnTermView&,
                                     cudaStream_t);
template void launch_fill(float*, std::int64_t, float, cudaStream_t);
template void launch_fill(double*, std::int64_t, double, cudaStream_t);
template void launch_fill(std::int64_t*, std::int64_t, std::int64_t, cudaStream_t);
template void launch_finish(const Finish<float>&, cudaStream_t);
template void launch_finish(const Finish<double>&, cudaStream_t);

}  // namespace convoy::cuda
