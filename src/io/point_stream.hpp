#pragma once
// Points read a portion at a time, in the order of the file: clouds of any size in bounded memory.

#include <cstdint>
#include <string>
#include <vector>

#include "io/input.hpp"

namespace convoy::io {

class PointStream {
 public:
    // \param option_prefix how the options that concern the input begin, for messages. \throws InputError. Collective.
    PointStream(const Communicator& world, const InputOptions& input, const std::string& option_prefix = "--");

    std::int64_t rows() const { return input_.rows; }
    std::int64_t columns() const { return input_.dimension; }

    // The next rows, `portion`, without a gap to those before. Each rank gets its run of them, `mine`: runs do not
    // overlap and together are the portion, in any order of the ranks. Points are checked and prepared as in
    // read_cloud(). Collective; throws the same InputError on all ranks.
    std::vector<double> read(GlobalRun portion, GlobalRun mine);

    // The checksum is that of the rows read so far.
    InputIdentity identity() const;

 private:
    Communicator world_;
    Input input_;
    std::int64_t next_ = 0;
    std::uint32_t checksum_ = 0;
};

}  // namespace convoy::io
