#include "io/point_stream.hpp"

#include <utility>

#include "convoy/error.hpp"
#include "io/checksum.hpp"

namespace convoy::io {

PointStream::PointStream(const Communicator& world, const InputOptions& input, std::string scale_option)
    : world_{world}, options_{input}, scale_option_{std::move(scale_option)}, input_{open_points(world, input)} {}

std::vector<double> PointStream::read(GlobalRun portion, GlobalRun mine) {
    CONVOY_EXPECT(portion.first.value == next_ && intersect(portion, mine).count == mine.count);
    next_ = portion.first.value + portion.count;
    std::uint32_t checksum = 0;
    std::vector<double> points =
        input_.sequential ? read_and_send(world_, input_, portion, mine, checksum) : read_here(mine, checksum);
    checksum_ = crc32c_combine(checksum_, checksum, static_cast<std::uint64_t>(8 * portion.count * input_.columns));
    scale(world_, scale_option_, input_, options_.scaling, points);
    return points;
}

std::vector<double> PointStream::read_here(GlobalRun mine, std::uint32_t& checksum) {
    expect_room(world_, input_, mine.count);
    std::vector<double> points;
    Faults faults;
    agree(world_, [&] {
        if (mine.count == 0) return;
        open_here(input_);
        make_room(input_, mine.count, points);
        input_.reader->read(mine.first.value, mine.count, points);
        faults.look(*input_.reader, mine.first.value, points, false);
    });
    expect_no_faults(world_, input_, faults);
    checksum = crc32c_of_all(world_, crc32c(points), static_cast<std::int64_t>(points.size() * 8), mine.first.value);
    return points;
}

InputIdentity PointStream::identity() const {
    InputIdentity identity = identity_of(input_, options_);
    identity.checksum = checksum_;
    return identity;
}

}  // namespace convoy::io
