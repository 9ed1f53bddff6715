#pragma once
// What a thread of a kernel asks of the block it runs in. The threads of a block are fibers of one system thread: each
// runs until it must wait for others.

#include <cstddef>
#include <cstdint>
#include <source_location>

#include "vector_types.h"

// As in CUDA. Written at every change of thread; nothing else may write them.
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
constexpr int warpSize = 32;

namespace emulation {

using Place = std::source_location;

// Every 16 bits of it are a NaN as fp16, any four bytes as fp32, any eight as fp64; as an index it is far out of range.
constexpr std::uint16_t garbage = 0x7ff7;
void fill_with_garbage(void* memory, std::size_t bytes);

// Ends the program, naming the kernel, block and thread that runs.
[[noreturn]] void fault(const char* format, ...) __attribute__((format(printf, 1, 2)));

// Until all threads of the block are here; returns in how many `predicate` was true.
int block_barrier(bool predicate, Place place);
// Likewise the lanes of the mask that have not returned.
void warp_barrier(unsigned mask, Place place);

// Until all lanes of the mask that have not returned are here. Then `finish` is called once, with what each lane gave
// as `mine` (null for lanes that are not there), and all go on.
void warp_collective(const char* what, unsigned mask, void* mine, void (*finish)(void* const* lanes), Place place);
constexpr unsigned whole_warp = 0xffffffffu;

extern int lane_of_warp;  // written as threadIdx is
unsigned lanes_alive();   // of this warp: that have not returned

// The block's dynamic shared memory; where in it an address is.
unsigned char* shared_memory();
std::uint32_t shared_offset(const void* shared);
bool is_shared(const void* memory);  // dynamic or static
// Ends the program if these bytes are not wholly in shared, or device, memory, or not aligned so.
void check_shared(const void* memory, std::size_t bytes, std::size_t alignment, const char* what);
void check_device(const void* memory, std::size_t bytes, std::size_t alignment, const char* what);

// A copy of this thread from device to shared memory that is not made before wait_for_copies() says so: of the first
// `there` of `bytes`; zeros take the others' place.
void copy_later(void* shared, const void* global, std::size_t bytes, int there);
// An atomic operation is about to be done there.
void note_atomic(const void* memory, std::size_t bytes);

void commit_copies();
void wait_for_copies(int still);

}  // namespace emulation
