#pragma once
// Flows of control that take turns on one system thread, each on a stack of its own.

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace emulation {

// Where one of them goes on. As constructed: whoever switches away from it.
struct Fiber {
    void* at = nullptr;
#if defined(__SANITIZE_ADDRESS__)
    // The sanitizer wants to know which stack is in use.
    void* shadow = nullptr;
    const void* stack = nullptr;
    std::size_t stack_bytes = 0;
#endif
};

// One that will run `entry`, which must not return.
Fiber make_fiber(unsigned char* stack, std::size_t bytes, void (*entry)());

namespace detail {

// Keeps what a function must keep of its caller's on the stack, and the stack in `from`; goes on where `to` was left.
extern "C" void convoy_emulation_switch(void** from, void* to);

#if defined(__SANITIZE_ADDRESS__)
inline Fiber* switched_from = nullptr;
inline void arrive(Fiber& here) {
    __sanitizer_finish_switch_fiber(here.shadow, &switched_from->stack, &switched_from->stack_bytes);
}
#endif

}  // namespace detail

// Returns when somebody switches back to `from`.
inline void switch_fibers(Fiber& from, Fiber& to) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&from.shadow, to.stack, to.stack_bytes);
    detail::switched_from = &from;
#endif
    detail::convoy_emulation_switch(&from.at, to.at);
#if defined(__SANITIZE_ADDRESS__)
    detail::arrive(from);
#endif
}

}  // namespace emulation
