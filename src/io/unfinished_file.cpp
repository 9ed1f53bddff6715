#include "io/unfinished_file.hpp"

#include <utility>

#include "io/part_file.hpp"

namespace convoy::io {

UnfinishedFile::UnfinishedFile(const Communicator& world, std::string out) : world_{world}, out_{std::move(out)} {
    agree(world_, [&] {
        if (world_.is_root()) part_ = create_part_file(out_);
    });
    ours_ = world_.is_root();
    world_.broadcast(part_);
}

UnfinishedFile::UnfinishedFile(const Communicator& world, std::string out, std::string part)
    : world_{world}, out_{std::move(out)}, part_{std::move(part)} {}

UnfinishedFile::~UnfinishedFile() {
    if (ours_) remove_part_file(part_);
}

void UnfinishedFile::publish(bool overwrite) {
    ours_ = false;
    agree(world_, [&] {
        if (world_.is_root()) publish_part_file(out_, part_, overwrite);
    });
}

}  // namespace convoy::io
