// The CPU backend: rounds and centres the points once, cuts every verb into tiles, runs them on OpenMP threads.
//
// How a verb is cut depends on sizes only, never on the number of threads: results are the same bits for any of them.
//
//     staying side    tasks of task_rows points (whole panels); if there are few of them, the summed side is cut into
//                     chunks as well, whose partial results are added up in order
//     summed side     tiles whose points fill a part of the L2 cache; single-precision sums end at a tile, in fp64

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <optional>

#include "kernels/block.hpp"
#include "kernels/cpu/kept_products.hpp"
#include "kernels/cpu/rounded_cloud.hpp"
#include "kernels/cpu/tile.hpp"

namespace convoy {

namespace {

using cpu::Aligned;
using cpu::allocate;
using cpu::CostOffsets;
using cpu::KeptProducts;
using cpu::PairForm;
using cpu::RoundedCloud;
using cpu::Tile;

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double log2e = std::numbers::log2e;
constexpr double ln2 = std::numbers::ln2;
constexpr std::int64_t task_rows = 128;
constexpr std::int64_t few = 10000;  // numbers that are not worth waking threads
constexpr std::int64_t wanted_tasks = 128;
constexpr std::int64_t partial_numbers = std::int64_t{1} << 24;
constexpr std::int64_t longest_buffer = 128;  // of tiles whose logits are stored: panel x buffer stays in L1
// The logit of a point without mass: its terms are exactly 0, and a maximum this low means that there was no other.
constexpr double no_mass = -1e30;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
    return (a + b - 1) / b;
}

template <class T>
class CpuBlock final : public Block {
 public:
    explicit CpuBlock(const BlockProblem& problem)
        : problem_{problem},
          kernels_{cpu::tile_kernels<T>()},
          d_{problem.source->dimension},
          own_term_{problem.cost, problem.centre},
          sides_{RoundedCloud<T>{*problem.source, problem.cost, problem.centre, own_term_},
                 RoundedCloud<T>{*problem.target, problem.cost, problem.centre, own_term_}},
          reference_{make_reference_block(problem)} {
        choose_form();
        if (problem.keep_products && problem.cost.uses_products()) {
            kept_.emplace(sides_[0], sides_[1], d_);
        }
    }

    void reduce(Side stays, LocalRun range, const Potentials& potentials, double epsilon, Safety safety,
                Sums& out) const override {
        if (kept_ && stays == Side::column && safety == Safety::shifted) {
            return reduce_kept_columns(range, potentials, epsilon, out);
        }
        std::vector<double> none;
        run(stays, range, potentials, epsilon, safety, nullptr, out, none);
    }

    void apply(Side stays, LocalRun range, const Potentials& potentials, double epsilon, Safety safety,
               const Weighting& weighting, Sums& out, std::vector<double>& values) const override {
        run(stays, range, potentials, epsilon, safety, &weighting, out, values);
    }

    // The reference's search, in fp64.
    void pick(Side stays, LocalRun range, const Potentials& potentials, double epsilon, const PickRule& rule,
              Picks& out) const override {
        reference_->pick(stays, range, potentials, epsilon, rule, out);
    }

    Kept kept_products() const override {
        return kept_ ? Kept{static_cast<double>(kept_->bytes()), kept_->seconds()} : Kept{};
    }

    double rounding_of_cost() const override {
        const double ulp = static_cast<double>(std::numeric_limits<T>::epsilon());
        const double largest = std::max(sides_[0].largest_norm, sides_[1].largest_norm);
        if (problem_.cost.uses_products()) return ulp * problem_.cost.product_factor() / 2 * largest * largest;
        return ulp * problem_.cost.range_bound(sides_[0].largest_norm, sides_[1].largest_norm);
    }

 private:
    // Everything about one call that its tasks share.
    struct Call {
        Side stays;
        LocalRun range;
        bool safe;
        const Weighting* weighting;
        std::span<const double> potential;  // of the staying side
        PairForm form;
        double factor;       // of the form's cost
        double scale;        // log2(e) / eps, 0 for eps = infinity
        Aligned<T> g, w;     // of the summed side
        Aligned<T> columns;  // Weighting::columns, rounded about their means
        std::vector<double> column_means;
        Aligned<T> cost_columns;     // W_j in the precision of the costs
        Aligned<T> density_columns;  // -log2 of the summed weights, and what rounding took off g_j
        std::int64_t tile, chunks, chunk;
    };

