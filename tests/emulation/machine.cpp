#include "machine.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "emulation/block.hpp"
#include "fiber.hpp"
#include "memory.hpp"
#include "symbols.hpp"
#include "watch.hpp"

uint3 threadIdx{}, blockIdx{};
dim3 blockDim{}, gridDim{};

namespace emulation {

int lane_of_warp = 0;

namespace {

// A stack and what runs on it: threads, one after the other, each to its end. One that has to wait keeps its worker,
// and the next begins on another; where no thread ever waits there is one worker.
struct Worker {
    Fiber fiber;
};

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
    Worker* worker = nullptr;
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

bool same(const Place& a, const Place& b) {
    if (a.line() != b.line()) return false;
    return a.file_name() == b.file_name() || std::strcmp(a.file_name(), b.file_name()) == 0;
}

constexpr std::size_t page = 4096;
constexpr unsigned char guard = 0xa5;

class Machine {
 public:
    Machine();
    void run(const Launch& launch);

    Thread& thread() { return *thread_; }
    Warp& warp() { return warps_[thread_->number / 32]; }
    int barrier(bool predicate, Place place);
    void gather(const char* what, unsigned mask, void* mine, void (*finish)(void* const*), Place place);

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
    std::string where() const;
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
    Worker& idle_worker();
    Fiber& next();

    const Launch* launch_ = nullptr;
    const Kernel* kernel_ = nullptr;
    unsigned block_ = 0;
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

    std::vector<std::unique_ptr<Worker>> workers_;
    std::vector<Worker*> idle_;
    Fiber host_;

