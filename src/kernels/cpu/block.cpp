// The CPU backend: rounds and centres the points once, cuts every verb into tiles (call.hpp), runs them on OpenMP
// threads.

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "kernels/block.hpp"
#include "kernels/cpu/call.hpp"
#include "kernels/cpu/picks.hpp"

namespace convoy {

namespace {

using cpu::Aligned;
using cpu::allocate;
using cpu::BlockPoints;
using cpu::ceil_div;
using cpu::CostOffsets;
using cpu::no_mass;
using cpu::PairForm;
using cpu::RoundedCloud;
using cpu::task_rows;
using cpu::Tile;

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double ln2 = std::numbers::ln2;

template <class T>
class CpuBlock final : public Block {
 public:
    explicit CpuBlock(const BlockProblem& problem)
        : kernels_{cpu::tile_kernels<T>()},
          points_{problem},
          problem_{problem},
          reference_{make_reference_block(problem)} {}

    void reduce(Side stays, LocalRun range, const Potentials& potentials, double epsilon, Safety safety,
                Sums& out) const override {
        if (points_.kept && stays == Side::column && safety == Safety::shifted) {
            return reduce_kept_columns(range, potentials, epsilon, out);
        }
        std::vector<double> none;
        run(stays, range, potentials, epsilon, safety, nullptr, out, none);
    }

    void apply(Side stays, LocalRun range, const Potentials& potentials, double epsilon, Safety safety,
               const Weighting& weighting, Sums& out, std::vector<double>& values) const override {
        run(stays, range, potentials, epsilon, safety, &weighting, out, values);
    }

    void pick(Side stays, LocalRun range, const Potentials& potentials, double epsilon, const PickRule& rule,
              Picks& out) const override {
        cpu::pick(points_, problem_, *reference_, stays, range, potentials, epsilon, rule, out);
    }

    Kept kept_products() const override {
        return points_.kept ? Kept{static_cast<double>(points_.kept->bytes()), points_.kept->seconds()} : Kept{};
    }

    double rounding_of_cost() const override {
        const double ulp = static_cast<double>(std::numeric_limits<T>::epsilon());
        const double largest = std::max(points_.sides[0].largest_norm, points_.sides[1].largest_norm);
        if (points_.cost.uses_products()) return ulp * points_.cost.product_factor() / 2 * largest * largest;
        return ulp * points_.cost.range_bound(points_.sides[0].largest_norm, points_.sides[1].largest_norm);
    }

 private:
    using Call = cpu::Call<T>;

    // A task's working memory.
    struct Scratch {
        Aligned<T> x, f, products, logits, costs, densities, maximum, rescale, row_offsets, density_rows, limits;
        std::vector<double> sums, values, correction;
        std::vector<double> large, dropped;  // where small terms are left out: lane after lane
        bool any_values = false;             // values are not all zero
    };

    std::int64_t panel() const { return kernels_.panel_rows; }

    Scratch scratch(const Call& call) const {
        const auto p = static_cast<std::size_t>(panel());
        Scratch s;
        if (call.form != PairForm::kept) s.x = allocate<T>(panel() * points_.dimension);
        s.f = allocate<T>(panel());
        s.correction.resize(p);
        s.sums.resize(p);
        if (!call.buffered()) return s;
        if (call.transposed()) s.products = allocate<T>(panel() * call.tile);
        s.logits = allocate<T>(panel() * call.tile);
        s.costs = allocate<T>(panel() * call.tile);
        s.densities = allocate<T>(panel() * call.tile);
        s.maximum = allocate<T>(panel());
        s.rescale = allocate<T>(panel());
        s.row_offsets = allocate<T>(panel());
        s.density_rows = allocate<T>(panel());
        if (call.weighting != nullptr) s.values.resize(p * static_cast<std::size_t>(call.weighting->width));
        if (!call.leaves_out()) return s;
        s.limits = allocate<T>(panel());
        s.large.resize(s.values.size());
        s.dropped.resize(p);
        return s;
    }

