#include "kernels/cpu/picks.hpp"

#include <omp.h>

#include <algorithm>
#include <exception>
#include <limits>
#include <optional>

#include "kernels/cpu/pick_bounds.hpp"
#include "kernels/cpu/pick_rows.hpp"
#include "kernels/cpu/pick_tile.hpp"
#include "kernels/cpu/tile_order.hpp"
#include "kernels/pick.hpp"

namespace convoy::cpu {

namespace {

constexpr std::int64_t tile_columns = 256;      // at most: what a tile finds, and its logits, stay in the L2 cache
constexpr std::int64_t computed_columns = 252;  // register blocks of six
constexpr std::int64_t kept_columns = 128;      // whole panels, which are turned round
constexpr std::int64_t kept_run = 16;           // tiles of kept products that are read one after the other
constexpr std::int64_t shortest_chunk = 8192;   // of the summed side
constexpr std::int64_t few_picks = 4;           // too few to look at groups of columns first
constexpr std::int64_t many_picks = 1024;       // whose rows' candidates fill the cache by themselves

// Rows [first, first + count) of the block, whole panels, those of them in `range`; columns [begin, end).
struct Task {
    std::int64_t first, count;
    std::int64_t begin, end;
};

// Waking threads costs more than a small problem.
bool worth_waking(std::int64_t rows, std::int64_t columns) {
    return static_cast<double>(rows) * static_cast<double>(columns) > 1e5;
}

constexpr std::int64_t everything = std::numeric_limits<std::int64_t>::max();

template <class T>
class Picking {
 public:
    Picking(const BlockPoints<T>& points, const BlockProblem& problem, Side stays, LocalRun range,
            const Potentials& potentials, double epsilon, const PickRule& rule)
        : points_{points},
          stays_{stays},
          range_{range},
          rule_{rule},
          bounds_{points, problem, stays, range, potentials, epsilon, rule},
          scores_{problem, stays, potentials, epsilon, rule},
          tile_{bounds_.form == PairForm::kept ? kept_columns
                                               : std::min(computed_columns, columns_of_tile<T>(points.dimension))} {
        const std::int64_t panel = points.panel_rows;
        const bool together = bounds_.form != PairForm::kept && rule.count <= many_picks;
        task_rows_ = together ? task_rows : panel;
        // Kept products lie in panels that begin at multiples of their rows.
        first_ = bounds_.form == PairForm::kept ? range.first.value / panel * panel : range.first.value;
        tasks_ = ceil_div(range.first.value + range.count - first_, task_rows_);
        const std::int64_t columns = summed().rows;
        // Few rows: the summed side is shared out as well.
        const std::int64_t wanted = ceil_div(4 * omp_get_max_threads(), std::max<std::int64_t>(tasks_, 1));
        const std::int64_t chunks = std::clamp<std::int64_t>(columns / shortest_chunk, 1, wanted);
        chunk_ = std::max<std::int64_t>(ceil_div(ceil_div(columns, chunks), tile_columns), 1) * tile_columns;
        chunks_ = std::max<std::int64_t>(ceil_div(columns, chunk_), 1);
    }

    // The picks, and which rows have none yet.
    Picks run(std::vector<char>& look_closer) {
        std::vector<Picks> parts;
        for (std::int64_t c = 0; c < chunks_; ++c) parts.push_back(no_picks(range_.count, rule_.count));
        look_closer.assign(static_cast<std::size_t>(range_.count * chunks_), 0);
        // Memory is asked for before the threads start: an exception must not leave a parallel region.
        std::vector<Scratch> scratches;
        for (int t = 0; t < omp_get_max_threads(); ++t) scratches.push_back(scratch());
        const auto work = [&](std::int64_t task) {
            const std::int64_t c = task % chunks_;
            const std::int64_t first = first_ + task / chunks_ * task_rows_;
            const std::int64_t end = std::min(first + task_rows_, range_.first.value + range_.count);
            pick_rows(scratches[static_cast<std::size_t>(omp_get_thread_num())],
                      {first, end - first, c * chunk_, std::min((c + 1) * chunk_, summed().rows)},
                      parts[static_cast<std::size_t>(c)], look_closer.data() + c * range_.count);
        };
        const bool worth_it = worth_waking(range_.count, summed().rows);
        if (bounds_.form == PairForm::kept) {
            // Equal shares: threads meet the memory that they touched first.
#pragma omp parallel for schedule(static) if (worth_it)
            for (std::int64_t task = 0; task < tasks_ * chunks_; ++task) work(task);
        } else {
#pragma omp parallel for schedule(dynamic, 1) if (worth_it)
            for (std::int64_t task = 0; task < tasks_ * chunks_; ++task) work(task);
        }
        for (std::size_t k = static_cast<std::size_t>(range_.count); k < look_closer.size(); ++k)
            look_closer[k % static_cast<std::size_t>(range_.count)] |= look_closer[k];
        look_closer.resize(static_cast<std::size_t>(range_.count));
        return chunks_ == 1 ? std::move(parts.front()) : best_of(parts);
    }

