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

// --- Hopper's products of four warps: for kernels compiled for sm_90a only
// ------------------------------------------------

// What this thread has written to shared memory, with stores or copies that are complete, may be read by group products
// after a barrier.
__device__ inline void publish_to_group_products() {
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
// Before the first group product, and where registers of one have been used for something else.
__device__ inline void begin_group_products() {
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ inline void commit_group_products() {
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

// A matrix of 16-bit numbers in shared memory, its rows 128 bytes of consecutive k, row beside row from a multiple of
// 1024 bytes on, of which unit u (16 bytes) of row r lies at u ^ (r mod 8). `step`: from which multiple of 16 k on.
__device__ inline std::uint64_t matrix_descriptor(const void* shared, int step) {
    const std::uint64_t address = shared_address(shared) + static_cast<std::uint32_t>(step) * 32;
    constexpr std::uint64_t swizzle_of_128_bytes = std::uint64_t{1} << 62, eight_rows = std::uint64_t{1024 / 16} << 32;
    return swizzle_of_128_bytes | eight_rows | std::uint64_t{1} << 16 | address >> 4;
}

// c (64 x 64, fp32) = a (64 x 16, fp16) b^T (b 64 x 16, fp16), or that added to c: wgmma.m64n64k16, asynchronous. Of
// the four warps each holds 16 rows: a as multiply_add() has it, c[n] of columns 8 n to 8 n + 7 likewise. Until
// wait_for_group_products() c and the registers of a are not to be touched, b is not to be overwritten.
__device__ inline void multiply_add_group(float (&c)[8][4], const std::uint32_t (&a)[4], std::uint64_t b, bool add) {
    asm volatile(
        "{\n"
        ".reg .pred add;\n"
        "setp.ne.b32 add, %37, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 "
        "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "
        "{%32, %33, %34, %35}, %36, add, 1, 1, 0;\n"
        "}"
        : "+f"(c[0][0]), "+f"(c[0][1]), "+f"(c[0][2]), "+f"(c[0][3]), "+f"(c[1][0]), "+f"(c[1][1]), "+f"(c[1][2]),
          "+f"(c[1][3]), "+f"(c[2][0]), "+f"(c[2][1]), "+f"(c[2][2]), "+f"(c[2][3]), "+f"(c[3][0]), "+f"(c[3][1]),
          "+f"(c[3][2]), "+f"(c[3][3]), "+f"(c[4][0]), "+f"(c[4][1]), "+f"(c[4][2]), "+f"(c[4][3]), "+f"(c[5][0]),
          "+f"(c[5][1]), "+f"(c[5][2]), "+f"(c[5][3]), "+f"(c[6][0]), "+f"(c[6][1]), "+f"(c[6][2]), "+f"(c[6][3]),
          "+f"(c[7][0]), "+f"(c[7][1]), "+f"(c[7][2]), "+f"(c[7][3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(add ? 1 : 0)
        : "memory");
}
// Until all committed group products but those of the newest `Still` commits are complete, that of c among them: from
// here on c can be read.
template <int Still>
__device__ inline void wait_for_group_products(float (&c)[8][4]) {
    asm volatile("wgmma.wait_group.sync.aligned %32;"
                 : "+f"(c[0][0]), "+f"(c[0][1]), "+f"(c[0][2]), "+f"(c[0][3]), "+f"(c[1][0]), "+f"(c[1][1]),
                   "+f"(c[1][2]), "+f"(c[1][3]), "+f"(c[2][0]), "+f"(c[2][1]), "+f"(c[2][2]), "+f"(c[2][3]),
                   "+f"(c[3][0]), "+f"(c[3][1]), "+f"(c[3][2]), "+f"(c[3][3]), "+f"(c[4][0]), "+f"(c[4][1]),
                   "+f"(c[4][2]), "+f"(c[4][3]), "+f"(c[5][0]), "+f"(c[5][1]), "+f"(c[5][2]), "+f"(c[5][3]),
                   "+f"(c[6][0]), "+f"(c[6][1]), "+f"(c[6][2]), "+f"(c[6][3]), "+f"(c[7][0]), "+f"(c[7][1]),
                   "+f"(c[7][2]), "+f"(c[7][3])
                 : "n"(Still)
                 : "memory");
}

}  // namespace convoy::cuda