    void reduce_kept_columns(LocalRun range, const Potentials& potentials, double epsilon, Sums& out) const {
        const Call call{points_, Side::column, range, potentials, epsilon, Safety::shifted, nullptr};
        const auto count = static_cast<std::size_t>(range.count);
        std::vector<T> g(count);
        std::vector<double> correction(count);
        for (std::size_t j = 0; j < count; ++j) {
            const std::size_t at = static_cast<std::size_t>(range.first.value) + j;
            const double exact = call.own_logit(potentials.g[at], points_.sides[1].own[at]);
            g[j] = static_cast<T>(exact);
            correction[j] = exact - static_cast<double>(g[j]);
        }
        out.sum = cpu::column_sums<T>(
            {*points_.kept, call.kept_unit(), points_.sides[0].rows, call.g.get(), call.w.get(), range.first.value, g});
        out.max.clear();
        for (std::size_t j = 0; j < count; ++j) out.sum[j] *= std::exp2(correction[j]);
    }

    // Panels of kept products begin at multiples of their rows: a range that does not is begun earlier, and cut.
    void run(Side stays, LocalRun range, const Potentials& potentials, double epsilon, Safety safety,
             const Weighting* weighting, Sums& out, std::vector<double>& values) const {
        const std::int64_t early = points_.kept && stays == Side::row ? range.first.value % panel() : 0;
        const LocalRun whole_panels{LocalIndex{range.first.value - early}, range.count > 0 ? range.count + early : 0};
        run_tasks(stays, whole_panels, potentials, epsilon, safety, weighting, out, values);
        if (early == 0 || range.count == 0) return;
        const auto drop = [&](std::vector<double>& of, std::int64_t width) {
            if (!of.empty()) of.erase(of.begin(), of.begin() + early * width);
        };
        drop(out.sum, 1);
        drop(out.max, 1);
        drop(out.dropped, 1);
        if (weighting != nullptr) drop(values, weighting->width);
    }

    void run_tasks(Side stays, LocalRun range, const Potentials& potentials, double epsilon, Safety safety,
                   const Weighting* weighting, Sums& out, std::vector<double>& values) const {
        const Call call{points_, stays, range, potentials, epsilon, safety, weighting};
        const std::int64_t width = call.width();
        const std::int64_t rows = range.count;
        const auto size = static_cast<std::size_t>(rows);
        std::vector<Sums> partial(static_cast<std::size_t>(call.chunks));
        std::vector<std::vector<double>> partial_values(partial.size());
        for (std::size_t c = 0; c < partial.size(); ++c) {
            partial[c].sum.resize(size);
            if (call.safe) partial[c].max.resize(size);
            if (call.leaves_out()) partial[c].dropped.resize(size);
            partial_values[c].resize(size * static_cast<std::size_t>(width));
        }
        // Memory is asked for before the threads start: an exception must not leave a parallel region.
        std::vector<Scratch> scratches;
        const std::int64_t together = panels_together(call);
        for (std::int64_t k = 0; k < omp_get_max_threads() * together; ++k) scratches.push_back(scratch(call));

        const std::int64_t blocks = ceil_div(rows, task_rows);
        // Waking threads costs more than a small problem.
        const bool worth_it = static_cast<double>(rows) * static_cast<double>(call.summed().rows) > 1e5;
        const auto work = [&](std::int64_t task) {
            const std::int64_t begin = task / call.chunks * task_rows;
            const auto c = static_cast<std::size_t>(task % call.chunks);
            const std::span<Scratch> mine{&scratches[static_cast<std::size_t>(omp_get_thread_num() * together)],
                                          static_cast<std::size_t>(together)};
            const std::int64_t end = std::min(begin + task_rows, rows);
            for (std::int64_t row = begin; row < end; row += together * panel()) {
                run_panels(call, mine, row, std::min(together * panel(), end - row), static_cast<std::int64_t>(c),
                           partial[c], partial_values[c]);
            }
        };
        const std::int64_t tasks = blocks * call.chunks;
        if (call.form == PairForm::kept) {
            // Equal shares: threads meet the memory that they touched first.
#pragma omp parallel for schedule(static) if (worth_it)
            for (std::int64_t task = 0; task < tasks; ++task) work(task);
        } else {
#pragma omp parallel for schedule(dynamic, 1) if (worth_it)
            for (std::int64_t task = 0; task < tasks; ++task) work(task);
        }
        join(call, width, partial, partial_values, out, values);
    }

