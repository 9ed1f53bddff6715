#pragma once
// An output on its way: OUT.part.XXXXXX from its creation until it takes its name, or is removed. The protocol that all
// files share which the ranks write together.

#include <string>

#include "convoy/communicator.hpp"

namespace convoy::io {

class UnfinishedFile {
 public:
    // Rank 0 creates it, empty; all know its name. \throws Failure on all ranks. Collective.
    UnfinishedFile(const Communicator& world, std::string out);
    // One that an earlier run has left, to be gone on with. The same on all ranks.
    UnfinishedFile(const Communicator& world, std::string out, std::string part);
    // Removed unless it was published, or is kept: whatever went wrong, nothing is left.
    ~UnfinishedFile();
    UnfinishedFile(const UnfinishedFile&) = delete;
    UnfinishedFile& operator=(const UnfinishedFile&) = delete;

    const std::string& out() const { return out_; }
    const std::string& part() const { return part_; }
    const Communicator& world() const { return world_; }

    // From here on it stays where this run ends before it is published.
    void keep() { ours_ = false; }

    // Gives the file its name. If another file appeared there meanwhile and may not be replaced, the finished part file
    // stays and the Failure names it. Collective.
    void publish(bool overwrite);

 private:
    Communicator world_;
    std::string out_, part_;
    bool ours_ = false;  // to be removed by this rank
};

}  // namespace convoy::io
