// Code that is compiled with -fsanitize=thread calls a function at every access to memory. Here are these functions;
// the sanitizer's own library is not linked. A cell stands for four bytes of memory and knows who was there last.
//
// Two accesses of a cell are ordered if they are one thread's, or a barrier of their block, or of their warp, came
// between. Different blocks of a kernel are never ordered. If one of two that are not ordered writes, that is a race,
// whatever the values: unless both are atomic operations. Votes and shuffles order reads before writes that follow, as
// what was read goes into them; writes they do not order, as the manual says.

#include "watch.hpp"

#include <link.h>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <unordered_map>

#include "emulation/block.hpp"
#include "machine.hpp"
#include "memory.hpp"

namespace emulation {

namespace {

struct Access {
    std::uint32_t phase = 0;  // 0: none
    std::uint16_t thread = 0;
    std::uint16_t warp_phase = 0;
    std::uint16_t meeting = 0;  // of the warp, barriers among them
    std::uint8_t bytes = 0;     // which of the four
    bool atomic = false;
    std::uint32_t caller = 0;  // as an offset in the program
};

struct Cell {
    Access write, read, read_before;  // read_before: by another thread than read
    std::uint32_t copy_of_block = 0;  // the block (its first phase) that has a copy under way to here
    bool initialised[4] = {};         // device memory: by whomever
};

constexpr std::uintptr_t page = 4096;
using Page = std::array<Cell, page / 4>;

std::uintptr_t program_begin() {
    static const std::uintptr_t begin = [] {
        std::uintptr_t found = 0;
        dl_iterate_phdr(
            [](dl_phdr_info* program, std::size_t, void* result) {
                *static_cast<std::uintptr_t*>(result) = program->dlpi_addr;
                return 1;
            },
            &found);
        return found;
    }();
    return begin;
}

// "file:line" of code, if the tool that knows is there: in the kernel, not in what it calls of the emulation.
std::string line_of(std::uint32_t offset) {
    char command[300], answer[600];
    std::snprintf(command, sizeof command, "addr2line -i -e /proc/%d/exe 0x%x 2>/dev/null", static_cast<int>(getpid()),
                  offset - 1);
    FILE* const pipe = popen(command, "r");
    std::string line = "?";
    while (pipe != nullptr && std::fgets(answer, sizeof answer, pipe) != nullptr) {
        line = answer;
        line.erase(std::min(line.find_first_of(" \n"), line.size()));
        if (line.find("emulation/include") == std::string::npos) break;
    }
    if (pipe != nullptr) pclose(pipe);
    return line;
}

enum class Kind { read, write, atomic };

class Watcher final : public Watch {
 public:
    void begin_kernel() override {
        kernel_ = ++phase_;
        running_ = true;
    }
    void end_kernel() override { running_ = false; }
    void begin_block() override {
        block_ = ++phase_;
        warp_phases_.fill(0);
        meetings_.fill(0);
    }
    void block_barrier() override {
        ++phase_;
        warp_phases_.fill(0);
        meetings_.fill(0);
    }
    void warp_barrier(unsigned warp) override { ++warp_phases_[warp]; }
    void warp_meeting(unsigned warp) override { ++meetings_[warp]; }
    void reads(const void* memory, std::size_t bytes, const void* caller) override {
        access(memory, bytes, Kind::read, caller);
    }
    void updates(const void* memory, std::size_t bytes, const void* caller) override {
        access(memory, bytes, Kind::atomic, caller);
    }
    void begin_copy(const void* to, std::size_t bytes, const void* caller) override {
        access(to, bytes, Kind::write, caller);
        for_cells(to, bytes, [&](Cell& cell, unsigned) { cell.copy_of_block = block_; });
    }
    void end_copy(const void* to, std::size_t bytes, const void* caller) override {
        for_cells(to, bytes, [&](Cell& cell, unsigned) { cell.copy_of_block = 0; });
        access(to, bytes, Kind::write, caller);
    }
    void written_by_stream(const void* memory, std::size_t bytes) override {
        for_cells(memory, bytes, [](Cell& cell, unsigned mask) {
            for (int b = 0; b < 4; ++b) cell.initialised[b] = cell.initialised[b] || (mask >> b & 1) != 0;
        });
    }

    void freed(const void* memory, std::size_t bytes) override {
        const auto begin = reinterpret_cast<std::uintptr_t>(memory);
        for (std::uintptr_t number = begin / page; number <= (begin + bytes) / page; ++number) pages_.erase(number);
        recent_ = {};
    }

