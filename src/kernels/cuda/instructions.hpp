#pragma once
// What the kernels take from the machine and C++ has no word for, one function an instruction (PTX ISA 8.0, sm_80 on).
// The kernels hold no assembly of their own.

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

namespace convoy::cuda {

// The block's dynamic shared memory, 128-byte aligned.
__device__ inline unsigned char* dynamic_shared() {
    extern __shared__ __align__(128) unsigned char memory[];
    return memory;
}

// threadIdx.x, read anew: what is computed from it does not stay in registers from one use to the next.
__device__ inline unsigned thread_index() {
    unsigned index;
    asm volatile("mov.u32 %0, %%tid.x;" : "=r"(index));
    return index;
}

// 2^t to 2 ulp; results and arguments below 2^-126 are 0. One of the 16 special functions a clock and multiprocessor.
__device__ inline float ex2(float t) {
    float result;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(t));
    return result;
}

// The larger and the smaller of two numbers; nan where one is nan.
__device__ inline float larger_or_nan(float a, float b) {
    float result;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
    return result;
}
__device__ inline float smaller_or_nan(float a, float b) {
    float result;
    asm("min.NaN.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
    return result;
}

// To 1 ulp; 0 below 2^-126. The exact one takes ten instructions and a branch.
__device__ inline float square_root(float a) {
    float result;
    asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(a));
    return result;
}

__device__ inline std::uint32_t shared_address(const void* shared) {
    return static_cast<std::uint32_t>(__cvta_generic_to_shared(shared));
}

// 16 bytes from global to shared memory, past the registers; both addresses are multiples of 16. Complete for this
// thread after wait_for_copies(), for the block after a barrier that follows it.
__device__ inline void copy_async_16(void* shared, const void* global) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(shared)), "l"(global) : "memory");
}
// Zeros where it is not `there`; `global` must be readable then, too.
__device__ inline void copy_async_16_if(bool there, void* shared, const void* global) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global),
                 "r"(there ? 16 : 0)
                 : "memory");
}
// Likewise 4, 8 or 16 bytes, of which the first `there` (0 to all) are copied and zeros stand behind them; addresses
// are multiples of Bytes, and `global` must be readable also where nothing is there.
template <int Bytes>
__device__ inline void copy_async_begin(int there, void* shared, const void* global) {
    if constexpr (Bytes == 16) {
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global),
                     "r"(there)
                     : "memory");
    } else {
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared_address(shared)), "l"(global),
                     "n"(Bytes), "r"(there)
                     : "memory");
    }
}
// One number, 0 where it is not `there`.
template <class T>
__device__ inline void copy_async_number_if(bool there, T* shared, const T* global) {
    copy_async_begin<sizeof(T)>(there ? static_cast<int>(sizeof(T)) : 0, shared, global);
}
// The copies since the last commit become a group.
__device__ inline void commit_copies() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}
// All groups but the newest `Still`.
template <int Still>
__device__ inline void wait_for_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(Still) : "memory");
}

// Four 8 x 8 matrices of fp16: lane 8 q + r gives the address of row r of matrix q (16 bytes, in shared memory); lane l
// gets, in matrix q, columns 2 (l mod 4) and one more of row l / 4 (the PTX manual's fragment layout).
__device__ inline void load_matrices(std::uint32_t (&matrices)[4], const void* shared_row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(matrices[0]), "=r"(matrices[1]), "=r"(matrices[2]), "=r"(matrices[3])
                 : "r"(shared_address(shared_row))
                 : "memory");
}
// Likewise, each matrix transposed.
__device__ inline void load_matrices_transposed(std::uint32_t (&matrices)[4], const void* shared_row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(matrices[0]), "=r"(matrices[1]), "=r"(matrices[2]), "=r"(matrices[3])
                 : "r"(shared_address(shared_row))
                 : "memory");
}

// c (16 x 8, fp32) += a (16 x 16, fp16) b (16 x 8, fp16): mma.m16n8k16, a row-major, b column-major. Lane l = 4 r + q
// holds c: rows r and r + 8, columns 2 q and 2 q + 1.
__device__ inline void multiply_add(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

}  // namespace convoy::cuda