 private:
    static constexpr T infinity = std::numeric_limits<T>::infinity();

    // A thread's working memory.
    struct Scratch {
        Aligned<T> x, zeros, products, logits, largest;
        std::vector<Found<T>> found;
        std::optional<BestOfRows<T>> best;
    };

    const RoundedCloud<T>& staying() const {
        return points_.side(stays_);
    }
    const RoundedCloud<T>& summed() const {
        return points_.side(other(stays_));
    }
    std::int64_t panel() const {
        return points_.panel_rows;
    }
    bool transposed() const {
        return bounds_.form == PairForm::kept && stays_ == Side::column;
    }
    bool draws() const {
        return rule_.kind == PickRule::Kind::sample;
    }

    Scratch scratch() const {
        Scratch s;
        if (bounds_.form != PairForm::kept) s.x = allocate<T>(task_rows_ * points_.dimension);
        s.zeros = allocate<T>(panel());
        std::fill_n(s.zeros.get(), panel(), T(0));
        if (transposed()) s.products = allocate<T>(panel() * tile_columns);
        s.logits = allocate<T>(panel() * tile_columns);
        if (rule_.count <= many_picks) s.largest = allocate<T>(task_rows_ * rule_.count);
        s.found.resize(static_cast<std::size_t>(panel() * tile_columns));
        // A short range leaves slots empty: they need no room.
        const std::int64_t filled = std::min(range_.first.value - first_ + range_.count, task_rows_);
        s.best.emplace(bounds_, scores_, rule_, stays_, task_rows_, filled, std::min(chunk_, summed().rows));
        return s;
    }

    bool asked_for(std::int64_t i) const {
        return i >= range_.first.value && i < range_.first.value + range_.count;
    }

    std::int64_t slot_of(std::int64_t i) const {
        return (i - range_.first.value) * rule_.count;
    }

    static void nothing(std::int64_t) {}

    // Calls use(slot, row) for the rows of a task that were asked for, leave(slot) for the others; slots are its rows.
    template <class Use, class Leave = void (*)(std::int64_t)>
    void for_each_slot(const Task& task, const Use& use, const Leave& leave = nothing) const {
        for (std::int64_t r = 0; r < task_rows_; ++r) {
            if (r < task.count && asked_for(task.first + r)) {
                use(r, task.first + r);
            } else {
                leave(r);
            }
        }
    }

    void pick_rows(Scratch& s, const Task& task, Picks& out, char* look_closer) const {
        load_points(s, task);
        find_best(s, task);
        for_each_slot(task, [&](std::int64_t r, std::int64_t i) {
            std::int64_t slot = slot_of(i);
            for (const Scored& pick : s.best->finish(r)) {
                out.index[static_cast<std::size_t>(slot)] = scores_.summed_number(pick.j).value;
                out.score[static_cast<std::size_t>(slot++)] = pick.score;
            }
            look_closer[i - range_.first.value] = s.best->look_closer(r);
        });
    }

