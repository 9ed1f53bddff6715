#include "solvers/sample.hpp"

#include <algorithm>
#include <cmath>
#include <random>

#include "convoy/error.hpp"

namespace convoy {

namespace {

// Masses as integers: their running sums are exact, hence the same on every grid.
constexpr double unit_of_mass = 0x1p60;

std::int64_t integer_mass(double weight) {
    return std::llround(weight * unit_of_mass);
}

// Number of a draw's mass: uniform in the draw's share of the total.
std::vector<std::int64_t> draws(std::int64_t total, std::int64_t size, std::uint64_t seed, Side side) {
    std::mt19937_64 random{seed * 2 + (side == Side::row ? 0 : 1)};
    CONVOY_EXPECT(total >= size);
    const Partition shares = Partition::even(total, size);
    std::vector<std::int64_t> at;
    for (std::int64_t k = 0; k < size; ++k) {
        const GlobalRun share = shares.run(PartIndex{k});
        at.push_back(share.first.value + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(share.count)));
    }
    return at;
}

struct Chosen {
    LocalIndex local;
    double weight;
};

// The points of this part that are drawn, with their share of the draws.
std::vector<Chosen> drawn_points(const Cloud& cloud, std::int64_t before, const std::vector<std::int64_t>& at) {
    std::vector<Chosen> chosen;
    auto next = std::lower_bound(at.begin(), at.end(), before);
    std::int64_t end = before;
    for (std::int64_t i = 0; i < cloud.rows && next != at.end(); ++i) {
        end += integer_mass(cloud.weights[static_cast<std::size_t>(i)]);
        const auto first = next;
        while (next != at.end() && *next < end) ++next;
        if (next != first)
            chosen.push_back({LocalIndex{i}, static_cast<double>(next - first) / static_cast<double>(at.size())});
    }
    return chosen;
}

std::vector<Chosen> points_with_mass(const Cloud& cloud) {
    std::vector<Chosen> chosen;
    for (std::int64_t i = 0; i < cloud.rows; ++i) {
        const double weight = cloud.weights[static_cast<std::size_t>(i)];
        if (weight > 0) chosen.push_back({LocalIndex{i}, weight});
    }
    return chosen;
}

// Sum over the parts before this one, and over all.
struct Running {
    std::int64_t before = 0, total = 0;
};
Running running_sum(const Coupling& coupling, Side side, std::int64_t mine) {
    const Grid& grid = coupling.grid();
    std::vector<std::int64_t> of_parts(static_cast<std::size_t>(grid.parts(side)), 0);
    const auto part = static_cast<std::ptrdiff_t>(grid.part(side).value);
    of_parts[static_cast<std::size_t>(part)] = mine;
    grid.holders(side).sum(std::span{of_parts});
    Running sums;
    for (std::ptrdiff_t p = 0; p < std::ssize(of_parts); ++p) {
        sums.total += of_parts[static_cast<std::size_t>(p)];
        if (p < part) sums.before += of_parts[static_cast<std::size_t>(p)];
    }
    return sums;
}

}  // namespace

Sample draw_sample(const Coupling& coupling, Side side, std::int64_t size, std::uint64_t seed) {
    const Cloud& cloud = coupling.local(side);
    std::vector<Chosen> chosen = points_with_mass(cloud);
    const std::int64_t with_mass = running_sum(coupling, side, std::ssize(chosen)).total;
    if (size < with_mass) {
        std::int64_t mass = 0;
        for (const double weight : cloud.weights) mass += integer_mass(weight);
        const Running masses = running_sum(coupling, side, mass);
        chosen = drawn_points(cloud, masses.before, draws(masses.total, size, seed, side));
    }

    // Each part fills in its own; the others' places are zero, so the sums are exact.
    const Running counts = running_sum(coupling, side, std::ssize(chosen));
    const std::int64_t d = cloud.dimension;
    Sample sample{side, {counts.total, d, {}, {}}, {}};
    sample.cloud.points.assign(static_cast<std::size_t>(counts.total * d), 0.0);
    sample.cloud.weights.assign(static_cast<std::size_t>(counts.total), 0.0);
    std::int64_t place = counts.before;
    for (const Chosen& one : chosen) {
        std::ranges::copy(cloud.point(one.local.value), sample.cloud.points.begin() + place * d);
        sample.cloud.weights[static_cast<std::size_t>(place)] = one.weight;
        sample.here.push_back({place++, one.local});
    }
    coupling.grid().holders(side).sum(std::span{sample.cloud.points});
    coupling.grid().holders(side).sum(std::span{sample.cloud.weights});
    return sample;
}

std::vector<double> at_sample(const Coupling& coupling, const Sample& sample, std::span<const double> values) {
    std::vector<double> picked(static_cast<std::size_t>(sample.cloud.rows), 0.0);
    for (const Sample::Here& one : sample.here) {
        picked[static_cast<std::size_t>(one.place)] = values[static_cast<std::size_t>(one.local.value)];
    }
    coupling.grid().holders(sample.side).sum(std::span{picked});
    return picked;
}

DistributedCloud distributed(const Grid& grid, Side side, const Sample& sample) {
    const Cloud& all = sample.cloud;
    DistributedCloud result{Partition::even(all.rows, grid.parts(side)), {}};
    const GlobalRun run = result.partition.run(grid.part(side));
    const auto point = all.points.begin() + run.first.value * all.dimension;
    const auto weight = all.weights.begin() + run.first.value;
    result.local = {run.count, all.dimension, {point, point + run.count * all.dimension}, {weight, weight + run.count}};
    return result;
}

std::vector<double> own_part(const Grid& grid, Side side, std::span<const double> at_sample) {
    const GlobalRun run = Partition::even(std::ssize(at_sample), grid.parts(side)).run(grid.part(side));
    const auto part = at_sample.subspan(static_cast<std::size_t>(run.first.value), static_cast<std::size_t>(run.count));
    return {part.begin(), part.end()};
}

std::vector<double> whole_of_parts(const Grid& grid, Side side, std::span<const double> part) {
    return grid.holders(side).gather_all(part);
}

}  // namespace convoy
