#include "io/point_stream.hpp"

#include "convoy/error.hpp"
#include "io/checksum.hpp"

namespace convoy::io {

PointStream::PointStream(const Communicator& world, const InputOptions& input, const std::string& option_prefix)
    : world_{world}, input_{open_points(world, input, option_prefix)} {}

std::vector<double> PointStream::read(GlobalRun portion, GlobalRun mine) {
    CONVOY_EXPECT(portion.first.value == next_ && intersect(portion, mine).count == mine.count);
    next_ = portion.first.value + portion.count;
    std::uint32_t checksum = 0;
    std::vector<double> points =
        input_.sequential ? read_and_send(world_, input_, portion, mine, checksum) : read_here(mine, checksum);
    checksum_ = crc32c_combine(checksum_, checksum, static_cast<std::uint64_t>(8 * portion.count * input_.columns));
    return points;
}

std::vector<double> PointStream::read_here(GlobalRun mine, std::uint32_t& checksum) {
    std::vector<double> points;
    Faults faults;
    agree(world_, [&] { points = io::read_here(input_, mine, faults, checksum); });
    expect_no_faults(world_, input_, faults);
    checksum = crc32c_of_all(world_, checksum, mine.count * input_.columns * 8, mine.first.value);
    return points;
}

InputIdentity PointStream::identity() const {
    InputIdentity identity = identity_of(input_);
    identity.checksum = checksum_;
    return identity;
}

}  // namespace convoy::io