    void find_best(Scratch& s, const Task& task) const {
        const PickKernels<T>& kernels = pick_kernels<T>();
        for_each_slot(
            task, [&](std::int64_t r, std::int64_t i) { s.best->begin(r, i); },
            [&](std::int64_t r) { s.best->leave_empty(r); });
        expect_groups(s, task);
        for_each_tile(s, task, everything, [&](const Tile<T>& tile, std::int64_t r, std::int64_t j) {
            const std::int64_t found =
                draws() ? find_arrivals(s, tile, r, j) : kernels.find(tile, s.best->limits() + r, s.found.data());
            for (const Found<T>& f : std::span{s.found.data(), static_cast<std::size_t>(found)}) {
                if (!asked_for(task.first + r + f.lane)) continue;
                if (draws()) {
                    s.best->offer_arrivals(r + f.lane, f.value, j + f.column);
                } else {
                    s.best->offer(r + f.lane, f.value, j + f.column);
                }
            }
        });
    }

    // To let few pass from the beginning: the largest logits of groups of columns, a part of all, are logits of as many
    // entries. In vectors these cost little; an entry that passes costs as much as a hundred that do not.
    void expect_groups(Scratch& s, const Task& task) const {
        const std::int64_t count = rule_.count, columns = std::min(64 * count, (task.end - task.begin) / 4);
        const std::int64_t group = std::clamp<std::int64_t>(columns / (4 * count), 4, 16);
        if (count < few_picks || count > many_picks || columns < 2 * count * group) return;
        const std::int64_t numbers = count * panel();
        std::fill_n(s.largest.get(), ceil_div(task.count, panel()) * numbers, -infinity);
        for_each_tile(s, task, columns / tile_, [&](const Tile<T>& tile, std::int64_t r, std::int64_t j) {
            tile_kernels<T>().logits(tile, {}, s.logits.get(), nullptr);
            if (draws()) pick_kernels<T>().add_least_noise(race_of(s, tile, r, j), s.logits.get());
            pick_kernels<T>().keep_largest(s.logits.get(), tile.columns, bounds_.twice.get() + j, group,
                                           s.largest.get() + r / panel() * numbers, count);
        });
        for_each_slot(task, [&](std::int64_t r, std::int64_t) {
            s.best->expect(r, s.largest[r / panel() * numbers + (count - 1) * panel() + r % panel()]);
        });
    }

    std::int64_t find_arrivals(Scratch& s, const Tile<T>& tile, std::int64_t r, std::int64_t j) const {
        tile_kernels<T>().logits(tile, {}, s.logits.get(), nullptr);
        return pick_kernels<T>().find_arrivals(race_of(s, tile, r, j), s.found.data());
    }

    RaceTile<T> race_of(const Scratch& s, const Tile<T>& tile, std::int64_t r, std::int64_t j) const {
        RaceTile<T> race;
        race.logits = s.logits.get();
        race.columns = tile.columns;
        race.first = scores_.summed_number(j).value;
        s.best->fill(r, race);
        return race;
    }

    // Calls use(tile, r, j) for every tile of the task, which begins with slot r and column j. Not for all columns, but
    // `most` tiles of them.
    template <class Use>
    void for_each_tile(Scratch& s, const Task& task, std::int64_t most, const Use& use) const {
        const TileOrder order{task.end - task.begin, tile_, bounds_.form == PairForm::kept ? kept_run : 1};
        const auto for_each_panel = [&](std::int64_t j, std::int64_t columns) {
            for (std::int64_t r = 0; r < task.count; r += panel()) {
                use(tile_of(s, task, r, j, columns), r, j);
            }
        };
        order.for_each(most, [&](std::int64_t t) {
            const std::int64_t j = task.begin + t * tile_;
            const std::int64_t end = std::min(j + tile_, task.end);
            // Before the first tile is through nothing has been reached, and everything passes: it begins short.
            std::int64_t columns = t == 0 ? std::min(panel(), tile_) : tile_;
            for (std::int64_t at = j; at < end; at += columns) {
                if (at > j && at - j >= 2 * columns) columns = at - j;
                for_each_panel(at, std::min(columns, end - at));
            }
        });
    }

