#include "solvers/duplicates.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "convoy/error.hpp"

namespace convoy {

namespace {

constexpr std::int64_t piece_numbers = std::int64_t{1} << 22;  // that travel to all holders at once
constexpr std::int64_t bits = 64;

std::uint64_t word_of(const std::vector<std::int64_t>& words, std::int64_t word) {
    return static_cast<std::uint64_t>(words[static_cast<std::size_t>(word)]);
}

// Calls use(piece, its numbers) for pieces of a side's items in ascending order. All holders see all of them, whatever
// part they hold.
template <class Use>
void in_pieces(const Grid& grid, Side side, const Partition& partition, std::int64_t width,
               std::span<const double> mine, const Use& use) {
    CONVOY_EXPECT(static_cast<std::int64_t>(mine.size()) == partition.count(grid.part(side)) * width);
    const GlobalRun own = partition.run(grid.part(side));
    const std::int64_t step = std::max<std::int64_t>(1, piece_numbers / width);
    for (std::int64_t at = 0; at < partition.items(); at += step) {
        const GlobalRun piece{GlobalIndex{at}, std::min(step, partition.items() - at)};
        const GlobalRun common = intersect(own, piece);
        const std::int64_t skip = common.count > 0 ? common.first.value - own.first.value : 0;
        use(piece, grid.holders(side).gather_all(mine.subspan(static_cast<std::size_t>(skip * width),
                                                              static_cast<std::size_t>(common.count * width))));
    }
}

// The rank of the whole grid that holds stripe `stripe` of part `part`.
int rank_of(const Grid& grid, Side side, std::int64_t part, std::int64_t stripe) {
    const std::int64_t row = side == Side::row ? part : stripe, column = side == Side::row ? stripe : part;
    return static_cast<int>(row * grid.shape().columns + column);
}

// All stripes of all parts, one after the other.
Partition stripes_of(const Grid& grid, Side side, const Partition& partition) {
    const std::int64_t pieces = grid.sharers(side).size();
    std::vector<std::int64_t> counts;
    for (std::int64_t part = 0; part < partition.parts(); ++part)
        for (std::int64_t k = 0; k < pieces; ++k) counts.push_back(partition.stripe(PartIndex{part}, pieces, k).count);
    return Partition::of_counts(counts);
}

}  // namespace

std::vector<double> MergedRows::expand(const Grid& grid, std::int64_t width, std::span<const double> of_points) const {
    std::vector<double> of_rows(point_of_row.size() * static_cast<std::size_t>(width));
    in_pieces(grid, side, points, width, of_points, [&](GlobalRun piece, const std::vector<double>& numbers) {
        for (std::size_t i = 0; i < point_of_row.size(); ++i) {
            const std::int64_t k = point_of_row[i] - piece.first.value;
            if (k >= 0 && k < piece.count)
                std::copy_n(numbers.begin() + k * width, width,
                            of_rows.begin() + static_cast<std::ptrdiff_t>(i) * width);
        }
    });
    return of_rows;
}

std::vector<double> MergedRows::share(const Grid& grid, std::int64_t width, std::span<const double> of_points,
                                      std::span<const double> masses) const {
    std::vector<double> of_mass{of_points.begin(), of_points.end()};
    for (std::size_t k = 0; k < of_mass.size(); ++k) {
        const double mass = masses[k / static_cast<std::size_t>(width)];
        of_mass[k] = mass > 0 ? of_mass[k] / mass : 0;
    }
    std::vector<double> of_rows = expand(grid, width, of_mass);
    for (std::size_t k = 0; k < of_rows.size(); ++k) of_rows[k] *= weights[k / static_cast<std::size_t>(width)];
    return of_rows;
}

std::vector<double> MergedRows::contract(const Grid& grid, std::int64_t width, std::span<const double> of_rows) const {
    std::vector<double> of_points;
    of_points.reserve(first_row.size() * static_cast<std::size_t>(width));
    auto next = first_row.begin();  // ascending
    in_pieces(grid, side, rows, width, of_rows, [&](GlobalRun piece, const std::vector<double>& numbers) {
        for (; next != first_row.end() && *next < piece.first.value + piece.count; ++next) {
            const auto from = numbers.begin() + (*next - piece.first.value) * width;
            of_points.insert(of_points.end(), from, from + width);
        }
    });
    return of_points;
}

std::vector<double> MergedRows::sum(const Grid& grid, std::span<const double> of_rows) const {
    const GlobalRun own = points.run(grid.part(side));
    std::vector<double> sums(static_cast<std::size_t>(own.count), 0.0);
    std::vector<double> pairs;  // point and number of each row
    for (std::size_t i = 0; i < point_of_row.size(); ++i) {
        pairs.push_back(static_cast<double>(point_of_row[i]));
        pairs.push_back(of_rows[i]);
    }
    in_pieces(grid, side, rows, 2, pairs, [&](GlobalRun piece, const std::vector<double>& numbers) {
        for (std::int64_t i = 0; i < piece.count; ++i) {
            const auto pair = numbers.begin() + 2 * i;
            const std::int64_t k = static_cast<std::int64_t>(pair[0]) - own.first.value;
            if (k >= 0 && k < own.count) sums[static_cast<std::size_t>(k)] += pair[1];
        }
    });
    return sums;
}

DuplicateSearch::DuplicateSearch(Communicator world, std::int64_t dimension)
    : world_{std::move(world)}, dimension_{dimension}, table_{dimension} {}

void DuplicateSearch::add(GlobalRun portion, GlobalRun mine, std::span<const double> points) {
    CONVOY_EXPECT(portion.first.value == rows_ && static_cast<std::int64_t>(points.size()) == mine.count * dimension_);
    rows_ += portion.count;
    const auto ranks = static_cast<std::size_t>(world_.size()), d = static_cast<std::size_t>(dimension_);
    // Each row with its number in front, to the rank that its hash names.
    std::vector<std::vector<double>> outgoing(ranks);
    std::vector<std::size_t> went_to;
    for (std::int64_t i = 0; i < mine.count; ++i) {
        const auto row = points.subspan(static_cast<std::size_t>(i) * d, d);
        const std::size_t to = (hash_of(row) >> 32) % ranks;
        outgoing[to].push_back(static_cast<double>(mine.first.value + i));
        outgoing[to].insert(outgoing[to].end(), row.begin(), row.end());
        went_to.push_back(to);
    }
    // Rows arrive in ascending order: whoever comes first is the first of its kind.
    std::vector<std::vector<double>> answers(ranks);
    const auto incoming = world_.exchange(outgoing);
    for (std::size_t from = 0; from < ranks; ++from) {
        for (std::size_t at = 0; at < incoming[from].size(); at += d + 1) {
            const auto row = std::span{incoming[from]}.subspan(at + 1, d);
            const std::int64_t number = table_.find_or_add(row, hash_of(row));
            if (number == std::ssize(first_row_)) first_row_.push_back(static_cast<std::int64_t>(incoming[from][at]));
            answers[from].push_back(static_cast<double>(first_row_[static_cast<std::size_t>(number)]));
        }
    }
    const auto answered = world_.exchange(answers);
    Portion kept{portion, {}};
    std::vector<std::size_t> next(ranks, 0);
    for (const std::size_t to : went_to) kept.first_rows.push_back(answered[to][next[to]++]);
    portions_.push_back(std::move(kept));
}

std::int64_t DuplicateSearch::finish() {
    // Each first row is known to one rank, so the sum of the words has all bits.
    is_first_.assign(static_cast<std::size_t>((rows_ + bits - 1) / bits), 0);
    for (const std::int64_t row : first_row_)
        is_first_[static_cast<std::size_t>(row / bits)] |= static_cast<std::int64_t>(std::uint64_t{1} << row % bits);
    world_.sum(std::span{is_first_});
    points_ = 0;
    before_.clear();
    for (std::int64_t word = 0; word < std::ssize(is_first_); ++word) {
        before_.push_back(points_);
        points_ += std::popcount(word_of(is_first_, word));
    }
    return points_;
}

std::int64_t DuplicateSearch::point_of(std::int64_t first_row) const {
    const std::int64_t word = first_row / bits;
    const std::uint64_t below = (std::uint64_t{1} << first_row % bits) - 1;
    return before_[static_cast<std::size_t>(word)] + std::popcount(word_of(is_first_, word) & below);
}

DistributedCloud DuplicateSearch::distribute(const Grid& grid, Side side, MergedRows& merged) {
    merged.side = side;
    merged.rows = Partition::even(rows_, grid.parts(side));
    merged.points = Partition::even(points_, grid.parts(side));

    // Each point with its number in front, to the rank whose stripe it lies in; then stripes are joined.
    const Partition stripes = stripes_of(grid, side, merged.points);
    const std::int64_t pieces = grid.sharers(side).size(), d = dimension_;
    std::vector<std::vector<double>> outgoing(static_cast<std::size_t>(world_.size()));
    for (std::int64_t k = 0; k < table_.size(); ++k) {
        const std::int64_t point = point_of(first_row_[static_cast<std::size_t>(k)]);
        const std::int64_t stripe = stripes.owner(GlobalIndex{point}).value;
        auto& to = outgoing[static_cast<std::size_t>(rank_of(grid, side, stripe / pieces, stripe % pieces))];
        to.push_back(static_cast<double>(point));
        to.insert(to.end(), table_.row(k).begin(), table_.row(k).end());
    }
    table_ = RowTable{dimension_};
    const GlobalRun own = my_stripe(grid, side, merged.points);
    std::vector<double> mine(static_cast<std::size_t>(own.count * d));
    for (const std::vector<double>& incoming : world_.exchange(std::move(outgoing))) {
        for (auto at = incoming.begin(); at != incoming.end(); at += d + 1)
            std::copy_n(at + 1, d, mine.begin() + (static_cast<std::int64_t>(*at) - own.first.value) * d);
    }
    DistributedCloud cloud{merged.points, {}};
    cloud.local = {merged.points.count(grid.part(side)), d, join_stripes(grid, side, merged.points, d, mine), {}};
    cloud.local.weights.assign(static_cast<std::size_t>(cloud.local.rows), 0.0);

    // What became of this part's rows.
    const GlobalRun part = merged.rows.run(grid.part(side));
    merged.point_of_row.clear();
    for (const Portion& portion : portions_) {
        const std::vector<double> first_rows = world_.gather_all(portion.first_rows);
        const GlobalRun common = intersect(part, portion.all);
        for (std::int64_t i = 0; i < common.count; ++i) {
            const std::int64_t at = common.first.value - portion.all.first.value + i;
            merged.point_of_row.push_back(
                point_of(static_cast<std::int64_t>(first_rows[static_cast<std::size_t>(at)])));
        }
    }
    portions_.clear();
    const GlobalRun points = merged.points.run(grid.part(side));
    merged.first_row.clear();
    for (std::int64_t word = 0; word < std::ssize(is_first_); ++word) {
        std::int64_t point = before_[static_cast<std::size_t>(word)];
        for (std::uint64_t left = word_of(is_first_, word); left != 0; left &= left - 1, ++point)
            if (point >= points.first.value && point < points.first.value + points.count)
                merged.first_row.push_back(word * bits + std::countr_zero(left));
    }
    return cloud;
}

}  // namespace convoy
