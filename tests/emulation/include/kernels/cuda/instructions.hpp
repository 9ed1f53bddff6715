#pragma once
// The twin of src/kernels/cuda/instructions.hpp, which stands before it on the include path: the same functions, as the
// PTX manual describes what they do.

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "emulation/group_products.hpp"
#include "emulation/matrices.hpp"

namespace convoy::cuda {

inline unsigned char* dynamic_shared() {
    return emulation::shared_memory();
}

inline unsigned thread_index() {
    return threadIdx.x;
}

inline float ex2(float t) {
    return emulation::exp2_to_2_ulp(t);
}

inline float larger_or_nan(float a, float b) {
    return emulation::either_is_nan(a, b) ? emulation::canonical_nan : fmaxf(a, b);
}
inline float smaller_or_nan(float a, float b) {
    return emulation::either_is_nan(a, b) ? emulation::canonical_nan : fminf(a, b);
}

inline float square_root(float a) {
    return emulation::square_root_to_1_ulp(a);
}

inline std::uint32_t shared_address(const void* shared) {
    return emulation::shared_offset(shared);
}

// Copies are made by wait_for_copies() and not before.
inline void copy_async_16(void* shared, const void* global) {
    emulation::copy_later(shared, global, 16, 16);
}
inline void copy_async_16_if(bool there, void* shared, const void* global) {
    emulation::copy_later(shared, global, 16, there ? 16 : 0);
}
template <int Bytes>
inline void copy_async_begin(int there, void* shared, const void* global) {
    static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16);
    emulation::copy_later(shared, global, Bytes, there);
}
template <class T>
inline void copy_async_number_if(bool there, T* shared, const T* global) {
    copy_async_begin<sizeof(T)>(there ? static_cast<int>(sizeof(T)) : 0, shared, global);
}
inline void commit_copies() {
    emulation::commit_copies();
}
template <int Still>
inline void wait_for_copies() {
    emulation::wait_for_copies(Still);
}

inline void load_matrices(std::uint32_t (&matrices)[4], const void* shared_row,
                          emulation::Place place = emulation::Place::current()) {
    emulation::load_matrices(matrices, shared_row, false, place);
}
inline void load_matrices_transposed(std::uint32_t (&matrices)[4], const void* shared_row,
                                     emulation::Place place = emulation::Place::current()) {
    emulation::load_matrices(matrices, shared_row, true, place);
}

inline void multiply_add(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1,
                         emulation::Place place = emulation::Place::current()) {
    emulation::multiply_add_16_8_16(c, a, b0, b1, place);
}

inline void publish_to_group_products() {}
inline void begin_group_products() {}
inline void commit_group_products() {
    emulation::commit_group_products();
}
inline std::uint64_t matrix_descriptor(const void* shared, int step) {
    return emulation::matrix_descriptor(shared_address(shared) + static_cast<std::uint32_t>(step) * 32);
}
inline void multiply_add_group(float (&c)[8][4], const std::uint32_t (&a)[4], std::uint64_t b, bool add,
                               emulation::Place place = emulation::Place::current()) {
    emulation::multiply_add_group(c, a, b, add, place);
}
template <int Still>
inline void wait_for_group_products(float (&c)[8][4]) {
    emulation::wait_for_group_products(c, Still);
}

}  // namespace convoy::cuda
