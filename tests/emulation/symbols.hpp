#pragma once
// What the program's own table of symbols says about a kernel.

#include <cstddef>
#include <string>
#include <vector>

namespace emulation {

struct Kernel {
    std::string name;  // demangled; the address in digits if it is not in the table
    // Its static __shared__ variables.
    struct Variable {
        unsigned char* begin = nullptr;
        std::size_t bytes = 0;
    };
    std::vector<Variable> shared;
    std::size_t shared_bytes = 0;
};

const Kernel& kernel_at(const void* address);

}  // namespace emulation