    // A task's working memory.
    struct Scratch {
        Aligned<T> x, f, products, logits, costs, densities, maximum, rescale, row_offsets, density_rows;
        std::vector<double> sums, values, correction;
    };

    const RoundedCloud<T>& side(Side s) const { return sides_[s == Side::row ? 0 : 1]; }
    std::int64_t panel() const { return kernels_.panel_rows; }

    void choose_form() {
        const Cost& cost = problem_.cost;
        switch (cost.kind()) {
            case CostKind::sqeuclidean:
                form_ = PairForm::square;
                break;
            case CostKind::euclidean:
                form_ = PairForm::root;
                break;
            case CostKind::pnorm:
                form_ = cost.uses_products() ? PairForm::square : PairForm::power;
                factor_ = cost.uses_products() ? 0.5 : 1 / cost.p();
                break;
            case CostKind::dot:
            case CostKind::cosine:
                form_ = PairForm::inner;
                factor_ = -cost.product_factor();
                break;
        }
    }

    // f or g with everything of the logit that belongs to one point, in units of log 2.
    double own_logit(double potential, double own, const Call& call) const {
        return call.scale == 0 ? 0 : call.scale * (potential - own);
    }

    Call prepared(Side stays, LocalRun range, const Potentials& potentials, double epsilon, Safety safety,
                  const Weighting* weighting) const {
        Call call{};
        call.stays = stays;
        call.range = range;
        call.safe = safety == Safety::safe;
        call.weighting = weighting;
        call.potential = stays == Side::row ? potentials.f : potentials.g;
        call.scale = std::isinf(epsilon) ? 0 : log2e / epsilon;
        // Costs that are asked for come from differences, which are more exact, unless a pass over products is far
        // quicker.
        const bool costs = weighting != nullptr && weighting->kind != Weighting::Kind::columns;
        const bool gradients = costs && weighting->kind == Weighting::Kind::gradient;
        const bool products = problem_.cost.uses_products() && (!costs || (kept_ && !gradients));
        call.form = !products ? form_ : kept_ ? PairForm::kept : PairForm::product;
        call.factor = products ? problem_.cost.product_factor() : factor_;

        round_potentials(call, stays == Side::row ? potentials.g : potentials.f);
        if (weighting != nullptr && weighting->kind == Weighting::Kind::columns) round_columns(call);
        if (costs) round_offsets(call);
        cut(call);
        return call;
    }

    bool own_terms_count(const Call& call) const {
        return call.form == PairForm::product || call.form == PairForm::kept || call.form == PairForm::inner;
    }

    // g and w of the summed side: what rounding takes off a logit goes into its weight.
    void round_potentials(Call& call, std::span<const double> potential) const {
        const RoundedCloud<T>& summed = side(other(call.stays));
        // Whole panels: what lies beyond the last point has no mass.
        const std::int64_t padded = ceil_div(summed.rows, panel()) * panel();
        call.g = allocate<T>(padded);
        call.w = allocate<T>(padded);
        std::fill(call.g.get() + summed.rows, call.g.get() + padded, static_cast<T>(no_mass));
        std::fill(call.w.get() + summed.rows, call.w.get() + padded, T(0));
        const bool own = own_terms_count(call);
#pragma omp parallel for schedule(static) if (summed.rows > few)
        for (std::int64_t j = 0; j < summed.rows; ++j) {
            const auto at = static_cast<std::size_t>(j);
            const double exact = own_logit(potential[at], own ? summed.own[at] : 0, call) + summed.log_weights[at];
            const bool mass = summed.log_weights[at] > -infinity;
            const T rounded_g = static_cast<T>(mass ? exact : no_mass);
            call.g[at] = rounded_g;
            call.w[at] = mass ? static_cast<T>(std::exp2(exact - static_cast<double>(rounded_g))) : T(0);
        }
    }

