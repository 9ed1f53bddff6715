#include "memory.hpp"

#include <signal.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>

#include "emulation/block.hpp"
#include "watch.hpp"

namespace emulation {

namespace {

constexpr std::size_t page = 4096;
constexpr std::size_t arena_bytes = std::size_t{1} << 38;  // of addresses, not of memory
constexpr std::size_t alignment = 256;                     // what cudaMalloc promises
constexpr unsigned char guard = 0xa5;

std::size_t rounded_up(std::size_t bytes, std::size_t unit) {
    return (bytes + unit - 1) / unit * unit;
}

// Addresses that nothing else uses. Pages of it become memory for a while, and never again.
struct Arena {
    unsigned char* begin = nullptr;
    std::size_t used = 0;
};
std::vector<Arena>& arenas() {
    static auto& all = *new std::vector<Arena>;
    return all;
}

unsigned char* untouchable_pages(std::size_t bytes) {
    void* const pages = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED) fault("no address space for %zu bytes", bytes);
    return static_cast<unsigned char*>(pages);
}

struct Region {
    unsigned char* pages = nullptr;
    std::size_t page_bytes = 0;
    unsigned char* begin = nullptr;
    std::size_t bytes = 0;
    int device = 0;
    unsigned char* end() const { return pages + page_bytes; }
};
// By their first page. Those that were freed are kept, to be named.
using Regions = std::map<const unsigned char*, Region>;
Regions& live_regions() {
    static auto& all = *new Regions;
    return all;
}
Regions& freed_regions() {
    static auto& all = *new Regions;
    return all;
}

// The one that holds the address, or to whose pages it is nearest.
const Region* region_near(const void* address, const Regions& regions) {
    const auto* const byte = static_cast<const unsigned char*>(address);
    const auto above = regions.upper_bound(byte);
    if (above == regions.begin()) return above == regions.end() ? nullptr : &above->second;
    const Region& below = std::prev(above)->second;
    const bool nearer =
        above != regions.end() && byte >= below.end() && above->second.pages - byte < byte - below.end();
    return nearer ? &above->second : &below;
}

const char* kind_of(const Region& region) {
    static char words[32];
    if (region.device == pinned_host) return "pinned host memory";
    std::snprintf(words, sizeof words, "memory of device %d", region.device);
    return words;
}

// The first byte that is no guard any more, or the end. At most `alignment` bytes.
const unsigned char* broken_guard(const unsigned char* from, const unsigned char* to) {
    static const std::array<unsigned char, alignment> whole = [] {
        std::array<unsigned char, alignment> bytes;
        bytes.fill(guard);
        return bytes;
    }();
    const auto n = static_cast<std::size_t>(to - from);
    if (std::memcmp(from, whole.data(), n) == 0) return to;
    return std::mismatch(from, to, whole.begin()).first;
}

struct sigaction before_us[2];

void on_fault(int signal, siginfo_t* information, void*) {
    sigaction(SIGSEGV, &before_us[0], nullptr);
    sigaction(SIGBUS, &before_us[1], nullptr);
    const void* const address = information->si_addr;
    if (information->si_code == SI_KERNEL || address == nullptr) {
        fault("access to address 0, or to a vector at an address that is no multiple of its size (signal %d)", signal);
    }
    fault("access to %s", place_of(address).c_str());
}

}  // namespace

void* allocate(int device, std::size_t bytes, const char* what) {
    const std::size_t inside = rounded_up(std::max<std::size_t>(bytes, 1), alignment);
    const std::size_t page_bytes = rounded_up(inside, page);
    if (arenas().empty() || arenas().back().used + page_bytes + 2 * page > arena_bytes) {
        arenas().push_back({untouchable_pages(arena_bytes), page});
    }
    Arena& arena = arenas().back();
    Region region;
    region.pages = arena.begin + arena.used;
    region.page_bytes = page_bytes;
    region.begin = region.pages + page_bytes - inside;
    region.bytes = bytes;
    region.device = device;
    arena.used += page_bytes + page;
    if (mprotect(region.pages, page_bytes, PROT_READ | PROT_WRITE) != 0)
        fault("%s: no %zu bytes of memory", what, bytes);
    std::memset(region.pages, guard, page_bytes - inside);
    fill_with_garbage(region.begin, bytes);
    std::memset(region.begin + bytes, guard, inside - bytes);
    live_regions().emplace(region.pages, region);
    MemoryUse& use = memory_use(device);
    use.now += inside;
    use.most = std::max(use.most, use.now);
    return region.begin;
}

