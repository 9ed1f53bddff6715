// What the tests of the program on emulated devices set, beside the environment that the emulation itself reads
// (emulation.hpp), before main() begins:
//
//     CONVOY_EMULATED_WITHOUT=2       rank 2 sees no device
//     CONVOY_EMULATED_FAILURE=1:cudaLaunchKernelEx:7
//                                     on rank 1 the 7th call of this function fails
//     CONVOY_EMULATED_PORTION=384     points that are streamed go in portions of so many numbers, 128 rows at least

#include <cstdlib>
#include <string>

#include "emulation.hpp"
#include "kernels/device_memory.hpp"

namespace {

std::string word(const char* name) {
    const char* const text = std::getenv(name);
    return text != nullptr ? text : "";
}

struct Setting {
    Setting() {
        const std::string rank = word("OMPI_COMM_WORLD_RANK").empty() ? "0" : word("OMPI_COMM_WORLD_RANK");
        if (word("CONVOY_EMULATED_WITHOUT") == rank) emulation::set_devices({.count = 0});
        const std::string failure = word("CONVOY_EMULATED_FAILURE");
        const std::size_t first = failure.find(':'), last = failure.rfind(':');
        if (!failure.empty() && failure.substr(0, first) == rank) {
            emulation::fail_call(std::atoll(failure.c_str() + last + 1), cudaErrorIllegalAddress,
                                 failure.substr(first + 1, last - first - 1));
        }
        const std::string portion = word("CONVOY_EMULATED_PORTION");
        if (!portion.empty()) convoy::cuda::portion_limits = {std::atoll(portion.c_str()), 128};
    }
};
const Setting setting;

}  // namespace