    // Partial results of the chunks, in order.
    static void join(const Call& call, std::int64_t width, std::vector<Sums>& partial,
                     std::vector<std::vector<double>>& partial_values, Sums& out, std::vector<double>& values) {
        out = std::move(partial[0]);
        values = std::move(partial_values[0]);
        for (std::size_t c = 1; c < partial.size(); ++c) {
            for (std::size_t i = 0; i < out.sum.size(); ++i) {
                double keep = 1, take = 1;
                if (call.safe) {
                    const double larger = std::max(out.max[i], partial[c].max[i]);
                    keep = out.max[i] == -infinity ? 0 : std::exp(out.max[i] - larger);
                    take = partial[c].max[i] == -infinity ? 0 : std::exp(partial[c].max[i] - larger);
                    out.max[i] = larger;
                }
                out.sum[i] = keep * out.sum[i] + take * partial[c].sum[i];
                if (call.leaves_out()) out.dropped[i] = keep * out.dropped[i] + take * partial[c].dropped[i];
                for (std::size_t k = i * static_cast<std::size_t>(width); k < (i + 1) * static_cast<std::size_t>(width);
                     ++k) {
                    values[k] = keep * values[k] + take * partial_values[c][k];
                }
            }
        }
    }

    // A tile of summed points serves all panels of a task while it is in the cache. Buffers and columns of values want
    // the cache for themselves, kept products are met once: panel after panel then.
    std::int64_t panels_together(const Call& call) const {
        return call.buffered() || call.form == PairForm::kept ? 1 : task_rows / panel();
    }

    // Rows [row, row + count) of the range, against chunk `c` of the summed side.
    void run_panels(const Call& call, std::span<Scratch> panels, std::int64_t row, std::int64_t count, std::int64_t c,
                    Sums& out, std::vector<double>& values) const {
        const auto for_each_panel = [&](const auto& use) {
            for (std::int64_t done = 0; done < count; done += panel()) {
                use(panels[static_cast<std::size_t>(done / panel())], row + done, std::min(panel(), count - done));
            }
        };
        for_each_panel([&](Scratch& s, std::int64_t first, std::int64_t rows) { begin_panel(call, s, first, rows); });
        const std::int64_t end = std::min((c + 1) * call.chunk, call.summed().rows);
        for (std::int64_t j = c * call.chunk; j < end; j += call.tile) {
            const std::int64_t columns = std::min(call.tile, end - j);
            for_each_panel([&](Scratch& s, std::int64_t first, std::int64_t rows) {
                add_tile(call, s, call.range.first.value + first, rows, j, columns);
            });
        }
        for_each_panel(
            [&](Scratch& s, std::int64_t first, std::int64_t rows) { store(call, s, first, rows, out, values); });
    }

    void begin_panel(const Call& call, Scratch& s, std::int64_t row, std::int64_t count) const {
        load_panel(call, s, call.range.first.value + row, count);
        std::fill(s.sums.begin(), s.sums.end(), 0.0);
        if (s.any_values) std::fill(s.values.begin(), s.values.end(), 0.0);
        s.any_values = false;
        std::fill(s.large.begin(), s.large.end(), 0.0);
        std::fill(s.dropped.begin(), s.dropped.end(), 0.0);
        if (s.maximum) std::fill_n(s.maximum.get(), panel(), call.safe ? static_cast<T>(no_mass) : T(0));
    }