bool release(void* memory, int device) {
    const Region* const found = region_near(memory, live_regions());
    if (found == nullptr || found->begin != memory) return false;
    if ((found->device == pinned_host) != (device == pinned_host)) return false;
    check_guards("before it was freed");
    const Region region = *found;
    live_regions().erase(region.pages);
    freed_regions().emplace(region.pages, region);
    memory_use(region.device).now -= rounded_up(std::max<std::size_t>(region.bytes, 1), alignment);
    if (watch != nullptr) watch->freed(region.begin, region.bytes);
    madvise(region.pages, region.page_bytes, MADV_DONTNEED);
    mprotect(region.pages, region.page_bytes, PROT_NONE);
    return true;
}

Allocation allocation_with(const void* address) {
    const auto* const byte = static_cast<const unsigned char*>(address);
    const Region* const region = region_near(address, live_regions());
    if (region == nullptr || byte < region->begin || byte >= region->begin + region->bytes) return {};
    return {region->begin, region->bytes, region->device};
}

bool is_in_arena(const void* address) {
    const auto* const byte = static_cast<const unsigned char*>(address);
    return std::any_of(arenas().begin(), arenas().end(),
                       [&](const Arena& arena) { return byte >= arena.begin && byte < arena.begin + arena_bytes; });
}

std::string place_of(const void* address) {
    char words[200];
    const auto* const byte = static_cast<const unsigned char*>(address);
    const std::uint32_t shared = shared_offset(address);
    if (shared != 0xffffffffu) {
        std::snprintf(words, sizeof words, "byte %u of the block's shared memory", shared);
        return words;
    }
    const Region* region = is_in_arena(address) ? region_near(address, freed_regions()) : nullptr;
    const char* freed = "that was freed, ";
    if (region == nullptr || byte < region->pages || byte >= region->end()) {
        region = is_in_arena(address) ? region_near(address, live_regions()) : nullptr;
        freed = "";
    }
    if (region == nullptr) {
        std::snprintf(words, sizeof words, "%p, which is no memory of a device", address);
        return words;
    }
    if (byte < region->begin) {
        std::snprintf(words, sizeof words, "%td bytes before %zu bytes of %s%s", region->begin - byte, region->bytes,
                      freed, kind_of(*region));
    } else if (byte < region->begin + region->bytes) {
        std::snprintf(words, sizeof words, "byte %td of %zu bytes of %s%s", byte - region->begin, region->bytes, freed,
                      kind_of(*region));
    } else {
        std::snprintf(words, sizeof words, "%td bytes past the end of %zu bytes of %s%s",
                      byte - region->begin - static_cast<std::ptrdiff_t>(region->bytes), region->bytes, freed,
                      kind_of(*region));
    }
    return words;
}

void check_guards(const std::string& after) {
    for (const auto& [pages, region] : live_regions()) {
        // In front, as far as a small mistake reaches: what lies farther off is checked by nobody, or untouchable.
        const unsigned char* const low = std::max<const unsigned char*>(region.pages, region.begin - alignment);
        const unsigned char* wrong = broken_guard(low, region.begin);
        if (wrong == region.begin) wrong = broken_guard(region.begin + region.bytes, region.end());
        if (wrong != region.begin && wrong != region.end()) {
            fault("something wrote %s (%s)", place_of(wrong).c_str(), after.c_str());
        }
    }
}

MemoryUse& memory_use(int device) {
    static auto& use = *new std::map<int, MemoryUse>;
    return use[device];
}

FaultsInWords::FaultsInWords() {
    // A thread's own stack may be what overflowed.
    static auto& stack = *new std::vector<unsigned char>(std::size_t{1} << 16);
    stack_t other{};
    other.ss_sp = stack.data();
    other.ss_size = stack.size();
    sigaltstack(&other, nullptr);
    struct sigaction action {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    sigaction(SIGSEGV, &action, &before_us[0]);
    sigaction(SIGBUS, &action, &before_us[1]);
}

FaultsInWords::~FaultsInWords() {
    sigaction(SIGSEGV, &before_us[0], nullptr);
    sigaction(SIGBUS, &before_us[1], nullptr);
}

unsigned char* guarded_pages(std::size_t bytes) {
    unsigned char* const pages = untouchable_pages(3 * bytes) + bytes;
    if (mprotect(pages, bytes, PROT_READ | PROT_WRITE) != 0) fault("no %zu bytes of memory", bytes);
    return pages;
}

}  // namespace emulation
