#include "io/point_stream.hpp"

#include "convoy/error.hpp"
#include "io/checksum.hpp"

namespace convoy::io {

PointStream::PointStream(const Communicator& world, const InputOptions& input, const std::string& option_prefix)
    : world_{world}, input_{open_points(world, input, option_prefix)} {}

std::vector<double> PointStream::read(GlobalRun portion, GlobalRun mine) {
    CONVOY_EXPECT(portion.first.value == next_ && intersect(portion, mine).count == mine.count);
    next_ = portion.first.value + portion.count;
    expect_room(world_, input_, mine.count);
    std::uint32_t checksum = 0;
    std::vector<double> points = input_.sequential ? read_and_send(world_, input_, portion, mine, checksum)
                                                   : read_here(world_, input_, mine, checksum);
    checksum_ = crc32c_combine(checksum_, checksum, static_cast<std::uint64_t>(8 * portion.count * input_.columns));
    return points;
}

InputIdentity PointStream::identity() const {
    InputIdentity identity = identity_of(input_);
    identity.checksum = checksum_;
    return identity;
}

}  // namespace convoy::io