    // The panel of staying points [first, first + count) against the summed points [j, j + columns).
    void add_tile(const Call& call, Scratch& s, std::int64_t first, std::int64_t count, std::int64_t j,
                  std::int64_t columns) const {
        Tile<T> tile{};
        tile.form = call.form;
        tile.factor = call.cost_factor();
        tile.scale = static_cast<T>(call.scale);
        tile.p = static_cast<T>(points_.cost.p());
        tile.dimension = points_.dimension;
        tile.x = s.x.get();
        tile.f = s.f.get();
        tile.y = call.summed().points.get() + j * points_.dimension;
        tile.g = call.g.get() + j;
        tile.w = call.w.get() + j;
        tile.columns = columns;
        if (call.form == PairForm::kept) tile.unit = call.kept_unit();
        if (call.transposed()) {
            points_.kept->transpose(j, columns, first, count, s.products.get());
            tile.products = s.products.get();
        } else if (call.form == PairForm::kept) {
            tile.products = points_.kept->at(first / panel(), j);
        }
        if (s.logits) {
            add_buffered(call, s, tile, j);
        } else {
            kernels_.add_sums(tile, s.sums.data());
        }
    }

    // Coordinate-major points and own logits of a panel; unused lanes repeat the last point.
    void load_panel(const Call& call, Scratch& s, std::int64_t first, std::int64_t count) const {
        const RoundedCloud<T>& staying = call.staying();
        const double unit = call.form == PairForm::product ? call.scale * call.factor : 1;
        // Scaling rounds the points once more: their norms are then taken from what the products will see.
        const bool rounded_again = sizeof(T) < sizeof(double) && unit != 1 && unit != 0;
        const bool own_counts = call.own_terms_count();
        for (std::int64_t lane = 0; lane < panel(); ++lane) {
            const std::int64_t i = first + std::min(lane, count - 1);
            const auto at = static_cast<std::size_t>(i);
            double own = own_counts ? staying.own[at] : 0;
            if (call.form != PairForm::kept) {
                const T* x = staying.points.get() + i * points_.dimension;
                T* const to = s.x.get() + lane;
                for (std::int64_t k = 0; k < points_.dimension; ++k) {
                    to[k * panel()] = static_cast<T>(static_cast<double>(x[k]) * unit);
                }
                if (rounded_again) own = points_.own_term(to, panel(), points_.dimension, 1 / unit);
            }
            const double exact = call.own_logit(call.potential[at], own);
            const T rounded_f = static_cast<T>(exact);
            s.f[static_cast<std::size_t>(lane)] = rounded_f;
            s.correction[static_cast<std::size_t>(lane)] = exact - static_cast<double>(rounded_f);
            if (call.density_columns) {
                s.density_rows[static_cast<std::size_t>(lane)] =
                    static_cast<T>(s.correction[static_cast<std::size_t>(lane)]);
            }
            if (call.cost_columns) {
                s.row_offsets[static_cast<std::size_t>(lane)] =
                    static_cast<T>((own_counts ? own : 0) - call.weighting->shift);
            }
        }
    }

    void add_buffered(const Call& call, Scratch& s, const Tile<T>& tile, std::int64_t j) const {
        T* costs = call.cost_columns ? s.costs.get() : nullptr;
        const CostOffsets<T> offsets{s.row_offsets.get(), call.cost_columns ? call.cost_columns.get() + j : nullptr};
        kernels_.logits(tile, offsets, s.logits.get(), costs);
        if (call.density_columns) {
            kernels_.densities(s.logits.get(), tile.columns, s.density_rows.get(), call.density_columns.get() + j,
                               s.densities.get());
        }
        if (call.safe) {
            kernels_.raise_maximum(s.logits.get(), tile.columns, s.maximum.get(), s.rescale.get());
            rescale(s);
        }
        kernels_.exponentials(s.logits.get(), tile.columns, tile.w, s.maximum.get(), s.sums.data());
        if (call.weighting == nullptr) return;
        s.any_values = s.any_values || !call.leaves_out();
        switch (call.weighting->kind) {
            case Weighting::Kind::columns:
                return add_columns(call, s, tile.columns, call.columns.get() + j * call.width());
            case Weighting::Kind::cost:
                return kernels_.add_costs(s.logits.get(), costs, tile.columns, s.values.data());
            case Weighting::Kind::values:
                return kernels_.add_values(s.logits.get(), costs, s.densities.get(), tile.columns, s.values.data());
            case Weighting::Kind::gradient:
                return kernels_.add_gradients(tile, s.logits.get(), costs, s.values.data());
        }
    }

