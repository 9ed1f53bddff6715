#include "fiber.hpp"

#include <cstdint>
#include <cstdlib>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace emulation {

#if defined(__x86_64__)

// The registers that belong to a caller in the System V ABI. Kernels do not touch the floating-point modes.
asm(R"(
    .text
    .globl convoy_emulation_switch
    .type convoy_emulation_switch, @function
convoy_emulation_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size convoy_emulation_switch, . - convoy_emulation_switch
)");

namespace {

// A stack as if `entry` had been about to begin when it was left: six registers, its address, nowhere to return to.
void* stack_that_begins(unsigned char* stack, std::size_t bytes, void (*entry)()) {
    auto** top = reinterpret_cast<void**>(reinterpret_cast<std::uintptr_t>(stack + bytes) / 16 * 16);
    *--top = nullptr;
    *--top = reinterpret_cast<void*>(entry);
    for (int r = 0; r < 6; ++r) *--top = nullptr;
    return top;
}

}  // namespace

#else

// Slow, as it asks the system for the signal mask every time, and everywhere to be had.
extern "C" void detail::convoy_emulation_switch(void** from, void* to) {
    ucontext_t here;
    *from = &here;
    swapcontext(&here, static_cast<ucontext_t*>(to));
}

namespace {

void* stack_that_begins(unsigned char* stack, std::size_t bytes, void (*entry)()) {
    auto* const context = new ucontext_t;
    getcontext(context);
    context->uc_stack.ss_sp = stack;
    context->uc_stack.ss_size = bytes;
    makecontext(context, entry, 0);
    return context;
}

}  // namespace

#endif

Fiber make_fiber(unsigned char* stack, std::size_t bytes, void (*entry)()) {
    Fiber fiber;
    fiber.at = stack_that_begins(stack, bytes, entry);
#if defined(__SANITIZE_ADDRESS__)
    fiber.stack = stack;
    fiber.stack_bytes = bytes;
#endif
    return fiber;
}

}  // namespace emulation
