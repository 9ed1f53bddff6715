#pragma once
// What this node has and how many ranks share it. Collective where it says so.

#include "convoy/communicator.hpp"

namespace convoy {

struct Node {
    int cores = 1;      // this process may use
    double memory = 0;  // bytes: the smaller of physical memory and the control group's limit
    int ranks = 1;      // of this run on this node
};

// Collective over all ranks: the fewest cores a rank, the least memory a rank and the most ranks of any node.
struct NodeShare {
    int cores = 1;
    double memory = 0;
    int ranks_on_node = 1;
};
NodeShare share_of_node(const Communicator& world);

Node this_node();

}  // namespace convoy