    // The tile's terms times its rows of the columns: a matrix product, unless most terms may be left out.
    void add_columns(const Call& call, Scratch& s, std::int64_t columns, const T* v) const {
        const std::int64_t width = call.width();
        if (width == 0) return;
        if (call.leaves_out()) {
            // What is small beside the sum so far is small beside all of it.
            for (std::size_t i = 0; i < s.sums.size(); ++i)
                s.limits[i] = static_cast<T>(call.weighting->negligible * s.sums[i]);
            constexpr std::int64_t one_in = 8;  // a term by itself costs several times what it does in a product
            if (kernels_.count_large(s.logits.get(), columns, s.limits.get()) * one_in < columns * panel()) {
                return kernels_.add_large_columns(s.logits.get(), columns, s.limits.get(), v, width, s.large.data(),
                                                  s.dropped.data());
            }
        }
        s.any_values = true;
        kernels_.add_columns(s.logits.get(), columns, v, width, s.values.data());
    }

    // After the maximum has risen. It soon stops rising, and wide values are many.
    void rescale(Scratch& s) const {
        const std::size_t lanes = s.sums.size();
        if (std::all_of(s.rescale.get(), s.rescale.get() + lanes, [](T factor) { return factor == 1; })) return;
        for (std::size_t i = 0; i < lanes; ++i) s.sums[i] *= static_cast<double>(s.rescale[i]);
        if (s.any_values) {
            for (std::size_t k = 0; k < s.values.size(); k += lanes)
                for (std::size_t i = 0; i < lanes; ++i) s.values[k + i] *= static_cast<double>(s.rescale[i]);
        }
        const std::size_t width = s.large.size() / lanes;
        for (std::size_t lane = 0; lane < s.dropped.size(); ++lane) {
            const auto factor = static_cast<double>(s.rescale[lane]);
            if (factor == 1) continue;
            s.dropped[lane] *= factor;
            for (std::size_t k = lane * width; k < (lane + 1) * width; ++k) s.large[k] *= factor;
        }
    }

    void store(const Call& call, const Scratch& s, std::int64_t row, std::int64_t count, Sums& out,
               std::vector<double>& values) const {
        const std::int64_t width = call.width();
        for (std::int64_t lane = 0; lane < count; ++lane) {
            const auto from = static_cast<std::size_t>(lane);
            const auto to = static_cast<std::size_t>(row + lane);
            double factor = 1;
            if (call.safe) {
                const double largest = static_cast<double>(s.maximum[from]);
                out.max[to] = largest <= no_mass / 2 ? -infinity : ln2 * (largest + s.correction[from]);
            } else {
                factor = std::exp2(s.correction[from]);
            }
            out.sum[to] = factor * s.sums[from];
            if (call.leaves_out()) out.dropped[to] = factor * s.dropped[from];
            for (std::int64_t k = 0; k < width; ++k) {
                const double mean = call.column_means.empty() ? 0 : call.column_means[static_cast<std::size_t>(k)];
                const double unit = call.density_columns && k == 1 ? ln2 : 1;  // densities are kept in log 2
                const double large = call.leaves_out() ? s.large[static_cast<std::size_t>(lane * width + k)] : 0;
                values[to * static_cast<std::size_t>(width) + static_cast<std::size_t>(k)] =
                    unit * factor *
                    (s.values[static_cast<std::size_t>(k * panel() + lane)] + large + mean * s.sums[from]);
            }
        }
    }

    const cpu::TileKernels<T>& kernels_;
    BlockPoints<T> points_;
    BlockProblem problem_;
    std::unique_ptr<Block> reference_;  // for picks
};

}  // namespace

std::string cpu_tiling() {
    return std::to_string(task_rows) + " rows, " + std::to_string(cpu::tile_bytes) + " bytes, at most " +
           std::to_string(cpu::longest_tile) + " points";
}

const char* cpu_instruction_set() {
    return cpu::tile_kernels<float>().instruction_set;
}

std::unique_ptr<Block> make_cpu_block(const BlockProblem& problem) {
    if (problem.precision == Precision::single) return std::make_unique<CpuBlock<float>>(problem);
    return std::make_unique<CpuBlock<double>>(problem);
}

}  // namespace convoy
