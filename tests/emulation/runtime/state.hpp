#pragma once
// What the functions of the runtime share.

#include <cuda_runtime_api.h>

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "emulation.hpp"
#include "streams.hpp"

namespace emulation {

constexpr std::size_t shared_without_asking = 48 * 1024;

struct Event {
    MarkPointer mark;  // of the last record
    bool timed = true;
};

struct State {
    std::recursive_mutex mutex;
    Devices devices;
    AllStreams streams;
    std::vector<Event*> events;
    std::map<const void*, std::size_t> shared_allowed;  // of kernels that asked for more
    std::map<const void*, std::int64_t> launches;
    Counters counters;
    std::int64_t calls_until_failure = 0;  // 0: none
    cudaError_t failure = cudaSuccess;
    std::string failing_function;
    cudaError_t broken = cudaSuccess;  // what all calls return from now on

    State();
};
State& state();

// Of the host's thread that calls.
inline thread_local cudaError_t last_error = cudaSuccess;
inline thread_local int current_device = 0;

// What a function returns: remembered for cudaGetLastError().
cudaError_t result(cudaError_t error);

// Every function that can fail begins so.
class Call {
 public:
    explicit Call(const char* function);
    bool fails() const { return failure_ != cudaSuccess; }
    cudaError_t failure() const { return failure_; }

 private:
    std::lock_guard<std::recursive_mutex> lock_;
    cudaError_t failure_ = cudaSuccess;
};

bool is_device(int number);
std::size_t shared_of_block();         // what one may ask for
Queue* queue_of(cudaStream_t stream);  // null: there is none
Event* event_of(cudaEvent_t event);

}  // namespace emulation