    unsigned char* shared_pages_ = nullptr;
    unsigned char* shared_ = nullptr;
    static constexpr std::size_t shared_page_bytes = (most_shared_memory + 2 * page) / page * page;
    std::uint64_t seed_ = 0;
    Chance chance_{0};
};

void check_alignment(const void* memory, std::size_t alignment, const char* what) {
    if (reinterpret_cast<std::uintptr_t>(memory) % alignment == 0) return;
    fault("%s: %s is at no multiple of %zu bytes", what, place_of(memory).c_str(), alignment);
}

// Made when it is first wanted, never destroyed: objects that outlive main() may free memory. What kernels call does
// not look whether there is one.
Machine* the_machine = nullptr;
Machine& machine() {
    return *the_machine;
}
void need_machine() {
    if (the_machine == nullptr) the_machine = new Machine;
}

Machine::Machine() : shared_pages_{guarded_pages(shared_page_bytes)} {
    std::memset(shared_pages_, guard, shared_page_bytes);
}

std::string Machine::where() const {
    if (!running()) return "outside of kernels";
    std::string words = "kernel " + kernel_->name + ", block (" + std::to_string(blockIdx.x) + ", " +
                        std::to_string(blockIdx.y) + ", " + std::to_string(blockIdx.z) + ")";
    if (thread_ != nullptr) {
        words += ", thread (" + std::to_string(threadIdx.x) + ", " + std::to_string(threadIdx.y) + ", " +
                 std::to_string(threadIdx.z) + ")";
    }
    return words;
}

// --- Blocks
// -----------------------------------------------------------------------------------------------------------

void Machine::run(const Launch& launch) {
    const FaultsInWords faults;
    launch_ = &launch;
    kernel_ = &kernel_at(launch.kernel);
    blockDim = launch.threads;
    gridDim = launch.blocks;
    const unsigned n = launch.threads.x * launch.threads.y * launch.threads.z;
    threads_.resize(n);
    for (unsigned i = 0; i < n; ++i) {
        threads_[i].number = i;
        threads_[i].index = {i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y};
    }
    warps_.resize((n + 31) / 32);
    order_.resize(n);
    std::iota(order_.begin(), order_.end(), 0u);
    shared_ = shared_pages_ + shared_page_bytes - (launch.shared + 127) / 128 * 128;

    if (watch != nullptr) watch->begin_kernel();
    const std::uint64_t all = std::uint64_t{gridDim.x} * gridDim.y * gridDim.z;
    std::vector<std::uint32_t> blocks(all);
    std::iota(blocks.begin(), blocks.end(), 0u);
    if (seed_ != 0) {
        for (std::size_t i = all; i > 1; --i) std::swap(blocks[i - 1], blocks[chance_.below(static_cast<unsigned>(i))]);
    }
    for (const std::uint32_t block : blocks) {
        block_ = block;
        blockIdx = {block % gridDim.x, block / gridDim.x % gridDim.y, block / gridDim.x / gridDim.y};
        run_block();
    }
    if (watch != nullptr) watch->end_kernel();
    std::memset(shared_, guard, launch.shared);  // the next launch's may begin elsewhere
    check_guards("kernel " + kernel_->name);
    launch_ = nullptr;
}

void Machine::run_block() {
    begin_block();
    switch_fibers(host_, next());
    thread_ = nullptr;
    if (returned_ != threads_.size()) report_standstill();
    end_block();
}

void Machine::begin_block() {
    if (watch != nullptr) watch->begin_block();
    fill_with_garbage(shared_, launch_->shared);
    for (const auto& variable : kernel_->shared) fill_with_garbage(variable.begin, variable.bytes);
    const auto n = static_cast<unsigned>(threads_.size());
    if (seed_ != 0) {
        for (unsigned i = n; i > 1; --i) std::swap(order_[i - 1], order_[chance_.below(i)]);
    }
    started_ = 0;
    returned_ = 0;
    at_barrier_ = 0;
    predicates_ = 0;
    for (Thread& thread : threads_) {
        thread.returned = false;
        thread.waits_at = nullptr;
        thread.copies.clear();
        thread.copy_group = 0;
    }
    for (unsigned w = 0; w < warps_.size(); ++w) {
        const unsigned lanes = std::min(n - 32 * w, 32u);
        warps_[w].alive = lanes == 32 ? whole_warp : (1u << lanes) - 1;
        warps_[w].open = 0;
    }
}

void Machine::end_block() {
    const unsigned char* const end = shared_pages_ + shared_page_bytes;
    const auto is_guard = [](unsigned char byte) { return byte == guard; };
    const unsigned char* const low = shared_ - std::min<std::ptrdiff_t>(shared_ - shared_pages_, page);
    const unsigned char* wrong = std::find_if_not(low, static_cast<const unsigned char*>(shared_), is_guard);
    if (wrong != shared_) fault("something wrote %td bytes before the block's shared memory", shared_ - wrong);
    wrong = std::find_if_not(static_cast<const unsigned char*>(shared_) + launch_->shared, end, is_guard);
    if (wrong != end) {
        fault("something wrote %td bytes past the end of the block's %zu bytes of shared memory",
              wrong - shared_ - static_cast<std::ptrdiff_t>(launch_->shared), launch_->shared);
    }
}

void Machine::report_standstill() {
    std::string words;
    unsigned told = 0;
    std::vector<bool> seen(threads_.size());
    for (const Thread& thread : threads_) {
        if (seen[thread.number] || thread.returned || ++told > 4) continue;
        unsigned alike = 0;
        for (const Thread& other : threads_) {
            if (other.returned || other.waits_at != thread.waits_at || !same(other.place, thread.place)) continue;
            ++alike;
            seen[other.number] = true;
        }
        words += std::string{words.empty() ? "" : "; "} + std::to_string(alike) + " wait at " + thread.waits_at + " (" +
                 thread.place.file_name() + ":" + std::to_string(thread.place.line()) + "), the first is thread " +
                 std::to_string(thread.number);
    }
    fault("diverged: of %zu threads %u returned; %s", threads_.size(), returned_, words.c_str());
}

// --- Taking turns
// -----------------------------------------------------------------------------------------------------

Worker& Machine::idle_worker() {
    if (idle_.empty()) {
        workers_.push_back(std::make_unique<Worker>());
        Worker& fresh = *workers_.back();
        unsigned char* const stack = guarded_pages(stack_bytes);
        // Tops of stacks that lie a multiple of pages apart would all compete for a few lines of the cache.
        const std::size_t used = stack_bytes - workers_.size() % 64 * 64 * 5;
        fresh.fiber = make_fiber(stack, used, &Machine::work);
        idle_.push_back(&fresh);
    }
    return *idle_.back();
}

// Where to go on when the thread that ran waits or has returned.
Fiber& Machine::next() {
    const bool may_start = started_ < order_.size();
    const bool starts = may_start && (ready_.empty() || (seed_ != 0 && chance_.below(2) == 0));
    if (starts) return idle_worker().fiber;
    if (ready_.empty()) return host_;
    thread_ = ready_.pop();
    return thread_->worker->fiber;
}

void Machine::work() {
    Machine& self = machine();
#if defined(__SANITIZE_ADDRESS__)
    detail::arrive(self.idle_.back()->fiber);
#endif
    for (;;) {
        // The host, or a thread that waits, came here because there is one to start; this worker is the last idle one.
        Worker* const worker = self.idle_.back();
        self.idle_.pop_back();
        while (self.started_ < self.order_.size()) {
            Thread& thread = self.threads_[self.order_[self.started_++]];
            thread.worker = worker;
            self.start(thread);
            // Threads that wait for nothing any more go first: fewer stacks are in use then.
            if (!self.ready_.empty()) break;
        }
        self.idle_.push_back(worker);
        Fiber& to = self.next();
        if (&to != &worker->fiber) switch_fibers(worker->fiber, to);
    }
}

void Machine::become(Thread& thread) {
    thread_ = &thread;
    threadIdx = thread.index;
    lane_of_warp = static_cast<int>(thread.number % 32);
}

void Machine::start(Thread& thread) {
    become(thread);
    launch_->body();
    // What it ran on is what it waited on: a thread keeps its worker to the end.
    Thread& ended = *thread_;
    ended.returned = true;
    ++returned_;
    Warp& warp = warps_[ended.number / 32];
    warp.alive &= ~(1u << ended.number % 32);
    for (std::size_t g = warp.open; g-- > 0;) {
        if ((warp.gatherings[g].here & warp.alive) == (warp.gatherings[g].mask & warp.alive)) finish(warp, g);
    }
}

void Machine::wait(const char* what, Place place) {
    Thread& self = *thread_;
    self.waits_at = what;
    self.place = place;
    switch_fibers(self.worker->fiber, next());
    become(self);
}

void Machine::release() {
    if (seed_ != 0) {
        for (std::size_t i = released_.size(); i > 1; --i) {
            std::swap(released_[i - 1], released_[chance_.below(static_cast<unsigned>(i))]);
        }
    }
    for (Thread* thread : released_) {
        thread->waits_at = nullptr;
        ready_.push(thread);
    }
    released_.clear();
}

// --- Waiting for each other
// -------------------------------------------------------------------------------------------

int Machine::barrier(bool predicate, Place place) {
    if (at_barrier_ == 0) {
        barrier_ = place;
        predicates_ = 0;
    } else if (!same(barrier_, place)) {
        fault("diverged: other threads are at the barrier of %s:%u, this one at that of %s:%u", barrier_.file_name(),
              static_cast<unsigned>(barrier_.line()), place.file_name(), static_cast<unsigned>(place.line()));
    }
    predicates_ += predicate ? 1 : 0;
    if (++at_barrier_ < threads_.size()) {
        wait("a barrier", place);
        return counted_;
    }
    if (watch != nullptr) watch->block_barrier();
    at_barrier_ = 0;
    counted_ = predicates_;
    for (const unsigned number : order_) {
        if (&threads_[number] != thread_) released_.push_back(&threads_[number]);
    }
    release();
    return counted_;
}

void Machine::gather(const char* what, unsigned mask, void* mine, void (*finisher)(void* const*), Place place) {
    Warp& of = warp();
    const unsigned self = 1u << thread_->number % 32;
    if ((mask & self) == 0)
        fault("%s: the mask %08x leaves out lane %u, which is there", what, mask, thread_->number % 32);
    std::size_t g = 0;
    while (g < of.open && (of.gatherings[g].mask & mask) == 0) ++g;
    if (g == of.open) {
        if (++of.open > of.gatherings.size()) of.gatherings.emplace_back();
        Gathering& fresh = of.gatherings[g];
        fresh.what = what;
        fresh.mask = mask;
        fresh.here = 0;
        fresh.place = place;
        fresh.finish = finisher;
    }
    Gathering& gathering = of.gatherings[g];
    const bool same_thing = gathering.what == what || std::strcmp(gathering.what, what) == 0;
    if (gathering.mask != mask || !same_thing) {
        fault("lanes of a warp disagree: one is at %s with mask %08x (%s:%u), another at %s with mask %08x (%s:%u)",
              gathering.what, gathering.mask, gathering.place.file_name(),
              static_cast<unsigned>(gathering.place.line()), what, mask, place.file_name(),
              static_cast<unsigned>(place.line()));
    }
    gathering.here |= self;
    gathering.lanes[thread_->number % 32] = mine;
    if (gathering.here != (mask & of.alive)) {
        wait(what, place);
        return;
    }
    finish(of, g);
}

void Machine::finish(Warp& warp, std::size_t g) {
    Gathering& gathering = warp.gatherings[g];
    for (unsigned absent = ~gathering.here; absent != 0; absent &= absent - 1) {
        gathering.lanes[std::countr_zero(absent)] = nullptr;
    }
    gathering.finish(gathering.lanes);
    if (watch != nullptr) watch->warp_meeting(static_cast<unsigned>(&warp - warps_.data()));
    Thread* const first = &threads_[static_cast<std::size_t>(&warp - warps_.data()) * 32];
    for (unsigned lanes = gathering.here; lanes != 0; lanes &= lanes - 1) {
        Thread* const thread = first + std::countr_zero(lanes);
        if (thread != thread_) released_.push_back(thread);
    }
    if (g != --warp.open) gathering = warp.gatherings[warp.open];
    release();
}

}  // namespace

void run(const Launch& launch) {
    need_machine();
    machine().run(launch);
}

void set_order_of_threads(std::uint64_t seed) {
    need_machine();
    machine().set_order(seed);
}

// --- What threads ask for (emulation/block.hpp)
// -----------------------------------------------------------------------

void fault(const char* format, ...) {
    char words[1500];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    std::fflush(stdout);
    const std::string where = the_machine != nullptr ? machine().where() : "outside of kernels";
    std::fprintf(stderr, "emulated CUDA: %s\n    in %s\n", words, where.c_str());
    std::abort();
}

void fill_with_garbage(void* memory, std::size_t bytes) {
    auto* const begin = static_cast<unsigned char*>(memory);
    for (std::size_t i = 0; i + 1 < bytes; i += 2) std::memcpy(begin + i, &garbage, 2);
    if (bytes % 2 != 0) begin[bytes - 1] = static_cast<unsigned char>(garbage & 0xff);
}

int block_barrier(bool predicate, Place place) {
    return machine().barrier(predicate, place);
}

void warp_barrier(unsigned mask, Place place) {
    const auto finish = [](void* const*) {
        if (watch != nullptr) watch->warp_barrier(machine().thread().number / 32);
    };
    machine().gather("__syncwarp", mask, &mask, finish, place);
}

void warp_collective(const char* what, unsigned mask, void* mine, void (*finish)(void* const*), Place place) {
    machine().gather(what, mask, mine, finish, place);
}

unsigned lanes_alive() {
    return machine().warp().alive;
}

unsigned char* shared_memory() {
    return machine().shared();
}

std::uint32_t shared_offset(const void* shared) {
    if (the_machine == nullptr) return 0xffffffffu;
    const std::ptrdiff_t offset = static_cast<const unsigned char*>(shared) - machine().shared();
    if (offset < 0 || offset >= static_cast<std::ptrdiff_t>(machine().shared_bytes())) return 0xffffffffu;
    return static_cast<std::uint32_t>(offset);
}

bool is_shared(const void* memory) {
    return machine().is_shared(static_cast<const unsigned char*>(memory));
}

void note_atomic(const void* memory, std::size_t bytes) {
    if (watch != nullptr) watch->updates(memory, bytes, __builtin_return_address(0));
}

void check_shared(const void* memory, std::size_t bytes, std::size_t alignment, const char* what) {
    check_alignment(memory, alignment, what);
    const std::uint32_t begin = shared_offset(memory);
    if (begin != 0xffffffffu && begin + bytes <= machine().shared_bytes()) return;
    // Static shared memory lies elsewhere, among the program's variables.
    if (begin != 0xffffffffu || is_in_arena(memory)) {
        fault("%s: %zu bytes at %s are not in shared memory", what, bytes, place_of(memory).c_str());
    }
}

void check_device(const void* memory, std::size_t bytes, std::size_t alignment, const char* what) {
    check_alignment(memory, alignment, what);
    const Allocation allocation = allocation_with(memory);
    const auto* const begin = static_cast<const unsigned char*>(memory);
    if (!allocation || begin + bytes > allocation.begin + allocation.bytes) {
        fault("%s of %zu bytes from %s", what, bytes, place_of(memory).c_str());
    }
}

// Where nothing is copied the address must be good all the same.
void copy_later(void* shared, const void* global, std::size_t bytes, int there) {
    if (there < 0 || there > static_cast<int>(bytes)) fault("asynchronous copy of %d of %zu bytes", there, bytes);
    check_shared(shared, bytes, bytes, "asynchronous copy");
    check_device(global, static_cast<std::size_t>(std::max(there, 1)), bytes, "asynchronous copy");
    if (watch != nullptr) watch->begin_copy(shared, bytes, __builtin_return_address(0));
    fill_with_garbage(shared, bytes);
    Thread& thread = machine().thread();
    thread.copies.push_back(
        {static_cast<unsigned char*>(shared), global, bytes, static_cast<std::size_t>(there), thread.copy_group});
}

void commit_copies() {
    ++machine().thread().copy_group;
}

void wait_for_copies(int still) {
    Thread& thread = machine().thread();
    const auto due = std::find_if(thread.copies.begin(), thread.copies.end(),
                                  [&](const Copy& copy) { return copy.group >= thread.copy_group - still; });
    for (auto copy = thread.copies.begin(); copy != due; ++copy) {
        if (watch != nullptr) {
            watch->reads(copy->from, copy->there, __builtin_return_address(0));
            watch->end_copy(copy->to, copy->bytes, __builtin_return_address(0));
        }
        std::memcpy(copy->to, copy->from, copy->there);
        std::memset(copy->to + copy->there, 0, copy->bytes - copy->there);
    }
    thread.copies.erase(thread.copies.begin(), due);
}

}  // namespace emulation