    // What turns inner products into costs, and logits into log densities.
    void round_offsets(Call& call) const {
        const RoundedCloud<T>& summed = side(other(call.stays));
        call.cost_columns = allocate<T>(summed.rows);
        for (std::size_t j = 0; j < summed.own.size(); ++j) {
            call.cost_columns[j] = own_terms_count(call) ? static_cast<T>(summed.own[j]) : T(0);
        }
        if (call.weighting->kind != Weighting::Kind::values) return;
        call.density_columns = allocate<T>(summed.rows);
        for (std::size_t j = 0; j < summed.log_weights.size(); ++j) {
            const double residue = std::log2(static_cast<double>(call.w[j]));
            call.density_columns[j] = call.w[j] > 0 ? static_cast<T>(residue - summed.log_weights[j]) : T(0);
        }
    }

    // Tiles and chunks of the summed side.
    void cut(Call& call) const {
        const std::int64_t summed = side(other(call.stays)).rows;
        call.tile = call.form == PairForm::kept ? cpu::longest_tile : cpu::columns_of_tile<T>(d_);
        if (call.weighting != nullptr || call.safe) call.tile = std::min(call.tile, longest_buffer);
        const std::int64_t tasks = ceil_div(std::max<std::int64_t>(call.range.count, 1), task_rows);
        const std::int64_t width = call.weighting == nullptr ? 1 : std::max<std::int64_t>(call.weighting->width, 1);
        // Enough of them, not too short, and their partial results in bounded memory.
        const std::int64_t most = std::min(std::max<std::int64_t>(ceil_div(summed, 4 * call.tile), 1),
                                           std::max<std::int64_t>(partial_numbers / (tasks * task_rows * width), 1));
        const std::int64_t wanted = std::clamp<std::int64_t>(ceil_div(wanted_tasks, tasks), 1, most);
        call.chunk = ceil_div(ceil_div(std::max<std::int64_t>(summed, 1), wanted), call.tile) * call.tile;
        call.chunks = std::max<std::int64_t>(ceil_div(summed, call.chunk), 1);
    }

    // Averages of columns are formed about the columns' means: far-off values lose nothing in single precision.
    void round_columns(Call& call) const {
        const std::int64_t rows = side(other(call.stays)).rows;
        const std::int64_t width = call.weighting->width;
        call.column_means.assign(static_cast<std::size_t>(width), 0.0);
        const double* v = call.weighting->columns.data();
        for (std::int64_t j = 0; j < rows; ++j) {
            for (std::int64_t k = 0; k < width; ++k) call.column_means[static_cast<std::size_t>(k)] += v[j * width + k];
        }
        for (double& mean : call.column_means) mean /= static_cast<double>(std::max<std::int64_t>(rows, 1));
        call.columns = allocate<T>(rows * width);
#pragma omp parallel for schedule(static) if (rows * width > few)
        for (std::int64_t j = 0; j < rows; ++j) {
            for (std::int64_t k = 0; k < width; ++k) {
                call.columns[static_cast<std::size_t>(j * width + k)] =
                    static_cast<T>(v[j * width + k] - call.column_means[static_cast<std::size_t>(k)]);
            }
        }
    }

    Scratch scratch(const Call& call) const {
        const auto p = static_cast<std::size_t>(panel());
        Scratch s;
        if (call.form != PairForm::kept) s.x = allocate<T>(panel() * d_);
        s.f = allocate<T>(panel());
        s.correction.resize(p);
        s.sums.resize(p);
        if (call.weighting == nullptr && !call.safe) return s;
        if (transposed(call)) s.products = allocate<T>(panel() * call.tile);
        s.logits = allocate<T>(panel() * call.tile);
        s.costs = allocate<T>(panel() * call.tile);
        s.densities = allocate<T>(panel() * call.tile);
        s.maximum = allocate<T>(panel());
        s.rescale = allocate<T>(panel());
        s.row_offsets = allocate<T>(panel());
        s.density_rows = allocate<T>(panel());
        if (call.weighting != nullptr) s.values.resize(p * static_cast<std::size_t>(call.weighting->width));
        return s;
    }

    // Kept products lie row beside row: where columns stay, tiles of them are turned round.
    static bool transposed(const Call& call) {
        return call.form == PairForm::kept && call.stays == Side::column;
    }

