#pragma once
// One functor a pair form: how a raw number grows coordinate by coordinate, and what a cost's gradient is made of. A
// new cost is one more functor here, as in kernels/cpu/forms-inl.hpp, and one more case in with_form.

#include <cuda_runtime.h>

#include <type_traits>

#include "kernels/cuda/exp2.hpp"
#include "kernels/cuda/instructions.hpp"
#include "kernels/cuda/tile.hpp"

namespace convoy::cuda {

__device__ inline float magnitude(float z) {
    return fabsf(z);
}
__device__ inline double magnitude(double z) {
    return fabs(z);
}
__device__ inline double square_root(double a) {
    return sqrt(a);
}
__device__ inline float with_sign_of(float a, float z) {
    return copysignf(a, z);
}
__device__ inline double with_sign_of(double a, double z) {
    return copysign(a, z);
}

// |z|^q for any q.
__device__ inline float power(float a, float q) {
    return a > 0 ? exp2_of(q * log2f(a)) : 0.0f;
}
__device__ inline double power(double a, double q) {
    return a > 0 ? exp2_of(q * log2(a)) : 0.0;
}

// Every form:
//   coordinates  of a point that are loaded together: as many as leave the temporaries of so many steps in registers
//   step         the sum after one more coordinate of x and y
//   finish       the raw number of the whole sum
//   direction    of cost forms: grad h(z)_k, up to a factor of the whole (terms.cu)
template <class T>
struct InnerForm {
    static constexpr int coordinates = sizeof(T) == 4 ? 4 : 2;
    __host__ __device__ explicit InnerForm(const Pairs<T>&) {}
    __device__ T step(T x, T y, T sum) const { return x * y + sum; }
    __device__ T finish(T sum) const { return sum; }
};

template <class T>
struct SquareForm {
    static constexpr int coordinates = sizeof(T) == 4 ? 2 : 1;
    __host__ __device__ explicit SquareForm(const Pairs<T>&) {}
    __device__ T step(T x, T y, T sum) const {
        const T z = x - y;
        return z * z + sum;
    }
    __device__ T finish(T sum) const { return sum; }
    __device__ T direction(T z) const { return z; }
};

template <class T>
struct RootForm : SquareForm<T> {
    using SquareForm<T>::SquareForm;
    __device__ T finish(T sum) const { return square_root(sum); }
};

enum class Exponent { three_halves, three, four, any };

template <class T, Exponent E>
struct PowerForm {
    static constexpr int coordinates = sizeof(T) == 8 ? 1 : E == Exponent::four ? 2 : 4;
    __host__ __device__ explicit PowerForm(const Pairs<T>&) {}
    __device__ T step(T x, T y, T sum) const {
        const T a = magnitude(x - y);
        if constexpr (E == Exponent::three_halves) return a * square_root(a) + sum;
        if constexpr (E == Exponent::three) return a * a * a + sum;
        const T square = a * a;
        return square * square + sum;
    }
    __device__ T finish(T sum) const { return sum; }
    __device__ T direction(T z) const {
        const T a = magnitude(z);
        if constexpr (E == Exponent::three_halves) return with_sign_of(square_root(a), z);
        if constexpr (E == Exponent::three) return z * a;
        return z * (a * a);
    }
};

template <class T>
struct PowerForm<T, Exponent::any> {
    static constexpr int coordinates = 1;
    T p;
    __host__ __device__ explicit PowerForm(const Pairs<T>& pairs) : p{pairs.p} {}
    __device__ T step(T x, T y, T sum) const { return sum + power(magnitude(x - y), p); }
    __device__ T finish(T sum) const { return sum; }
    __device__ T direction(T z) const { return with_sign_of(power(magnitude(z), p - 1), z); }
};

// Calls use(std::type_identity<Form>{}) with the functor of the power p.
template <class T, class Use>
void with_power_form(T p, const Use& use) {
    if (p == T(1.5)) return use(std::type_identity<PowerForm<T, Exponent::three_halves>>{});
    if (p == T(3)) return use(std::type_identity<PowerForm<T, Exponent::three>>{});
    if (p == T(4)) return use(std::type_identity<PowerForm<T, Exponent::four>>{});
    return use(std::type_identity<PowerForm<T, Exponent::any>>{});
}

// Likewise with that of the pairs' form.
template <class T, class Use>
void with_form(const Pairs<T>& pairs, const Use& use) {
    switch (pairs.form) {
        case PairForm::product:
        case PairForm::inner:
        case PairForm::kept:  // those who have kept products do not come here
            return use(std::type_identity<InnerForm<T>>{});
        case PairForm::square:
            return use(std::type_identity<SquareForm<T>>{});
        case PairForm::root:
            return use(std::type_identity<RootForm<T>>{});
        case PairForm::power:
            return with_power_form(pairs.p, use);
    }
}

}  // namespace convoy::cuda