    void access(const void* memory, std::size_t bytes, Kind kind, const void* caller) {
        const auto from_here = reinterpret_cast<std::uintptr_t>(memory) -
                               reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) + stack_bytes;
        if (from_here < 2 * stack_bytes) return;  // a thread's own
        const bool on_device = is_in_arena(memory);
        if (!running_) {
            if (on_device) check_host(memory);
            return;
        }
        if (!on_device && !is_shared(memory)) return;
        Access now;
        now.phase = phase_;
        now.thread = static_cast<std::uint16_t>(threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z));
        now.warp_phase = warp_phases_[now.thread / 32];
        now.meeting = meetings_[now.thread / 32];
        now.caller = static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(caller) - program_begin());
        now.atomic = kind == Kind::atomic;
        for_cells(memory, bytes, [&](Cell& cell, unsigned mask) {
            now.bytes = static_cast<std::uint8_t>(mask);
            look(cell, now, kind, on_device, memory);
        });
    }

 private:
    template <class Use>
    void for_cells(const void* memory, std::size_t bytes, const Use& use) {
        auto begin = reinterpret_cast<std::uintptr_t>(memory);
        const std::uintptr_t end = begin + bytes;
        while (begin < end) {
            const std::uintptr_t next = std::min(begin / 4 * 4 + 4, end);
            const auto mask = ((1u << (next - begin)) - 1) << begin % 4;
            use(cell_of(begin), mask);
            begin = next;
        }
    }

    Cell& cell_of(std::uintptr_t address) {
        const std::uintptr_t number = address / page;
        auto& [known, cells] = recent_[number % recent_.size()];
        if (known != number || cells == nullptr) {
            std::unique_ptr<Page>& made = pages_[number];
            if (made == nullptr) made = std::make_unique<Page>();
            known = number;
            cells = made.get();
        }
        return (*cells)[address % page / 4];
    }

    // Whether `now` comes after `then` for certain; other blocks' shared memory is no concern of this one.
    bool ordered(const Access& then, const Access& now, bool on_device) const {
        if (then.phase == 0 || (then.bytes & now.bytes) == 0) return true;
        if (then.phase < block_) return !on_device || then.phase < kernel_;
        if (then.thread == now.thread || then.phase < now.phase) return true;
        return then.thread / 32 == now.thread / 32 && then.warp_phase < now.warp_phase;
    }

    void look(Cell& cell, const Access& now, Kind kind, bool on_device, const void* memory) {
        const bool both_atomic = now.atomic && cell.write.atomic;
        if (cell.copy_of_block == block_) {
            fault("%s %s, which an asynchronous copy that nobody waited for has still to fill (%s, copy at %s)",
                  kind == Kind::read ? "reads" : "writes", place_of(memory).c_str(), line_of(now.caller).c_str(),
                  line_of(cell.write.caller).c_str());
        }
        if (!ordered(cell.write, now, on_device) && !both_atomic) report(cell.write, "wrote", now, kind, memory);
        if (kind != Kind::write) check_written(cell, now, on_device, memory);
        if (kind == Kind::read) {
            if (cell.read.thread != now.thread || cell.read.phase < block_) cell.read_before = cell.read;
            cell.read = now;
            return;
        }
        for (const Access* read : {&cell.read, &cell.read_before}) {
            const bool met =
                read->thread / 32 == now.thread / 32 && read->meeting < now.meeting && read->phase == phase_;
            if (!met && !ordered(*read, now, on_device)) report(*read, "read", now, kind, memory);
        }
        cell.write = now;
        for (int b = 0; b < 4; ++b) cell.initialised[b] = cell.initialised[b] || (now.bytes >> b & 1) != 0;
        if (!on_device) cell.read = cell.read_before = Access{};
    }

    void check_written(const Cell& cell, const Access& now, bool on_device, const void* memory) const {
        bool written = true;
        if (on_device) {
            for (int b = 0; b < 4; ++b) written = written && (cell.initialised[b] || (now.bytes >> b & 1) == 0);
        } else {
            written = cell.write.phase >= block_;
        }
        if (!written) fault("reads %s, which nobody wrote (%s)", place_of(memory).c_str(), line_of(now.caller).c_str());
    }

    [[noreturn]] void report(const Access& then, const char* did, const Access& now, Kind kind,
                             const void* memory) const {
        const char* const does = kind == Kind::read ? "reads" : kind == Kind::write ? "writes" : "updates";
        const std::string who =
            then.phase < block_ ? "another block" : "thread " + std::to_string(then.thread) + " of the block";
        fault("race: %s %s (%s), which %s %s with no barrier between (%s)", does, place_of(memory).c_str(),
              line_of(now.caller).c_str(), who.c_str(), did, line_of(then.caller).c_str());
    }

    // Host code may touch pinned memory only.
    static void check_host(const void* memory) {
        thread_local Allocation last;
        const auto* const byte = static_cast<const unsigned char*>(memory);
        if (last && byte >= last.begin && byte < last.begin + last.bytes) return;
        const Allocation allocation = allocation_with(memory);
        if (!allocation || allocation.device != pinned_host) fault("host code touches %s", place_of(memory).c_str());
        last = allocation;
    }

    bool running_ = false;
    std::uint32_t phase_ = 0, kernel_ = 0, block_ = 0;  // the first phases of the kernel and block that run
    std::array<std::uint16_t, most_threads / 32> warp_phases_{}, meetings_{};
    std::unordered_map<std::uintptr_t, std::unique_ptr<Page>> pages_;
    std::array<std::pair<std::uintptr_t, Page*>, 256> recent_{};
};

