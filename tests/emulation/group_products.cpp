#include "emulation/group_products.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <vector>

#include "emulation/matrices.hpp"
#include "watch.hpp"

namespace emulation {

namespace {

// What a lane has read of b by way of a descriptor: of rows 8 j + lane / 4 the numbers k = 2 (lane mod 4), the next,
// and both again 8 further on.
struct Fragments {
    std::uint32_t of_row[8][2];
};

// Sums that are under way.
struct Pending {
    float (*c)[4] = nullptr;  // of the kernel
    float sums[8][4];
    struct Operand {
        std::uint64_t descriptor;
        Fragments read;
    };
    std::vector<Operand> operands;
    int group = 0;  // of the last product
};

struct OfThread {
    std::vector<Pending> pending;
    int group = 0;  // that is being filled
};

std::map<unsigned, OfThread> threads;

OfThread& of_this_thread() {
    return threads[threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)];
}

// Bits 0 - 13 the address, 32 - 45 the distance of eight rows, both in 16 bytes; 49 - 51 must be 0 where patterns begin
// at multiples of 1024; 62 - 63 the swizzle, 1 for 128 bytes: bits 4 - 6 of an address are exchanged with their sum
// modulo 2 with bits 7 - 9.
Fragments read(std::uint64_t descriptor) {
    const auto begin = static_cast<std::uint32_t>(descriptor & 0x3fff) << 4;
    const auto eight_rows = static_cast<std::uint32_t>(descriptor >> 32 & 0x3fff) << 4;
    if (descriptor >> 62 != 1)
        fault("a matrix descriptor whose swizzle is %d, not that of 128 bytes", static_cast<int>(descriptor >> 62));
    if ((descriptor >> 49 & 7) != 0) fault("a matrix descriptor with a base offset");
    if ((begin & 0x380) != 0) fault("a matrix descriptor of an address that is no multiple of 1024");
    Fragments fragments;
    for (std::uint32_t j = 0; j < 8; ++j) {
        for (std::uint32_t half = 0; half < 2; ++half) {
            const auto l = static_cast<std::uint32_t>(lane_of_warp);
            const std::uint32_t straight = begin + j * eight_rows + l / 4 * 128 + 4 * (l % 4) + 16 * half;
            const std::uint32_t place = straight ^ (straight >> 3 & 0x70);
            const unsigned char* const from = shared_memory() + place;
            check_shared(from, 4, 4, "wgmma");
            if (watch != nullptr) watch->reads(from, 4, __builtin_return_address(0));
            std::memcpy(&fragments.of_row[j][half], from, 4);
        }
    }
    return fragments;
}

}  // namespace

void multiply_add_group(float (&c)[8][4], const std::uint32_t (&a)[4], std::uint64_t b, bool add, Place place) {
    OfThread& mine = of_this_thread();
    auto pending = std::find_if(mine.pending.begin(), mine.pending.end(), [&](const Pending& p) { return p.c == c; });
    if (pending == mine.pending.end()) {
        pending = mine.pending.insert(mine.pending.end(), Pending{});
        pending->c = c;
        std::memcpy(pending->sums, c, sizeof c);
    }
    if (!add) std::memset(pending->sums, 0, sizeof pending->sums);
    const Fragments fragments = read(b);
    // The sums are at hand for as long as this lane waits for others: nothing may be inserted beside them until then.
    float sums[8][4];
    std::memcpy(sums, pending->sums, sizeof sums);
    pending->operands.push_back({b, fragments});
    pending->group = mine.group;
    fill_with_garbage(c, sizeof c);
    for (int j = 0; j < 8; ++j) {
        multiply_add_16_8_16(sums[j], a, fragments.of_row[j][0], fragments.of_row[j][1], place);
    }
    OfThread& again = of_this_thread();
    for (Pending& p : again.pending) {
        if (p.c == c) std::memcpy(p.sums, sums, sizeof sums);
    }
}

void commit_group_products() {
    ++of_this_thread().group;
}

void wait_for_group_products(float (&c)[8][4], int still) {
    OfThread& mine = of_this_thread();
    for (auto p = mine.pending.begin(); p != mine.pending.end();) {
        if (p->group >= mine.group - still) {
            if (p->c == c) fault("the sums that are waited for are not among those that complete");
            ++p;
            continue;
        }
        for (const Pending::Operand& operand : p->operands) {
            const Fragments now = read(operand.descriptor);
            if (std::memcmp(&now, &operand.read, sizeof now) != 0) {
                fault("wgmma: shared memory was overwritten while a product read it");
            }
        }
        std::memcpy(p->c, p->sums, sizeof p->sums);
        p = mine.pending.erase(p);
    }
}

}  // namespace emulation
