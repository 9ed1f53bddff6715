#pragma once
// Every access of a kernel to shared and device memory, where the kernels were compiled for it (watch.cpp): what two
// threads touch without a barrier between them, what nobody wrote, what an asynchronous copy has still to fill.

#include <cstddef>
#include <cstdint>

namespace emulation {

class Watch {
 public:
    virtual ~Watch() = default;

    virtual void begin_kernel() = 0;
    virtual void begin_block() = 0;
    virtual void end_kernel() = 0;
    virtual void block_barrier() = 0;
    virtual void warp_barrier(unsigned warp) = 0;
    virtual void warp_meeting(unsigned warp) = 0;  // a barrier, too, or a collective
    // Of the thread that runs. `caller`: an address in the code.
    virtual void reads(const void* memory, std::size_t bytes, const void* caller) = 0;
    virtual void updates(const void* memory, std::size_t bytes, const void* caller) = 0;  // atomically
    virtual void begin_copy(const void* to, std::size_t bytes, const void* caller) = 0;
    virtual void end_copy(const void* to, std::size_t bytes, const void* caller) = 0;
    // By a copy, or clearing, that a stream did.
    virtual void written_by_stream(const void* memory, std::size_t bytes) = 0;
    virtual void freed(const void* memory, std::size_t bytes) = 0;
};

// Null where kernels were not compiled for it.
inline Watch* watch = nullptr;

}  // namespace emulation
