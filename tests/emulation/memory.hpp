#pragma once
// Where memory is. Every allocation lies between pages that nobody may touch, at the end of its own; what is left over
// in these is filled with a pattern that is looked at later. Memory that was freed is never given out again.

#include <cstddef>
#include <cstdint>
#include <string>

namespace emulation {

constexpr int pinned_host = -1;  // in place of a device's number

// Filled with garbage.
void* allocate(int device, std::size_t bytes, const char* what);
bool release(void* memory, int device);  // false: there is no such allocation

struct Allocation {
    const unsigned char* begin = nullptr;
    std::size_t bytes = 0;
    int device = 0;
    explicit operator bool() const { return begin != nullptr; }
};
Allocation allocation_with(const void* address);  // that holds this byte
// In words: "byte 12 of 64 of an allocation on device 0", "8 bytes past ...", "host memory".
std::string place_of(const void* address);
bool is_in_arena(const void* address);  // where allocations lie, or lay

// Ends the program if something wrote beside an allocation; `after`: what ran last.
void check_guards(const std::string& after);

struct MemoryUse {
    std::size_t now = 0, most = 0;
};
MemoryUse& memory_use(int device);

// While it lives, a segmentation fault ends the program in words.
class FaultsInWords {
 public:
    FaultsInWords();
    ~FaultsInWords();
    FaultsInWords(const FaultsInWords&) = delete;
    FaultsInWords& operator=(const FaultsInWords&) = delete;
};

// A range of pages with as many untouchable ones on both sides, for ever. `bytes` is a multiple of the page's size.
unsigned char* guarded_pages(std::size_t bytes);
constexpr std::size_t stack_bytes = std::size_t{1} << 17;  // of a thread: what is nearer to its frames is its own

}  // namespace emulation