    void reduce_kept_columns(LocalRun range, const Potentials& potentials, double epsilon, Sums& out) const {
        const Call call = prepared(Side::column, range, potentials, epsilon, Safety::shifted, nullptr);
        const auto count = static_cast<std::size_t>(range.count);
        std::vector<T> g(count);
        std::vector<double> correction(count);
        for (std::size_t j = 0; j < count; ++j) {
            const std::size_t at = static_cast<std::size_t>(range.first.value) + j;
            const double exact = own_logit(potentials.g[at], sides_[1].own[at], call);
            g[j] = static_cast<T>(exact);
            correction[j] = exact - static_cast<double>(g[j]);
        }
        out.sum = cpu::column_sums<T>(
            {*kept_, kept_unit(call), sides_[0].rows, call.g.get(), call.w.get(), range.first.value, g});
        out.max.clear();
        for (std::size_t j = 0; j < count; ++j) out.sum[j] *= std::exp2(correction[j]);
    }

    // What a kept product is multiplied with.
    T kept_unit(const Call& call) const {
        return static_cast<T>(call.scale * call.factor / kept_->unit());
    }

    // Panels of kept products begin at multiples of their rows: a range that does not is begun earlier, and cut.
    void run(Side stays, LocalRun range, const Potentials& potentials, double epsilon, Safety safety,
             const Weighting* weighting, Sums& out, std::vector<double>& values) const {
        const std::int64_t early = kept_ && stays == Side::row ? range.first.value % panel() : 0;
        const LocalRun whole_panels{LocalIndex{range.first.value - early}, range.count > 0 ? range.count + early : 0};
        run_tasks(stays, whole_panels, potentials, epsilon, safety, weighting, out, values);
        if (early == 0 || range.count == 0) return;
        const auto drop = [&](std::vector<double>& of, std::int64_t width) {
            if (!of.empty()) of.erase(of.begin(), of.begin() + early * width);
        };
        drop(out.sum, 1);
        drop(out.max, 1);
        if (weighting != nullptr) drop(values, weighting->width);
    }

    void run_tasks(Side stays, LocalRun range, const Potentials& potentials, double epsilon, Safety safety,
                   const Weighting* weighting, Sums& out, std::vector<double>& values) const {
        const Call call = prepared(stays, range, potentials, epsilon, safety, weighting);
        const std::int64_t width = weighting == nullptr ? 0 : weighting->width;
        const std::int64_t rows = range.count;
        const auto size = static_cast<std::size_t>(rows);
        std::vector<Sums> partial(static_cast<std::size_t>(call.chunks));
        std::vector<std::vector<double>> partial_values(partial.size());
        for (std::size_t c = 0; c < partial.size(); ++c) {
            partial[c].sum.resize(size);
            if (call.safe) partial[c].max.resize(size);
            partial_values[c].resize(size * static_cast<std::size_t>(width));
        }
        // Memory is asked for before the threads start: an exception must not leave a parallel region.
        std::vector<Scratch> scratches;
        const std::int64_t together = panels_together(call);
        for (std::int64_t k = 0; k < omp_get_max_threads() * together; ++k) scratches.push_back(scratch(call));

        const std::int64_t blocks = ceil_div(rows, task_rows);
        // Waking threads costs more than a small problem.
        const bool worth_it = static_cast<double>(rows) * static_cast<double>(side(other(stays)).rows) > 1e5;
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
        const bool buffered = call.safe || call.weighting != nullptr;
        return buffered || call.form == PairForm::kept ? 1 : task_rows / panel();
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
        const std::int64_t end = std::min((c + 1) * call.chunk, side(other(call.stays)).rows);
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
        std::fill(s.values.begin(), s.values.end(), 0.0);
        if (s.maximum) std::fill_n(s.maximum.get(), panel(), call.safe ? static_cast<T>(no_mass) : T(0));
    }

