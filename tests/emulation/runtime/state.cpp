#include "runtime/state.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "machine.hpp"
#include "memory.hpp"
#include "symbols.hpp"

namespace emulation {

namespace {

std::uint64_t number_in_environment(const char* name, std::uint64_t otherwise) {
    const char* const words = std::getenv(name);
    return words != nullptr && *words != '\0' ? std::strtoull(words, nullptr, 10) : otherwise;
}

// After one of these a device does nothing more for the process.
bool breaks_the_context(cudaError_t error) {
    return error == cudaErrorECCUncorrectable || error == cudaErrorIllegalAddress || error == cudaErrorLaunchTimeout ||
           error == cudaErrorLaunchFailure;
}

}  // namespace

State::State() {
    devices.count = static_cast<int>(number_in_environment("CONVOY_EMULATED_DEVICES", 1));
    devices.memory = number_in_environment("CONVOY_EMULATED_MEMORY", devices.memory);
    devices.capability = static_cast<int>(number_in_environment("CONVOY_EMULATED_CAPABILITY", 90));
    const char* const when = std::getenv("CONVOY_EMULATION_STREAMS");
    if (when != nullptr && std::strcmp(when, "eager") == 0) streams.when = Streams::eager;
    if (when != nullptr && std::strcmp(when, "shuffled") == 0) streams.when = Streams::shuffled;
    const std::uint64_t seed = number_in_environment("CONVOY_EMULATION_ORDER", 0);
    need_machine().set_order(seed);
    streams.set_order(seed);
}

State& state() {
    static State& one = *new State;  // memory may be freed while the program ends
    return one;
}

cudaError_t result(cudaError_t error) {
    if (error != cudaSuccess && error != cudaErrorNotReady) last_error = error;
    return error;
}

Call::Call(const char* function) : lock_{state().mutex} {
    State& all = state();
    if (all.broken != cudaSuccess) {
        failure_ = all.broken;
    } else if (all.calls_until_failure > 0 && (all.failing_function.empty() || all.failing_function == function) &&
               --all.calls_until_failure == 0) {
        failure_ = all.failure;
        if (breaks_the_context(failure_)) all.broken = failure_;
    } else if (all.devices.count == 0) {
        failure_ = cudaErrorNoDevice;
    }
    if (failure_ != cudaSuccess) result(failure_);
}

bool is_device(int number) {
    return number >= 0 && number < state().devices.count;
}

// 227 KiB on Hopper and its successors for data centres, 163 on the A100, 99 on its smaller relatives.
std::size_t shared_of_block() {
    const int capability = state().devices.capability;
    if (capability == 90 || capability == 100) return most_shared_memory;
    return (capability == 80 || capability == 87 ? 163 : 99) * std::size_t{1024};
}

Queue* queue_of(cudaStream_t stream) {
    if (stream == nullptr || stream == cudaStreamLegacy) return &state().streams.default_of(current_device);
    auto* const queue = reinterpret_cast<Queue*>(stream);
    return state().streams.knows(queue) ? queue : nullptr;
}

Event* event_of(cudaEvent_t event) {
    auto* const known = reinterpret_cast<Event*>(event);
    const auto& events = state().events;
    return std::find(events.begin(), events.end(), known) != events.end() ? known : nullptr;
}

// --- What tests set and ask -----------------------------------------------------------------------------------------

void set_devices(const Devices& devices) {
    const std::lock_guard lock{state().mutex};
    for (int device = 0; device < state().devices.count; ++device) state().streams.drain_device(device);
    state().devices = devices;
    current_device = 0;
    last_error = cudaSuccess;
}

void set_streams(Streams when) {
    const std::lock_guard lock{state().mutex};
    state().streams.when = when;
}

void set_order(std::uint64_t seed) {
    const std::lock_guard lock{state().mutex};
    need_machine().set_order(seed);
    state().streams.set_order(seed);
}

void fail_call(std::int64_t k, cudaError_t error, const std::string& function) {
    const std::lock_guard lock{state().mutex};
    state().calls_until_failure = k;
    state().failure = error;
    state().failing_function = function;
}

void fail_no_call() {
    fail_call(0, cudaSuccess, "");
    state().broken = cudaSuccess;
}

Counters counters() {
    const std::lock_guard lock{state().mutex};
    return state().counters;
}

std::int64_t launches_of(const std::string& kernel) {
    const std::lock_guard lock{state().mutex};
    std::int64_t count = 0;
    for (const auto& [address, launches] : state().launches) {
        if (kernel_at(address).name.find(kernel) != std::string::npos) count += launches;
    }
    return count;
}

void reset_counters() {
    const std::lock_guard lock{state().mutex};
    state().counters = {};
    state().launches.clear();
    for (int device = 0; device < state().devices.count; ++device) memory_use(device).most = memory_use(device).now;
}

std::size_t memory_in_use(int device) {
    const std::lock_guard lock{state().mutex};
    return memory_use(device).now;
}

std::size_t most_memory_in_use(int device) {
    const std::lock_guard lock{state().mutex};
    return memory_use(device).most;
}

std::int64_t work_pending() {
    const std::lock_guard lock{state().mutex};
    return state().streams.pending();
}

}  // namespace emulation
