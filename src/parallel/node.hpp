#pragma once
// What this node has and how many ranks share it. Collective where it says so.

#include <string>

#include "convoy/communicator.hpp"

namespace convoy {

struct Node {
    int cores = 1;      // this process may use
    double memory = 0;  // bytes: the smaller of physical memory and the control group's limit
    int ranks = 1;      // of this run on this node
};

// Over all ranks: the fewest cores and the least memory that one has. Collective.
struct NodeShare {
    int cores = 1;
    double memory = 0;
};
NodeShare share_of_node(const Communicator& world);

Node this_node();

std::string host_name();
// 1.5 GiB
std::string in_bytes(double bytes);

}  // namespace convoy
