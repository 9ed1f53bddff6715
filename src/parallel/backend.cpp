#include "parallel/backend.hpp"

#include <fmt/format.h>

#include "convoy/error.hpp"
#include "kernels/block.hpp"
#include "parallel/node.hpp"

namespace convoy {

std::unique_ptr<Block> make_block(Backend backend, const BlockProblem& problem) {
    switch (backend) {
        case Backend::reference:
            return make_reference_block(problem);
        case Backend::cpu:
            return make_cpu_block(problem);
        case Backend::cuda:
            return make_cuda_block(problem);
    }
    throw Failure{"there is no such backend"};
}

std::string name_of(Backend backend) {
    switch (backend) {
        case Backend::reference:
            return "reference";
        case Backend::cpu:
            return "cpu";
        case Backend::cuda:
            break;
    }
    return "cuda";
}

void naming_rank(const Communicator& world, const std::function<void()>& work) {
    try {
        work();
    } catch (const Failure& failure) {
        if (world.size() == 1) throw;
        throw Failure{fmt::format("rank {} on {}: {}", world.rank(), host_name(), failure.what())};
    }
}

}  // namespace convoy
