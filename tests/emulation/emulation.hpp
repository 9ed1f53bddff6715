#pragma once
// Devices without a device: what a test sets and asks of the emulation of CUDA on the CPU. Kernels and the code that
// launches them are compiled, as they are, against the headers in include/ and run here, one thread after the other.
//
// What a program must not do ends it, with a message on standard error: touching memory that is not its own, barriers
// that some threads never reach, collectives whose lanes disagree, misaligned vectors. What would be undetermined on a
// device is made visible: memory begins as NaN, copies happen as late as they may, and the order of threads, blocks and
// streams is the test's to choose.
//
// Environment: CONVOY_EMULATED_DEVICES (1), CONVOY_EMULATED_MEMORY (bytes of each, 2^30), CONVOY_EMULATED_CAPABILITY
// (90), CONVOY_EMULATION_STREAMS (lazy, eager, shuffled), CONVOY_EMULATION_ORDER (a seed; 0 is the natural order).

#include <cuda_runtime.h>

#include <cstdint>
#include <string>

namespace emulation {

struct Devices {
    int count = 1;
    std::size_t memory = std::size_t{1} << 30;  // bytes of each
    int capability = 90;                        // 10 major + minor
    int multiprocessors = 4;
};
// From the next call of the runtime on. Everything that is on a device now must have been freed.
void set_devices(const Devices& devices);

// When work that was given to a stream is done.
enum class Streams {
    lazy,     // when somebody waits for it, and nothing more than that needs
    eager,    // at once
    shuffled  // now and then, by chance (the seed of set_order)
};
void set_streams(Streams when);

// Seeds the order in which threads take turns, blocks run and streams go on. 0: as they are numbered.
void set_order(std::uint64_t seed);

// The k-th call from now (k = 1: the next) returns `error` and does nothing; of one function if it is named
// ("cudaMalloc"), else of any. After an error that a device does not recover from (an illegal address, a failed launch)
// all later calls return it, too.
void fail_call(std::int64_t k, cudaError_t error, const std::string& function = "");
void fail_no_call();  // from now on, and all is well again

struct Counters {
    std::int64_t launches = 0, blocks = 0;
    std::int64_t bytes_to_device = 0, bytes_to_host = 0, bytes_on_device = 0;  // copied
    std::int64_t allocations = 0;                                              // of device memory
    std::size_t most_shared = 0;                                               // bytes of one block, dynamic
};
Counters counters();  // since the last reset; work that is still to be done is not in it
std::int64_t launches_of(const std::string& kernel);  // those whose name contains this
void reset_counters();

std::size_t memory_in_use(int device = 0);
std::size_t most_memory_in_use(int device = 0);  // since the last reset
std::int64_t work_pending();                     // given to streams and not done yet

}  // namespace emulation