    // The panel of staying points [first, first + count) against the summed points [j, j + columns).
    void add_tile(const Call& call, Scratch& s, std::int64_t first, std::int64_t count, std::int64_t j,
                  std::int64_t columns) const {
        Tile<T> tile{};
        tile.form = call.form;
        tile.factor = static_cast<T>(call.form == PairForm::kept ? -call.factor / kept_->unit() : call.factor);
        tile.scale = static_cast<T>(call.scale);
        tile.p = static_cast<T>(problem_.cost.p());
        tile.dimension = d_;
        tile.x = s.x.get();
        tile.f = s.f.get();
        tile.y = side(other(call.stays)).points.get() + j * d_;
        tile.g = call.g.get() + j;
        tile.w = call.w.get() + j;
        tile.columns = columns;
        if (call.form == PairForm::kept) tile.unit = kept_unit(call);
        if (transposed(call)) {
            kept_->transpose(j, columns, first, count, s.products.get());
            tile.products = s.products.get();
        } else if (call.form == PairForm::kept) {
            tile.products = kept_->at(first / panel(), j);
        }
        if (s.logits) {
            add_buffered(call, s, tile, j);
        } else {
            kernels_.add_sums(tile, s.sums.data());
        }
    }

    // Coordinate-major points and own logits of a panel; unused lanes repeat the last point.
    void load_panel(const Call& call, Scratch& s, std::int64_t first, std::int64_t count) const {
        const RoundedCloud<T>& staying = side(call.stays);
        const double unit = call.form == PairForm::product ? call.scale * call.factor : 1;
        // Scaling rounds the points once more: their norms are then taken from what the products will see.
        const bool rounded_again = sizeof(T) < sizeof(double) && unit != 1 && unit != 0;
        const bool own_counts = own_terms_count(call);
        for (std::int64_t lane = 0; lane < panel(); ++lane) {
            const std::int64_t i = first + std::min(lane, count - 1);
            const auto at = static_cast<std::size_t>(i);
            double own = own_counts ? staying.own[at] : 0;
            if (call.form != PairForm::kept) {
                const T* x = staying.points.get() + i * d_;
                T* const to = s.x.get() + lane;
                for (std::int64_t k = 0; k < d_; ++k) {
                    to[k * panel()] = static_cast<T>(static_cast<double>(x[k]) * unit);
                }
                if (rounded_again) own = own_term_(to, panel(), d_, 1 / unit);
            }
            const double exact = own_logit(call.potential[at], own, call);
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
            for (std::size_t i = 0; i < s.sums.size(); ++i) s.sums[i] *= static_cast<double>(s.rescale[i]);
            for (std::size_t i = 0; i < s.values.size(); ++i)
                s.values[i] *= static_cast<double>(s.rescale[i % s.sums.size()]);
        }
        kernels_.exponentials(s.logits.get(), tile.columns, tile.w, s.maximum.get(), s.sums.data());
        if (call.weighting == nullptr) return;
        switch (call.weighting->kind) {
            case Weighting::Kind::columns: {
                const std::int64_t width = call.weighting->width;
                if (width > 0)
                    kernels_.add_columns(s.logits.get(), tile.columns, call.columns.get() + j * width, width,
                                         s.values.data());
                return;
            }
            case Weighting::Kind::cost:
                return kernels_.add_costs(s.logits.get(), costs, tile.columns, s.values.data());
            case Weighting::Kind::values:
                return kernels_.add_values(s.logits.get(), costs, s.densities.get(), tile.columns, s.values.data());
            case Weighting::Kind::gradient:
                return kernels_.add_gradients(tile, s.logits.get(), costs, s.values.data());
        }
    }

    void store(const Call& call, const Scratch& s, std::int64_t row, std::int64_t count, Sums& out,
               std::vector<double>& values) const {
        const std::int64_t width = call.weighting == nullptr ? 0 : call.weighting->width;
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
            for (std::int64_t k = 0; k < width; ++k) {
                const double mean = call.column_means.empty() ? 0 : call.column_means[static_cast<std::size_t>(k)];
                const double unit = call.density_columns && k == 1 ? ln2 : 1;  // densities are kept in log 2
                values[to * static_cast<std::size_t>(width) + static_cast<std::size_t>(k)] =
                    unit * factor * (s.values[static_cast<std::size_t>(k * panel() + lane)] + mean * s.sums[from]);
            }
        }
    }

    BlockProblem problem_;
    const cpu::TileKernels<T>& kernels_;
    std::int64_t d_;
    PairForm form_ = PairForm::square;  // of the cost where it is formed from differences or must be seen
    double factor_ = 1;
    cpu::OwnTerm own_term_;
    RoundedCloud<T> sides_[2];
    std::optional<KeptProducts<T>> kept_;
    std::unique_ptr<Block> reference_;
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
