#include "solvers/moments.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "geometry/dense.hpp"

namespace convoy::moments {

namespace {

constexpr Index gathered_rows = 1024;  // rows centred at a time for a covariance: all threads work on them
constexpr Index tile_width = 128;      // a thread computes tiles of a covariance of this many rows and columns

std::vector<double> unit_rows(const Cloud& cloud) {
    std::vector<double> rows = cloud.points;
    Eigen::Map<Matrix>{rows.data(), cloud.rows, cloud.dimension}.rowwise().normalize();
    return rows;
}

// Corners of the tiles of columns [0, width) that reach the diagonal or lie below it.
std::vector<std::pair<Index, Index>> lower_tiles(Index rows, Index width) {
    std::vector<std::pair<Index, Index>> tiles;
    for (Index row = 0; row < rows; row += tile_width)
        for (Index column = 0; column < std::min(width, row + 1); column += tile_width) tiles.push_back({row, column});
    return tiles;
}

}  // namespace

void sum_over(const Communicator& world, std::span<double> values) {
    world.sum(values);
    world.broadcast(values);
}

Points::Points(const Coupling& coupling, Side side)
    : Points{coupling.grid(), side, coupling.cloud(side), coupling.cost().normalises_rows()} {}

Points::Points(const Grid& grid, Side side, const DistributedCloud& cloud, bool normalise)
    : world{grid.world()},
      unit{normalise ? unit_rows(cloud.local) : std::vector<double>{}},
      rows{normalise ? unit.data() : cloud.local.points.data(), cloud.local.rows, cloud.local.dimension},
      weights{cloud.local.weights.data(), cloud.local.rows} {
    const Partition& partition = cloud.partition;
    const GlobalRun stripe = my_stripe(grid, side, partition);
    begin = stripe.first.value - partition.first(grid.part(side)).value;
    end = begin + stripe.count;
    reference = first_with_mass(stripe);
    offset = Vector::Zero(rows.cols());
    for (int pass = 0; pass < 2; ++pass) offset += missed_mean();  // the second corrects the rounding of the first
}

Matrix Points::centred(Index first, Index count) const {
    return (rows.middleRows(first, count).rowwise() - reference.transpose()).rowwise() - offset.transpose();
}

bool Points::is_one_point() const {
    double differs = 0;
    for (Index i = begin; i < end && differs == 0; ++i)
        if (weights(i) > 0 && (rows.row(i).transpose().array() != reference.array()).any()) differs = 1;
    world.max(std::span{&differs, 1});
    return differs == 0;
}

// The first point that has mass.
Vector Points::first_with_mass(const GlobalRun& stripe) const {
    Index mine = begin;
    while (mine < end && !(weights(mine) > 0)) ++mine;
    const std::int64_t found =
        mine < end ? stripe.first.value + (mine - begin) : std::numeric_limits<std::int64_t>::max();
    std::int64_t first = found;
    world.min(std::span{&first, 1});

    // One rank gives the point and all others zeros, so the sum is exact.
    Vector point = Vector::Zero(rows.cols());
    if (mine < end && found == first) point = rows.row(mine).transpose();
    sum_over(world, as_span(point));
    return point;
}

// E[x - reference - offset].
Vector Points::missed_mean() const {
    const Index d = rows.cols();
    Vector sums = Vector::Zero(d + 1);  // of w (x - reference - offset), and of w
    for (Index i = begin; i < end; i += row_block) {
        // Summed in blocks: rounding grows with their number, not the points'.
        const Index n = std::min(row_block, end - i);
        sums.head(d) += centred(i, n).transpose() * weights.segment(i, n);
        sums(d) += weights.segment(i, n).sum();
    }
    sum_over(world, as_span(sums));
    return sums.head(d) / sums(d);
}

Vector between_means(const Points& p, const Points& q) {
    return (p.reference - q.reference) + (p.offset - q.offset);
}

// All threads centre a block of rows and multiply them by the roots of their weights; then each computes tiles of the
// block's product with itself. Who computes a tile does not matter to its bits.
Matrix covariance_columns(const Points& cloud, Index first, Index width) {
    const Index d = cloud.rows.cols(), below = d - first;
    const auto tiles = lower_tiles(below, width);
    const auto count = static_cast<Index>(tiles.size());
    Matrix result = Matrix::Zero(below, width);
    Matrix block(std::min(gathered_rows, cloud.end - cloud.begin), below);
    const dense::OneThreadEach one_thread_each;
    for (Index i = cloud.begin; i < cloud.end; i += gathered_rows) {
        const Index n = std::min(gathered_rows, cloud.end - i);
#pragma omp parallel
        {
#pragma omp for schedule(static)
            for (Index k = 0; k < n; ++k)
                block.row(k) = std::sqrt(cloud.weights(i + k)) *
                               ((cloud.rows.row(i + k).tail(below) - cloud.reference.tail(below).transpose()) -
                                cloud.offset.tail(below).transpose());
#pragma omp for schedule(dynamic)
            for (Index t = 0; t < count; ++t) {
                const auto [row, column] = tiles[static_cast<std::size_t>(t)];
                const Index height = std::min(tile_width, below - row), across = std::min(tile_width, width - column);
                dense::multiply(1, {block.data() + row, n, height, below}, dense::Form::transposed,
                                {block.data() + column, n, across, below}, dense::Form::plain, 1,
                                {result.data() + row * width + column, height, across, width});
            }
        }
    }
    sum_over(cloud.world, {result.data(), static_cast<std::size_t>(result.size())});
    return result;
}

}  // namespace convoy::moments
