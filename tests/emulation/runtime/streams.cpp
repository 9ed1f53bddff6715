#include "streams.hpp"

#include "runtime/state.hpp"

using namespace emulation;

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
    return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
    const Call call{"cudaStreamCreate"};
    if (call.fails()) return call.failure();
    Queue& queue = state().streams.create(current_device, flags != cudaStreamNonBlocking);
    *stream = reinterpret_cast<cudaStream_t>(&queue);
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
    return cudaStreamCreateWithFlags(stream, flags);
}

cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
    *least = *greatest = 0;
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    const Call call{"cudaStreamDestroy"};
    if (call.fails()) return call.failure();
    Queue* const queue = queue_of(stream);
    if (queue == nullptr || stream == nullptr) return result(cudaErrorInvalidResourceHandle);
    state().streams.destroy(*queue);
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    const Call call{"cudaStreamSynchronize"};
    if (call.fails()) return call.failure();
    Queue* const queue = queue_of(stream);
    if (queue == nullptr) return result(cudaErrorInvalidResourceHandle);
    state().streams.drain(*queue);
    return cudaSuccess;
}

// Whoever asks again and again gets there: each question lets the stream do one piece of work.
cudaError_t cudaStreamQuery(cudaStream_t stream) {
    const Call call{"cudaStreamQuery"};
    if (call.fails()) return call.failure();
    Queue* const queue = queue_of(stream);
    if (queue == nullptr) return result(cudaErrorInvalidResourceHandle);
    if (queue->empty()) return cudaSuccess;
    queue->step();
    return cudaErrorNotReady;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
    const Call call{"cudaStreamWaitEvent"};
    if (call.fails()) return call.failure();
    Queue* const queue = queue_of(stream);
    const Event* const known = event_of(event);
    if (queue == nullptr || known == nullptr) return result(cudaErrorInvalidResourceHandle);
    if (known->mark != nullptr) state().streams.give(*queue, {}, {known->mark});
    return cudaSuccess;
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
    const Call call{"cudaLaunchHostFunc"};
    if (call.fails()) return call.failure();
    Queue* const queue = queue_of(stream);
    if (queue == nullptr) return result(cudaErrorInvalidResourceHandle);
    state().streams.give(*queue, [=] { function(data); });
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
    return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
    const Call call{"cudaEventCreate"};
    if (call.fails()) return call.failure();
    state().events.push_back(new Event{nullptr, (flags & cudaEventDisableTiming) == 0});
    *event = reinterpret_cast<cudaEvent_t>(state().events.back());
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    const Call call{"cudaEventRecord"};
    if (call.fails()) return call.failure();
    Queue* const queue = queue_of(stream);
    Event* const known = event_of(event);
    if (queue == nullptr || known == nullptr) return result(cudaErrorInvalidResourceHandle);
    known->mark = state().streams.give(*queue, {});
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    const Call call{"cudaEventSynchronize"};
    if (call.fails()) return call.failure();
    const Event* const known = event_of(event);
    if (known == nullptr) return result(cudaErrorInvalidResourceHandle);
    if (known->mark != nullptr) state().streams.reach(MarkPointer{known->mark});
    return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
    const Call call{"cudaEventQuery"};
    if (call.fails()) return call.failure();
    const Event* const known = event_of(event);
    if (known == nullptr) return result(cudaErrorInvalidResourceHandle);
    if (known->mark == nullptr || known->mark->reached) return cudaSuccess;
    known->mark->queue->step();
    return cudaErrorNotReady;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
    const Call call{"cudaEventElapsedTime"};
    if (call.fails()) return call.failure();
    const Event *const first = event_of(from), *const second = event_of(to);
    if (first == nullptr || second == nullptr || first->mark == nullptr || second->mark == nullptr || !first->timed ||
        !second->timed) {
        return result(cudaErrorInvalidResourceHandle);
    }
    if (!first->mark->reached || !second->mark->reached) return cudaErrorNotReady;
    *milliseconds = std::chrono::duration<float, std::milli>(second->mark->when - first->mark->when).count();
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    const Call call{"cudaEventDestroy"};
    if (call.fails()) return call.failure();
    Event* const known = event_of(event);
    if (known == nullptr) return result(cudaErrorInvalidResourceHandle);
    std::erase(state().events, known);
    delete known;
    return cudaSuccess;
}
