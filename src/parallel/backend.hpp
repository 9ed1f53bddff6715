#pragma once
// What those above the blocks need to know of a backend without asking which one it is.

#include <functional>
#include <memory>
#include <string>

#include "convoy/coupling.hpp"

namespace convoy {

struct BlockProblem;

std::unique_ptr<Block> make_block(Backend backend, const BlockProblem& problem);

std::string name_of(Backend backend);  // reference, cpu, cuda

// Whether it holds points in its own rounded form beside the given ones.
constexpr bool rounds_points(Backend backend) {
    return backend != Backend::reference;
}

// Failures of one rank among many say which one it was.
void naming_rank(const Communicator& world, const std::function<void()>& work);

}  // namespace convoy
