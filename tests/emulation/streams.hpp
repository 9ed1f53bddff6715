#pragma once
// Work that was given to streams, and when it is done: no sooner than somebody waits for it (or as the test chose), and
// then in any order that streams and events allow.

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "emulation.hpp"

namespace emulation {

class Queue;

// The end of a piece of work.
struct Mark {
    Queue* queue = nullptr;
    bool reached = false;
    std::chrono::steady_clock::time_point when;
};
using MarkPointer = std::shared_ptr<Mark>;

struct Bytes {
    const unsigned char* begin = nullptr;
    std::size_t count = 0;
};

struct Work {
    std::function<void()> run;
    std::vector<MarkPointer> after;
    MarkPointer end;
    std::vector<Bytes> host;  // memory of the host that it reads or writes
};

// A stream.
class Queue {
 public:
    Queue(int device, bool blocking) : device_{device}, blocking_{blocking} {}
    int device() const { return device_; }
    bool waits_for_default() const { return blocking_; }
    bool empty() const { return work_.empty(); }
    const std::deque<Work>& work() const { return work_; }
    const MarkPointer& last() const { return last_; }
    void push(Work work);
    void step();  // does the first piece of work, and before it what that has to wait for

 private:
    int device_;
    bool blocking_;
    std::deque<Work> work_;
    MarkPointer last_;
};

// All streams. `default_of` a device waits for its blocking streams, and they for it.
class AllStreams {
 public:
    Queue& create(int device, bool blocking);
    void destroy(Queue& queue);  // its work is still done
    Queue& default_of(int device);
    bool knows(const Queue* queue) const;

    MarkPointer give(Queue& queue, std::function<void()> run, std::vector<MarkPointer> after = {},
                     std::vector<Bytes> host = {});
    void reach(const MarkPointer& mark);
    void drain(Queue& queue);
    void drain_device(int device);
    bool touches(Bytes host) const;  // work that is still to be done
    std::int64_t pending() const;

    Streams when = Streams::lazy;
    void set_order(std::uint64_t seed) { seed_ = seed; }

 private:
    void go_on_by_chance();
    void forget_destroyed();
    struct Entry {
        std::unique_ptr<Queue> queue;
        bool destroyed = false;
    };
    std::vector<Entry> entries_;
    std::vector<Queue*> defaults_;
    std::uint64_t seed_ = 0;
};

}  // namespace emulation