Watcher& watcher() {
    static Watcher& one = *new Watcher;
    return one;
}

[[maybe_unused]] const bool begun = [] {
    watch = &watcher();
    return true;
}();

}  // namespace

static void note_access(const void* memory, std::size_t bytes, bool writes, const void* caller) {
    watcher().access(memory, bytes, writes ? Kind::write : Kind::read, caller);
}

}  // namespace emulation

// --- What the compiler calls ----------------------------------------------------------------------------------------

#define CONVOY_ON_ACCESS(size)                                                    \
    void __tsan_read##size(void* memory) {                                        \
        emulation::note_access(memory, size, false, __builtin_return_address(0)); \
    }                                                                             \
    void __tsan_write##size(void* memory) {                                       \
        emulation::note_access(memory, size, true, __builtin_return_address(0));  \
    }                                                                             \
    void __tsan_unaligned_read##size(void* memory) {                              \
        emulation::note_access(memory, size, false, __builtin_return_address(0)); \
    }                                                                             \
    void __tsan_unaligned_write##size(void* memory) {                             \
        emulation::note_access(memory, size, true, __builtin_return_address(0));  \
    }                                                                             \
    void __tsan_volatile_read##size(void* memory) {                               \
        emulation::note_access(memory, size, false, __builtin_return_address(0)); \
    }                                                                             \
    void __tsan_volatile_write##size(void* memory) {                              \
        emulation::note_access(memory, size, true, __builtin_return_address(0));  \
    }

// The host's atomic variables, which are none of ours.
#define CONVOY_ON_ATOMIC(bits, type)                                                                             \
    type __tsan_atomic##bits##_load(const volatile type* at, int) {                                              \
        return __atomic_load_n(at, __ATOMIC_SEQ_CST);                                                            \
    }                                                                                                            \
    void __tsan_atomic##bits##_store(volatile type* at, type value, int) {                                       \
        __atomic_store_n(at, value, __ATOMIC_SEQ_CST);                                                           \
    }                                                                                                            \
    type __tsan_atomic##bits##_exchange(volatile type* at, type value, int) {                                    \
        return __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST);                                                 \
    }                                                                                                            \
    type __tsan_atomic##bits##_fetch_add(volatile type* at, type value, int) {                                   \
        return __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST);                                                  \
    }                                                                                                            \
    type __tsan_atomic##bits##_fetch_sub(volatile type* at, type value, int) {                                   \
        return __atomic_fetch_sub(at, value, __ATOMIC_SEQ_CST);                                                  \
    }                                                                                                            \
    type __tsan_atomic##bits##_fetch_and(volatile type* at, type value, int) {                                   \
        return __atomic_fetch_and(at, value, __ATOMIC_SEQ_CST);                                                  \
    }                                                                                                            \
    type __tsan_atomic##bits##_fetch_or(volatile type* at, type value, int) {                                    \
        return __atomic_fetch_or(at, value, __ATOMIC_SEQ_CST);                                                   \
    }                                                                                                            \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile type* at, type* expected, type value, int, int) { \
        return __atomic_compare_exchange_n(at, expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);      \
    }                                                                                                            \
    int __tsan_atomic##bits##_compare_exchange_weak(volatile type* at, type* expected, type value, int, int) {   \
        return __atomic_compare_exchange_n(at, expected, value, true, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);       \
    }

extern "C" {
CONVOY_ON_ACCESS(1)
CONVOY_ON_ACCESS(2)
CONVOY_ON_ACCESS(4)
CONVOY_ON_ACCESS(8)
CONVOY_ON_ACCESS(16)
CONVOY_ON_ATOMIC(8, std::uint8_t)
CONVOY_ON_ATOMIC(16, std::uint16_t)
CONVOY_ON_ATOMIC(32, std::uint32_t)
CONVOY_ON_ATOMIC(64, std::uint64_t)
void __tsan_read_range(void* memory, std::size_t bytes) {
    emulation::note_access(memory, bytes, false, __builtin_return_address(0));
}
void __tsan_write_range(void* memory, std::size_t bytes) {
    emulation::note_access(memory, bytes, true, __builtin_return_address(0));
}
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_atomic_thread_fence(int) {}
void __tsan_atomic_signal_fence(int) {}
}
