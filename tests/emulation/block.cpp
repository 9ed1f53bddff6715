// What threads ask for.
#include "emulation/block.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "machine.hpp"
#include "memory.hpp"
#include "watch.hpp"

uint3 threadIdx{}, blockIdx{};
dim3 blockDim{}, gridDim{};

namespace emulation {

int lane_of_warp = 0;

namespace {

// Kernels run on one: what they call does not look whether it is there.
Machine& machine() {
    return *the_machine;
}

void check_alignment(const void* memory, std::size_t alignment, const char* what) {
    if (reinterpret_cast<std::uintptr_t>(memory) % alignment == 0) return;
    fault("%s: %s is at no multiple of %zu bytes", what, place_of(memory).c_str(), alignment);
}

}  // namespace

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
