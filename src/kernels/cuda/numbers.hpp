#pragma once
// What belongs to single points in a call: potentials in the kernels' precision, and points scaled so that
// one multiplication a pair is saved. What comes after them: partial sums joined, corrections put back.
//
// Rounding takes nothing off a potential: of the summed side it goes into the weight w, of the staying side into the
// correction, by which the finished sum is multiplied.

#include "kernels/cuda/device.hpp"
#include "kernels/cuda/device_cloud.hpp"
#include "kernels/cuda/tile.hpp"

namespace convoy::cuda {

// What a side's potentials are made of: exact = scale (potential - own) + log weight, 0 for scale = 0.
struct PotentialRule {
    double scale = 0;         // log2(e) / eps
    bool own_terms = false;   // f and g take up OwnTerm
    bool log_weights = true;  // of the summed side; a hard transform has none
};

// What an OwnTerm is, on the device.
struct OwnTermView {
    double square = 0, constant = 0;
    const double* linear = nullptr;  // null: zero
};

// g, w and, unless null, of `values` averages what turns a logit into a log density, and of costs the column offsets.
template <class T>
struct SummedNumbers {
    T* logits;
    T* weights;
    T* densities;  // log2 w - log2 weight
    T* offsets;    // own terms
};
template <class T>
void launch_summed_numbers(const Portion<T>& portion, const double* potential, const PotentialRule& rule,
                           const SummedNumbers<T>& out, cudaStream_t stream);

// f, the correction and, unless null, the row offsets (own - shift) and the correction once more in T.
template <class T>
struct StayingNumbers {
    T* logits;
    double* corrections;
    T* densities;
    T* offsets;
    double shift;
};
// The points times `unit`, rounded again, go to `scaled` unless that is null: own terms are then taken from what the
// products will see.
template <class T>
void launch_staying_numbers(const Portion<T>& portion, const double* potential, const PotentialRule& rule,
                            const StayingNumbers<T>& out, T* scaled, double unit, std::int64_t dimension,
                            const OwnTermView& own, cudaStream_t stream);

// sums[i] += partial[0 rows + i] + partial[1 rows + i] + ..., in this order.
void launch_join(const double* partial, int chunks, std::int64_t rows, double* sums, cudaStream_t stream);

template <class T>
void launch_fill(T* memory, std::int64_t n, T value, cudaStream_t stream);

// What a call gives: sums and values of the shifted form times 2^correction; of the safe form the maxima, natural
// logarithms, -inf and 0 where there was no mass. Values get mean_k times the sum, and `second_unit` (k = 1).
template <class T>
struct Finish {
    std::int64_t rows = 0, width = 0;
    const double* corrections = nullptr;
    const T* maximum = nullptr;     // safe form
    const double* means = nullptr;  // width numbers, or null
    double second_unit = 1;
    double* sums = nullptr;
    double* largest = nullptr;  // safe form: rows
    double* values = nullptr;
};
template <class T>
void launch_finish(const Finish<T>& finish, cudaStream_t stream);

}  // namespace convoy::cuda
