// Compiled once per instruction set, like the kernels.

#include "limits.hpp"

#include <omp.h>

#include <Eigen/Core>

#ifdef CONVOY_BENCH_OPENBLAS
#include <cblas.h>
#endif

#define HWY_DISABLED_TARGETS \
    (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV | HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "limits.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "hwy/highway.h"
#include "kernels/cpu/exp2-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace convoy::bench::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using Tag = hn::ScalableTag<float>;
using V = hn::Vec<Tag>;

// Twelve independent chains, as in the products' register block, without its loads.
double MultiplyAdds(std::int64_t repeats, float* out) {
    const Tag d;
    constexpr int chains = 12, steps = 64;
    const V x = hn::LoadU(d, out), y = hn::Add(x, x);
    V sums[chains];
    for (int c = 0; c < chains; ++c) sums[c] = hn::Set(d, static_cast<float>(c));
    for (std::int64_t r = 0; r < repeats * steps; ++r) {
        for (int c = 0; c < chains; ++c) sums[c] = hn::MulAdd(sums[c], x, y);
    }
    for (int c = 1; c < chains; ++c) sums[0] = hn::Add(sums[0], sums[c]);
    hn::StoreU(sums[0], d, out);
    return 2.0 * chains * steps * static_cast<double>(repeats) * static_cast<double>(hn::Lanes(d));
}

double Exponentials(std::int64_t repeats, float* out) {
    const Tag d;
    constexpr std::int64_t numbers = 2048;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    HWY_ALIGN float t[numbers];
    for (std::int64_t i = 0; i < numbers; ++i) t[i] = -0.01f * static_cast<float>(i);
    V low = hn::Zero(d), high = low;
    for (std::int64_t r = 0; r < repeats; ++r) {
        for (std::int64_t i = 0; i < numbers; i += 2 * lanes) {
            low = hn::Add(low, cpu::HWY_NAMESPACE::Exp2(d, hn::Load(d, t + i)));
            high = hn::Add(high, cpu::HWY_NAMESPACE::Exp2(d, hn::Load(d, t + i + lanes)));
        }
    }
    hn::StoreU(hn::Add(low, high), d, out);
    return static_cast<double>(numbers * repeats);
}

double Sum(const float* numbers, std::int64_t n) {
    const Tag d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    V sums[4] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
    for (std::int64_t i = 0; i + 4 * lanes <= n; i += 4 * lanes) {
        for (int c = 0; c < 4; ++c) sums[c] = hn::Add(sums[c], hn::LoadU(d, numbers + i + c * lanes));
    }
    return static_cast<double>(
        hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(sums[0], sums[1]), hn::Add(sums[2], sums[3])))));
}

}  // namespace convoy::bench::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::bench {

HWY_EXPORT(MultiplyAdds);
HWY_EXPORT(Exponentials);
HWY_EXPORT(Sum);

namespace {

constexpr int largest_vector = 64;  // numbers: of any instruction set

// What every thread did, added up; results go where the compiler must keep them.
template <class Work>
double on_all_threads(const Work& work) {
    double done = 0;
#pragma omp parallel reduction(+ : done)
    {
        float out[largest_vector] = {0.5f};
        done += work(out);
        asm volatile("" : : "r"(out) : "memory");
    }
    return done;
}

}  // namespace

double multiply_adds() {
    return on_all_threads([](float* out) { return HWY_DYNAMIC_DISPATCH(MultiplyAdds)(20000, out); });
}

double exponentials() {
    return on_all_threads([](float* out) { return HWY_DYNAMIC_DISPATCH(Exponentials)(20000, out); });
}

double read(const std::vector<float>& numbers, double& sum) {
    constexpr std::int64_t piece = 1 << 20;
    const auto pieces = static_cast<std::int64_t>(numbers.size()) / piece;
    double total = 0;
#pragma omp parallel for schedule(static) reduction(+ : total)
    for (std::int64_t k = 0; k < pieces; ++k) total += HWY_DYNAMIC_DISPATCH(Sum)(numbers.data() + k * piece, piece);
    sum = total;
    return static_cast<double>(pieces * piece) * sizeof(float);
}

double matrix_product() {
    constexpr int n = 2048;
    using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic>;
    static const Matrix a = Matrix::Random(n, n), b = Matrix::Random(n, n);
    static Matrix c(n, n);
#ifdef CONVOY_BENCH_OPENBLAS
    openblas_set_num_threads(omp_get_max_threads());
    cblas_sgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1, a.data(), n, b.data(), n, 0, c.data(), n);
#else
    c.noalias() = a * b;
#endif
    return 2.0 * n * n * n;
}

const char* matrix_library() {
#ifdef CONVOY_BENCH_OPENBLAS
    return "OpenBLAS";
#else
    return "Eigen";
#endif
}

}  // namespace convoy::bench
#endif