    // Coordinate-major points of all panels; unused lanes repeat the last point.
    void load_points(Scratch& s, const Task& task) const {
        if (bounds_.form == PairForm::kept) return;
        const std::int64_t d = points_.dimension;
        const double unit = bounds_.form == PairForm::product ? bounds_.cost_unit * bounds_.factor : 1;
        for (std::int64_t r = 0; r < ceil_div(task.count, panel()) * panel(); ++r) {
            const T* const from = staying().points.get() + (task.first + std::min(r, task.count - 1)) * d;
            T* const to = s.x.get() + r / panel() * panel() * d + r % panel();
            for (std::int64_t k = 0; k < d; ++k) to[k * panel()] = static_cast<T>(static_cast<double>(from[k]) * unit);
        }
    }

    Tile<T> tile_of(Scratch& s, const Task& task, std::int64_t r, std::int64_t j, std::int64_t columns) const {
        Tile<T> tile{};
        tile.form = bounds_.form;
        tile.factor = static_cast<T>(bounds_.factor);
        tile.scale = static_cast<T>(bounds_.cost_unit);
        tile.p = static_cast<T>(points_.cost.p());
        tile.dimension = points_.dimension;
        tile.f = s.zeros.get();
        tile.g = bounds_.g.get() + j;
        tile.columns = columns;
        if (bounds_.form != PairForm::kept) {
            tile.x = s.x.get() + r * points_.dimension;
            tile.y = summed().points.get() + j * points_.dimension;
            return tile;
        }
        const std::int64_t first = task.first + r;
        tile.unit = static_cast<T>(bounds_.cost_unit * bounds_.factor / points_.kept->unit());
        tile.products = s.products.get();
        if (transposed()) {
            points_.kept->transpose(j, columns, first, std::min(panel(), task.count - r), s.products.get());
        } else {
            tile.products = points_.kept->at(first / panel(), j);
        }
        return tile;
    }

    const BlockPoints<T>& points_;
    Side stays_;
    LocalRun range_;
    PickRule rule_;
    PickBounds<T> bounds_;
    PairScores scores_;
    std::int64_t tile_, task_rows_ = 0, first_ = 0, tasks_ = 0, chunk_ = 0, chunks_ = 0;
};

// Row by row, as the reference does it.
void look_closer(const Block& reference, std::int64_t columns, Side stays, LocalRun range, const Potentials& potentials,
                 double epsilon, const PickRule& rule, const std::vector<char>& rows, Picks& out) {
    std::vector<std::int64_t> wanted;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (rows[i]) wanted.push_back(static_cast<std::int64_t>(i));
    }
    std::exception_ptr failure;
#pragma omp parallel for schedule(dynamic, 1) if (worth_waking(std::ssize(wanted), columns))
    for (std::size_t k = 0; k < wanted.size(); ++k) {
        try {
            Picks row;
            reference.pick(stays, {LocalIndex{range.first.value + wanted[k]}, 1}, potentials, epsilon, rule, row);
            std::ranges::copy(row.index, out.index.begin() + wanted[k] * rule.count);
            std::ranges::copy(row.score, out.score.begin() + wanted[k] * rule.count);
        } catch (...) {
#pragma omp critical
            failure = std::current_exception();
        }
    }
    if (failure) std::rethrow_exception(failure);
}

}  // namespace

template <class T>
void pick(const BlockPoints<T>& points, const BlockProblem& problem, const Block& reference, Side stays, LocalRun range,
          const Potentials& potentials, double epsilon, const PickRule& rule, Picks& out) {
    out = no_picks(range.count, rule.count);
    if (range.count == 0 || rule.count == 0 || points.side(other(stays)).rows == 0) return;
    std::vector<char> rows;
    out = Picking<T>{points, problem, stays, range, potentials, epsilon, rule}.run(rows);
    look_closer(reference, points.side(other(stays)).rows, stays, range, potentials, epsilon, rule, rows, out);
}

template void pick(const BlockPoints<float>&, const BlockProblem&, const Block&, Side, LocalRun, const Potentials&,
                   double, const PickRule&, Picks&);
template void pick(const BlockPoints<double>&, const BlockProblem&, const Block&, Side, LocalRun, const Potentials&,
                   double, const PickRule&, Picks&);

}  // namespace convoy::cpu
