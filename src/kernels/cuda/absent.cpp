// What stands for the CUDA backend in a build without it.

#include "convoy/error.hpp"
#include "kernels/block.hpp"
#include "kernels/devices.hpp"

namespace convoy {

namespace {

constexpr const char* without = "this convoy is built without CUDA (configure with -DCONVOY_WITH_CUDA=ON)";

}  // namespace

bool built_with_cuda() {
    return false;
}

std::vector<CudaDevice> cuda_devices() {
    return {};
}

std::string why_no_cuda_device() {
    return without;
}

void use_cuda_device(int, double, bool) {
    throw Failure{without};
}

std::unique_ptr<Block> make_cuda_block(const BlockProblem&) {
    throw Failure{without};
}

}  // namespace convoy
