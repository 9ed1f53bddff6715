#include "parallel/redistributed.hpp"

namespace convoy {

DistributedCloud redistributed(const Grid& grid, Side held, const DistributedCloud& cloud) {
    const Partition to = Partition::even(cloud.partition.items(), grid.parts(other(held)));
    const auto bring = [&](const std::vector<double>& numbers, std::int64_t width) {
        return redistribute(grid, held, cloud.partition, to, width, numbers);
    };
    const std::int64_t d = cloud.local.dimension;
    return {to, {to.count(grid.part(other(held))), d, bring(cloud.local.points, d), bring(cloud.local.weights, 1)}};
}

}  // namespace convoy
