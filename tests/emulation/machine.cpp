#include "machine.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

#include "memory.hpp"
#include "watch.hpp"

namespace emulation {

Machine* the_machine = nullptr;

namespace {

constexpr std::size_t page = 4096;
constexpr unsigned char guard = 0xa5;
constexpr std::size_t shared_page_bytes = (most_shared_memory + 2 * page) / page * page;

bool same(const Place& a, const Place& b) {
    if (a.line() != b.line()) return false;
    return a.file_name() == b.file_name() || std::strcmp(a.file_name(), b.file_name()) == 0;
}

}  // namespace

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

// --- Blocks ---------------------------------------------------------------------------------------------------------

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

// --- Taking turns ---------------------------------------------------------------------------------------------------

Fiber& Machine::idle_fiber() {
    if (idle_.empty()) {
        unsigned char* const stack = guarded_pages(stack_bytes);
        // Tops of stacks that lie a multiple of pages apart would all compete for a few lines of the cache.
        const std::size_t used = stack_bytes - fibers_.size() % 64 * 64 * 5;
        fibers_.push_back(std::make_unique<Fiber>(make_fiber(stack, used, &Machine::work)));
        idle_.push_back(fibers_.back().get());
    }
    return *idle_.back();
}

// Where to go on when the thread that ran waits or has returned.
Fiber& Machine::next() {
    const bool may_start = started_ < order_.size();
    const bool starts = may_start && (ready_.empty() || (seed_ != 0 && chance_.below(2) == 0));
    if (starts) return idle_fiber();
    if (ready_.empty()) return host_;
    thread_ = ready_.pop();
    return *thread_->fiber;
}

void Machine::work() {
    Machine& self = *the_machine;
#if defined(__SANITIZE_ADDRESS__)
    detail::arrive(*self.idle_.back());
#endif
    for (;;) {
        // The host, or a thread that waits, came here because there is one to start; this fiber is the last idle one.
        Fiber* const mine = self.idle_.back();
        self.idle_.pop_back();
        while (self.started_ < self.order_.size()) {
            Thread& thread = self.threads_[self.order_[self.started_++]];
            thread.fiber = mine;
            self.start(thread);
            // Threads that wait for nothing any more go first: fewer stacks are in use then.
            if (!self.ready_.empty()) break;
        }
        self.idle_.push_back(mine);
        Fiber& to = self.next();
        if (&to != mine) switch_fibers(*mine, to);
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
    thread.returned = true;
    ++returned_;
    Warp& warp = warps_[thread.number / 32];
    warp.alive &= ~(1u << thread.number % 32);
    for (std::size_t g = warp.open; g-- > 0;) {
        if ((warp.gatherings[g].here & warp.alive) == (warp.gatherings[g].mask & warp.alive)) finish(warp, g);
    }
}

void Machine::wait(const char* what, Place place) {
    Thread& self = *thread_;
    self.waits_at = what;
    self.place = place;
    switch_fibers(*self.fiber, next());
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

// --- Waiting for each other -----------------------------------------------------------------------------------------

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

}  // namespace emulation
