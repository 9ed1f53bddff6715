#pragma once
// Hopper's asynchronous products of four warps (wgmma). Between the instruction and the wait for it the sums are
// garbage; a matrix in shared memory that has changed by then ends the program. That the four warps go together, and
// the fences between proxies, are not looked at.

#include <cstdint>

#include "emulation/block.hpp"

namespace emulation {

// PTX manual, "Matrix Descriptor Format": rows of 128 bytes with the swizzle of that width, eight rows every 1024
// bytes.
constexpr std::uint64_t matrix_descriptor(std::uint32_t address) {
    return std::uint64_t{1} << 62 | std::uint64_t{1024 / 16} << 32 | std::uint64_t{1} << 16 | address / 16;
}

// wgmma.m64n64k16, fp16 in, fp32 out, a in registers, b^T named by a descriptor.
void multiply_add_group(float (&c)[8][4], const std::uint32_t (&a)[4], std::uint64_t b, bool add, Place place);
void commit_group_products();
void wait_for_group_products(float (&c)[8][4], int still);

}  // namespace emulation
