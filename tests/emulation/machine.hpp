#pragma once
// One multiprocessor: runs the blocks of a kernel, one after the other.

#include <cuda_runtime_api.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "chance.hpp"
#include "emulation/block.hpp"
#include "fiber.hpp"
#include "symbols.hpp"

namespace emulation {

struct Launch {
    const void* kernel = nullptr;
    dim3 blocks, threads;
    std::size_t shared = 0;
    std::function<void()> body;  // what one thread does
};

constexpr std::size_t most_shared_memory = 227 * 1024;
constexpr unsigned most_threads = 1024;

// A copy to shared memory that was asked for and not made.
struct Copy {
    unsigned char* to = nullptr;
    const void* from = nullptr;
    std::size_t bytes = 0, there = 0;
    int group = 0;
};

struct Thread {
    unsigned number = 0;
    uint3 index{};
    Fiber* fiber = nullptr;
    const char* waits_at = nullptr;  // null: it runs, may run, or returned
    Place place;
    bool returned = false;
    std::vector<Copy> copies;
    int copy_group = 0;  // the one that is being filled
};

// Lanes of a warp that are at one instruction.
struct Gathering {
    const char* what = nullptr;
    unsigned mask = 0, here = 0;
    Place place;
    void* lanes[32] = {};
    void (*finish)(void* const*) = nullptr;
};

struct Warp {
    unsigned alive = 0;
    std::vector<Gathering> gatherings;  // the first `open` of them are under way; their masks are disjoint
    std::size_t open = 0;
};

// Threads in the order in which they go on.
class Ready {
 public:
    bool empty() const { return first_ == end_; }
    void push(Thread* thread) { threads_[end_++ % threads_.size()] = thread; }
    Thread* pop() { return threads_[first_++ % threads_.size()]; }

 private:
    std::array<Thread*, most_threads> threads_{};
    unsigned first_ = 0, end_ = 0;
};

class Machine {
 public:
    Machine();
    void run(const Launch& launch);

    // Of the thread that runs.
    Thread& thread() { return *thread_; }
    Warp& warp() { return warps_[thread_->number / 32]; }
    int barrier(bool predicate, Place place);
    void gather(const char* what, unsigned mask, void* mine, void (*finish)(void* const*), Place place);

    // Of the block that runs.
    unsigned char* shared() const { return shared_; }
    std::size_t shared_bytes() const { return running() ? launch_->shared : 0; }
    bool running() const { return launch_ != nullptr; }
    bool is_shared(const unsigned char* memory) const {
        const auto in = [&](const unsigned char* begin, std::size_t bytes) {
            return memory >= begin && memory < begin + bytes;
        };
        return running() && (in(shared_, launch_->shared) ||
                             std::any_of(kernel_->shared.begin(), kernel_->shared.end(),
                                         [&](const auto& variable) { return in(variable.begin, variable.bytes); }));
    }
    std::string where() const;  // kernel, block, thread
    void set_order(std::uint64_t seed) {
        seed_ = seed;
        chance_ = Chance{seed};
    }

 private:
    void run_block();
    void begin_block();
    void end_block();
    [[noreturn]] void report_standstill();
    static void work();
    void start(Thread& thread);
    void wait(const char* what, Place place);
    void release();  // those in released_
    void finish(Warp& warp, std::size_t gathering);
    void become(Thread& thread);
    Fiber& idle_fiber();
    Fiber& next();

    const Launch* launch_ = nullptr;
    const Kernel* kernel_ = nullptr;
    Thread* thread_ = nullptr;
    std::vector<Thread> threads_;
    std::vector<Warp> warps_;
    std::vector<unsigned> order_;
    std::size_t started_ = 0;  // of order_
    Ready ready_;
    std::vector<Thread*> released_;
    unsigned returned_ = 0;

    unsigned at_barrier_ = 0;
    int predicates_ = 0, counted_ = 0;
    Place barrier_;

    // Each runs threads, one after the other, each to its end. A thread that has to wait keeps its fiber, and the next
    // begins on another; where no thread ever waits there is one.
    std::vector<std::unique_ptr<Fiber>> fibers_;
    std::vector<Fiber*> idle_;
    Fiber host_;

    unsigned char* shared_pages_ = nullptr;
    unsigned char* shared_ = nullptr;
    std::uint64_t seed_ = 0;
    Chance chance_{0};
};

// The one there is: made when it is first wanted, never destroyed, as objects that outlive main() may free memory.
extern Machine* the_machine;
inline Machine& need_machine() {
    if (the_machine == nullptr) the_machine = new Machine;
    return *the_machine;
}

}  // namespace emulation
