// The CUDA backend. A call goes through these steps, all of them given to one stream before anything is waited for:
//
//     potentials of both sides to the device, as given; in the kernels' precision there (call.cu)
//     for every portion of the staying side, for every portion of the summed side (one of each, where points fit):
//         shifted sums    one kernel; partial sums of the chunks, joined
//         all else        tiles of logits, which stay in the L2 cache; what is asked for is made of each (terms.cu)
//     corrections; results to the host
//
// Which kernel forms the products is decided here (kernel_of()), by the cost, the precision and the dimension.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <numbers>
#include <optional>

#include "kernels/block.hpp"
#include "kernels/column_means.hpp"
#include "kernels/cuda/apply_columns.hpp"
#include "kernels/cuda/call.hpp"
#include "kernels/cuda/device.hpp"
#include "kernels/cuda/device_cloud.hpp"
#include "kernels/cuda/kept_products.hpp"
#include "kernels/cuda/pick.hpp"
#include "kernels/cuda/tile.hpp"
#include "kernels/device_memory.hpp"
#include "kernels/pair_form.hpp"
#include "kernels/rounded_cloud.hpp"

namespace convoy {

namespace {

using namespace cuda;
using kernels::CostForm;
using kernels::OwnTerm;

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double ln2 = std::numbers::ln2;

// Where the products of a pair come from.
enum class Source { registers, tiles, tensor_cores, kept };

template <class T>
class CudaBlock final : public Block {
 public:
    explicit CudaBlock(const BlockProblem& problem)
        : problem_{problem},
          own_term_{problem.cost, problem.centre},
          splits_{sizeof(T) == sizeof(float) && problem.cost.uses_products() &&
                  problem.source->dimension > few_dimensions},
          sides_{device_cloud(*problem.source), device_cloud(*problem.target)} {
        if (!own_term_.linear.empty()) linear_ = uploaded(own_term_.linear);
        if constexpr (sizeof(T) == sizeof(float)) {
            if (problem.keep_products && problem.cost.uses_products()) keep_products();
        }
    }

    void reduce(Side stays, LocalRun range, const Potentials& potentials, double epsilon, Safety safety,
                Sums& out) const override {
        std::vector<double> none;
        run(Request{stays, range, potentials, epsilon, safety == Safety::safe, nullptr}, out, none);
    }

    void apply(Side stays, LocalRun range, const Potentials& potentials, double epsilon, Safety safety,
               const Weighting& weighting, Sums& out, std::vector<double>& values) const override {
        run(Request{stays, range, potentials, epsilon, safety == Safety::safe, &weighting}, out, values);
    }

    // In fp64, as the reference's: on a block of that precision, made when it is first wanted.
    void pick(Side stays, LocalRun range, const Potentials& potentials, double epsilon, const PickRule& rule,
              Picks& out) const override {
        if constexpr (sizeof(T) == sizeof(double)) {
            run_picks(stays, range, potentials, epsilon, rule, out);
        } else {
            if (!exact_) {
                BlockProblem exact = problem_;
                exact.precision = Precision::fp64;
                exact.keep_products = false;
                exact_ = std::make_unique<CudaBlock<double>>(exact);
            }
            exact_->pick(stays, range, potentials, epsilon, rule, out);
        }
    }

    double rounding_of_cost() const override {
        const double ulp = static_cast<double>(std::numeric_limits<T>::epsilon());
        const double source = side(Side::row).largest_norm(), target = side(Side::column).largest_norm();
        const double largest = std::max(source, target);
        const Cost& cost = problem_.cost;
        if (cost.uses_products()) return ulp * cost.product_factor() / 2 * largest * largest;
        return ulp * cost.range_bound(source, target);
    }

    Kept kept_products() const override {
        return {static_cast<double>(kept_.size()) * sizeof(float), seconds_of_products_};
    }

    double pairs_of_a_part() const override { return 1e12; }

 private:
    struct Request {
        Side stays;
        LocalRun range;
        const Potentials& potentials;
        double epsilon;
        bool safe;
        const Weighting* weighting;
        double scale() const { return std::isinf(epsilon) ? 0 : std::numbers::log2e / epsilon; }
        bool is(Weighting::Kind kind) const { return weighting != nullptr && weighting->kind == kind; }
        bool wants_costs() const { return is(Weighting::Kind::cost) || is(Weighting::Kind::values); }
        std::int64_t width() const { return weighting == nullptr ? 0 : weighting->width; }
    };

    // How a request's pairs are formed.
    struct Forms {
        CostForm form;
        Source source;
        double slope;  // of the kernels; 1 where the staying points are scaled beforehand
        double unit;   // they are scaled with
        double cost_factor;
        bool scaled;
    };

    // What a call works with on the device; kept from call to call.
    struct Workspace {
        Stream stream;
        Pinned<double> host_potentials[2], host_results, host_means;
        Pinned<T> host_columns;
        Array<double> potentials[2], corrections, sums, largest, values, partial, means;
        Array<T> f, g, w, scaled, maximum, rescale, logits, terms, costs, columns;
        Array<float> largest_of_columns, partial_maximum;
        Array<__half> high, low;  // of the columns
        Array<double> partial_values;
        Array<T> row_offsets, column_offsets, row_densities, column_densities;
        Array<std::int64_t> pick_index;
        Array<double> pick_score;
    };

    const DeviceCloud<T>& side(Side s) const { return sides_[s == Side::row ? 0 : 1]; }
    std::int64_t dimension() const { return problem_.source->dimension; }

    CudaBlockSize size() const {
        CudaBlockSize size;
        size.rows = problem_.source->rows;
        size.columns = problem_.target->rows;
        size.dimension = dimension();
        size.single = sizeof(T) == sizeof(float);
        size.from_products = problem_.cost.uses_products();
        size.keep_products = problem_.keep_products;
        return size;
    }

    DeviceCloud<T> device_cloud(const Cloud& cloud) const {
        return {cloud, problem_.cost, problem_.centre, own_term_, streamed_rows(), splits_};
    }

    // Not what the driver has left at this moment decides, but what is counted, which is the same in every run.
    std::int64_t streamed_rows() const {
        if (problem_.streamed_rows > 0) return problem_.streamed_rows;
        const bool fit = !streams_points() && cuda_memory_resident(size()) - context_memory <= room_;
        return fit ? 0 : rows_of_portion(dimension());
    }

    Array<double> uploaded(const std::vector<double>& numbers) const {
        const auto n = static_cast<std::int64_t>(numbers.size());
        Pinned<double> host{n};
        std::copy(numbers.begin(), numbers.end(), host.get());
        Array<double> device{n};
        copy_to_device(host.get(), device.get(), n, work_.stream);
        work_.stream.wait();
        return device;
    }

    // --- Kept products -------------------------------------------------------------------------------------------

    // Split points are multiplied as they are: their products are 2^(both exponents) times the points'.
    double unit_of_split() const { return std::ldexp(1.0, side(Side::row).exponent() + side(Side::column).exponent()); }

    void keep_products() {
        const auto begin = std::chrono::steady_clock::now();
        stride_ = stride_of_products(problem_.target->rows);
        kept_ = Array<float>{problem_.source->rows * stride_};
        // Few dimensions: logits of potentials that are all zero, of points times the unit.
        const Forms scaled{{PairForm::product, 1}, Source::tiles, 1, unit_of_products(), 0, true};
        const Potentials none;
        const Request all{Side::row, {LocalIndex{0}, problem_.source->rows}, none, infinity, false, nullptr};
        work_.corrections.need(all.range.count);
        work_.potentials[0].need(all.range.count);
        clear(work_.potentials[0].get(), all.range.count, work_.stream);
        for_all_portions(
            Side::row, all.range,
            [&](const Portion<T>& rows) {
                if (!splits_) prepare_staying(all, scaled, {}, rows);
            },
            [&](const Portion<T>& rows, const Portion<T>& columns) {
                float* const to = kept_.get() + rows.first * stride_ + columns.first;
                if (splits_) {
                    Pairs<float> pairs = pairs_of(rows, columns);
                    pairs.dimension = dimension();
                    return launch_products(pairs, to, stride_, work_.stream.get());
                }
                work_.g.need(columns.rows);
                clear(work_.g.get(), columns.rows, work_.stream);
                launch_logits(prepared_pairs(all, scaled, rows, columns), {to, nullptr, stride_, nullptr, nullptr},
                              work_.stream.get());
            });
        work_.stream.wait();
        seconds_of_products_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    }

    // What kept products are multiples of: a power of two that keeps those of huge or tiny points in range.
    double unit_of_products() const {
        if (splits_) return unit_of_split();
        const double largest = side(Side::row).largest_norm() * side(Side::column).largest_norm();
        return largest > 0 && std::isfinite(largest) ? std::ldexp(1.0, -std::ilogb(largest)) : 1;
    }

    // --- The pieces of a call ------------------------------------------------------------------------------------

    static Pairs<T> pairs_of(const Portion<T>& staying, const Portion<T>& summed) {
        Pairs<T> pairs;
        pairs.staying.rows = staying.rows;
        pairs.staying.points = staying.points;
        pairs.staying.split = staying.split;
        pairs.summed.rows = summed.rows;
        pairs.summed.points = summed.points;
        pairs.summed.split = summed.split;
        return pairs;
    }

    // open(staying), then pair(staying, summed) for all portions of the summed side, for every portion of the range.
    template <class Open, class Use>
    void for_all_portions(Side stays, LocalRun range, const Open& open, const Use& use) const {
        DeviceCloud<T>& staying = sides_[stays == Side::row ? 0 : 1];
        DeviceCloud<T>& summed = sides_[stays == Side::row ? 1 : 0];
        staying.for_each_portion(range.first.value, range.count, work_.stream, [&](const Portion<T>& rows) {
            open(rows);
            summed.for_each_portion(0, summed.rows(), work_.stream,
                                    [&](const Portion<T>& columns) { use(rows, columns); });
        });
    }

    Forms forms_of(const Request& request) const {
        Forms forms;
        forms.form = kernels::form_of_call(problem_.cost, request.weighting, static_cast<bool>(kept_));
        return with_slope(forms, request.scale());
    }

    Forms with_slope(Forms forms, double scale) const {
        const double factor = forms.form.factor;
        forms.unit = 1;
        forms.scaled = false;
        switch (forms.form.form) {
            case PairForm::kept:
                forms.source = Source::kept;
                forms.slope = scale * factor / unit_of_products();
                forms.cost_factor = -factor / unit_of_products();
                return forms;
            case PairForm::product:
                forms.source = splits_ ? Source::tensor_cores : Source::tiles;
                forms.slope = splits_ ? scale * factor / unit_of_split() : 1;
                forms.cost_factor = 0;  // costs that are wanted are of another form
                forms.scaled = !splits_;
                forms.unit = forms.scaled ? scale * factor : 1;
                if (sizeof(T) == sizeof(float) && dimension() <= most_dimensions_in_registers && !splits_)
                    forms.source = Source::registers;
                return forms;
            case PairForm::inner:
            case PairForm::square:
            case PairForm::root:
            case PairForm::power:
                break;
        }
        forms.source = Source::tiles;
        forms.slope = -scale * factor;
        forms.cost_factor = factor;
        return forms;
    }

    void upload_potentials(const Potentials& potentials) const {
        Workspace& w = work_;
        for (const int s : {0, 1}) {
            const std::span<const double> from = s == 0 ? potentials.f : potentials.g;
            const auto n = static_cast<std::int64_t>(from.size());
            w.host_potentials[s].need(n);
            w.potentials[s].need(n);
            std::copy(from.begin(), from.end(), w.host_potentials[s].get());
            copy_to_device(w.host_potentials[s].get(), w.potentials[s].get(), n, w.stream);
        }
    }

    // The staying side's numbers of a portion.
    void prepare_staying(const Request& request, const Forms& forms, const PotentialRule& rule,
                         const Portion<T>& rows) const {
        Workspace& w = work_;
        w.f.need(rows.rows);
        if (forms.scaled) w.scaled.need(rows.rows * dimension());
        if (request.wants_costs()) w.row_offsets.need(rows.rows), w.row_densities.need(rows.rows);
        const std::int64_t done = rows.first - request.range.first.value;
        const StayingNumbers<T> numbers{w.f.get(), w.corrections.get() + done,
                                        request.wants_costs() ? w.row_densities.get() : nullptr,
                                        request.wants_costs() ? w.row_offsets.get() : nullptr,
                                        request.weighting != nullptr ? request.weighting->shift : 0};
        const double* potential = w.potentials[request.stays == Side::row ? 0 : 1].get() + rows.first;
        launch_staying_numbers(rows, potential, rule, numbers, forms.scaled ? w.scaled.get() : nullptr, forms.unit,
                               dimension(), OwnTermView{own_term_.square, own_term_.constant, linear_.get()},
                               w.stream.get());
    }

    void prepare_summed(const Request& request, const PotentialRule& rule, const Portion<T>& columns) const {
        Workspace& w = work_;
        w.g.need(columns.rows);
        w.w.need(columns.rows);
        if (request.wants_costs()) w.column_offsets.need(columns.rows), w.column_densities.need(columns.rows);
        const SummedNumbers<T> numbers{w.g.get(), w.w.get(), request.wants_costs() ? w.column_densities.get() : nullptr,
                                       request.wants_costs() ? w.column_offsets.get() : nullptr};
        const double* potential = w.potentials[request.stays == Side::row ? 1 : 0].get() + columns.first;
        launch_summed_numbers(columns, potential, rule, numbers, w.stream.get());
    }

    // The pairs of two portions with all that the kernels need.
    Pairs<T> prepared_pairs(const Request& request, const Forms& forms, const Portion<T>& rows,
                            const Portion<T>& columns) const {
        Pairs<T> pairs = pairs_of(rows, columns);
        pairs.form = forms.form.form;
        pairs.slope = static_cast<T>(forms.slope);
        pairs.factor = static_cast<T>(forms.cost_factor);
        pairs.p = static_cast<T>(problem_.cost.p());
        pairs.dimension = dimension();
        if (forms.scaled) pairs.staying.points = work_.scaled.get();
        pairs.staying.logits = work_.f.get();
        pairs.summed.logits = work_.g.get();
        pairs.summed.weights = work_.w.get();
        if (forms.source == Source::kept) pairs.kept = kept_view(request.stays, rows.first, columns.first);
        return pairs;
    }

    KeptView kept_view(Side stays, std::int64_t staying, std::int64_t summed) const {
        const bool rows_stay = stays == Side::row;
        const std::int64_t row = rows_stay ? staying : summed, column = rows_stay ? summed : staying;
        return {kept_.get() + row * stride_ + column, stride_, !rows_stay};
    }

    static Operand<T> part(Operand<T> operand, std::int64_t first, std::int64_t rows, std::int64_t dimension) {
        operand.rows = rows;
        if (operand.points != nullptr) operand.points += first * dimension;
        if (operand.logits != nullptr) operand.logits += first;
        if (operand.weights != nullptr) operand.weights += first;
        if (operand.split.high != nullptr) {
            operand.split.high += first * operand.split.stride;
            operand.split.low += first * operand.split.stride;
        }
        return operand;
    }

    static Pairs<T> part(Pairs<T> pairs, std::int64_t row, std::int64_t rows, std::int64_t column,
                         std::int64_t columns) {
        pairs.staying = part(pairs.staying, row, rows, pairs.dimension);
        pairs.summed = part(pairs.summed, column, columns, pairs.dimension);
        if (pairs.kept.data != nullptr) {
            pairs.kept.data +=
                pairs.kept.transposed ? column * pairs.kept.stride + row : row * pairs.kept.stride + column;
        }
        return pairs;
    }

    // --- Shifted sums --------------------------------------------------------------------------------------------

    void add_sums(const Pairs<T>& pairs, Source source, double* sums) const {
        Workspace& w = work_;
        const ChunkCut chunks = cut_summed(pairs.staying.rows, pairs.summed.rows);
        const Cut cut{chunks.chunk, chunks.chunks};
        w.partial.need(cut.chunks * pairs.staying.rows);
        launch_sums_of(pairs, source, cut);
        launch_join(w.partial.get(), cut.chunks, pairs.staying.rows, sums, w.stream.get());
    }

    void launch_sums_of(const Pairs<T>& pairs, Source source, const Cut& cut) const {
        double* const partial = work_.partial.get();
        cudaStream_t stream = work_.stream.get();
        if constexpr (sizeof(T) == sizeof(float)) {
            if (source == Source::registers) return launch_sums_in_registers(pairs, cut, partial, stream);
            if (source == Source::tensor_cores) return launch_sums_split(pairs, cut, partial, stream);
            if (source == Source::kept) return launch_sums_kept(pairs, cut, partial, stream);
        }
        launch_sums(pairs, cut, partial, stream);
    }

    // --- Averages in one kernel ---------------------------------------------------------------------------------

    // Products from tensor cores, narrow averages: nothing leaves the multiprocessor.
    bool averages_at_once(const Request& request, const Forms& forms) const {
        return forms.source == Source::tensor_cores && request.is(Weighting::Kind::columns) && request.width() > 0 &&
               request.width() <= widest_average;
    }

    void split_columns(const Request& request) const {
        Workspace& w = work_;
        const std::int64_t width = request.width(), rows = side(other(request.stays)).rows();
        const std::int64_t stride = stride_of_split(width);
        w.largest_of_columns.need(width);
        w.high.need(rows * stride);
        w.low.need(rows * stride);
        if constexpr (sizeof(T) == sizeof(float)) {
            launch_split_columns(w.columns.get(), rows, width, w.largest_of_columns.get(), w.high.get(), w.low.get(),
                                 stride, w.stream.get());
        }
    }

    void add_averages(const Request& request, const Pairs<T>& pairs, std::int64_t done,
                      std::int64_t first_column) const {
        if constexpr (sizeof(T) == sizeof(float)) {
            Workspace& w = work_;
            const std::int64_t width = request.width(), rows = pairs.staying.rows, stride = stride_of_split(width);
            const ChunkCut chunks = cut_averages(rows, pairs.summed.rows, width);
            const Cut cut{chunks.chunk, chunks.chunks};
            w.partial.need(cut.chunks * rows);
            w.partial_maximum.need(cut.chunks * rows);
            w.partial_values.need(cut.chunks * rows * width);
            const Averages partial{w.partial_maximum.get(), w.partial.get(), w.partial_values.get()};
            const Averages all{w.maximum.get() + done, w.sums.get() + done, w.values.get() + done * width};
            const SplitPoints split{w.high.get() + first_column * stride, w.low.get() + first_column * stride, stride};
            launch_average_split(pairs, {split, w.largest_of_columns.get(), width}, cut, partial, w.stream.get());
            launch_join_averages(partial, cut.chunks, rows, width, all, w.stream.get());
        }
    }

    // --- Tiles of logits -----------------------------------------------------------------------------------------

    void launch_logits_of(const Pairs<T>& pairs, Source source, const LogitTile<T>& tile) const {
        cudaStream_t stream = work_.stream.get();
        if constexpr (sizeof(T) == sizeof(float)) {
            if (source == Source::tensor_cores) return launch_logits_split(pairs, tile, stream);
            if (source == Source::kept) return launch_logits_kept(pairs, tile, stream);
        }
        launch_logits(pairs, tile, stream);
    }

    // Calls use(tile of logits, its pairs, first row, first column) for all tiles of two portions.
    template <class Use>
    void for_each_tile(const Pairs<T>& pairs, Source source, bool costs, const Use& use) const {
        Workspace& w = work_;
        const std::int64_t most_rows = std::min(pairs.staying.rows, tile_rows);
        const std::int64_t stride = std::min(pairs.summed.rows, tile_columns);
        w.logits.need(most_rows * stride);
        if (costs) w.costs.need(most_rows * stride);
        for (std::int64_t row = 0; row < pairs.staying.rows; row += tile_rows) {
            const std::int64_t rows = std::min(tile_rows, pairs.staying.rows - row);
            for (std::int64_t column = 0; column < pairs.summed.rows; column += tile_columns) {
                const std::int64_t columns = std::min(tile_columns, pairs.summed.rows - column);
                const Pairs<T> here = part(pairs, row, rows, column, columns);
                const bool offsets = costs && w.row_offsets;
                launch_logits_of(here, source,
                                 {w.logits.get(), costs ? w.costs.get() : nullptr, stride,
                                  offsets ? w.row_offsets.get() + row : nullptr,
                                  offsets ? w.column_offsets.get() + column : nullptr});
                use(TermTile<T>{w.logits.get(), stride, rows, columns, here.summed.weights}, here, row, column);
            }
        }
    }

    // Sums and averages of two portions, from tile to tile. `done` rows of the range came before this portion.
    void add_tiles(const Request& request, const Forms& forms, const Pairs<T>& pairs, std::int64_t done,
                   std::int64_t first_column) const {
        Workspace& w = work_;
        const std::int64_t width = request.width();
        const bool root = request.is(Weighting::Kind::gradient) && forms.form.form == PairForm::root;
        for_each_tile(pairs, forms.source, request.wants_costs() || root,
                      [&](TermTile<T> tile, const Pairs<T>& here, std::int64_t row, std::int64_t column) {
                          double* const sums = w.sums.get() + done + row;
                          double* const values = width > 0 ? w.values.get() + (done + row) * width : nullptr;
                          T* const maximum = request.safe ? w.maximum.get() + done + row : nullptr;
                          if (request.safe) {
                              launch_raise_maximum(tile, maximum, w.rescale.get(), w.stream.get());
                              launch_rescale(w.rescale.get(), tile.rows, width, sums, values, w.stream.get());
                          }
                          if (request.is(Weighting::Kind::values)) tile.terms = copy_of_logits(tile);
                          launch_exponentials(tile, maximum, sums, w.stream.get());
                          add_values(request, tile, here, row, column, first_column + column, values);
                      });
    }

    T* copy_of_logits(const TermTile<T>& tile) const {
        const std::int64_t n = (tile.rows - 1) * tile.stride + tile.columns;
        work_.terms.need(n);
        check(cudaMemcpyAsync(work_.terms.get(), tile.terms, static_cast<std::size_t>(n) * sizeof(T),
                              cudaMemcpyDeviceToDevice, work_.stream.get()),
              "copying logits");
        return work_.terms.get();
    }

    void add_values(const Request& request, const TermTile<T>& tile, const Pairs<T>& pairs, std::int64_t row,
                    std::int64_t column, std::int64_t summed, double* values) const {
        Workspace& w = work_;
        if (request.width() == 0) return;
        switch (request.weighting->kind) {
            case Weighting::Kind::columns:
                return launch_add_columns(tile, w.columns.get() + summed * request.width(), request.width(), values,
                                          w.stream.get());
            case Weighting::Kind::cost:
                return launch_add_costs(tile, w.costs.get(), values, w.stream.get());
            case Weighting::Kind::values:
                return launch_add_values(tile, w.logits.get(), w.costs.get(), w.row_densities.get() + row,
                                         w.column_densities.get() + column, values, w.stream.get());
            case Weighting::Kind::gradient:
                return launch_add_gradients(tile, pairs, w.costs.get(), values, w.stream.get());
        }
    }

    void upload_columns(const Request& request) const {
        if (!request.is(Weighting::Kind::columns) || request.width() == 0) return;
        Workspace& w = work_;
        const std::int64_t width = request.width(), rows = side(other(request.stays)).rows();
        const double* v = request.weighting->columns.data();
        const std::vector<double> means = kernels::column_means(request.weighting->columns, width);
        w.host_means.need(width);
        w.means.need(width);
        std::copy(means.begin(), means.end(), w.host_means.get());
        w.columns.need(rows * width);
        copy_to_device(w.host_means.get(), w.means.get(), width, w.stream);
        constexpr std::int64_t piece_numbers = std::int64_t{1} << 24;
        const std::int64_t piece = std::max<std::int64_t>(piece_numbers / width, 1);
        w.host_columns.need(std::min(piece, rows) * width);
        for (std::int64_t first = 0; first < rows; first += piece) {
            const std::int64_t count = std::min(piece, rows - first);
            w.stream.wait();  // the piece before is on its way from the same buffer
            T* const to = w.host_columns.get();
#pragma omp parallel for schedule(static) if (count * width > 10000)
            for (std::int64_t j = 0; j < count; ++j) {
                for (std::int64_t k = 0; k < width; ++k)
                    to[j * width + k] = static_cast<T>(v[(first + j) * width + k] - means[static_cast<std::size_t>(k)]);
            }
            copy_to_device(to, w.columns.get() + first * width, count * width, w.stream);
        }
    }

    // --- A call --------------------------------------------------------------------------------------------------

    void run(const Request& request, Sums& out, std::vector<double>& values) const {
        // A view of kept columns begins at a multiple of four of them, as vector loads want it.
        const Forms forms = forms_of(request);
        const std::int64_t early =
            forms.source == Source::kept && request.stays == Side::column && request.range.count > 0
                ? request.range.first.value % 4
                : 0;
        Request whole = request;
        whole.range = {LocalIndex{request.range.first.value - early}, request.range.count + early};
        begin(whole);
        upload_potentials(whole.potentials);
        upload_columns(whole);
        const PotentialRule rule{whole.scale(), kernels::own_terms_count(forms.form.form), true};
        const bool at_once = !whole.safe && whole.weighting == nullptr;
        const bool averages = averages_at_once(whole, forms);
        if (averages) split_columns(whole);
        for_all_portions(
            whole.stays, whole.range, [&](const Portion<T>& rows) { prepare_staying(whole, forms, rule, rows); },
            [&](const Portion<T>& rows, const Portion<T>& columns) {
                prepare_summed(whole, rule, columns);
                const Pairs<T> pairs = prepared_pairs(whole, forms, rows, columns);
                const std::int64_t done = rows.first - whole.range.first.value;
                if (at_once) return add_sums(pairs, forms.source, work_.sums.get() + done);
                if (averages) return add_averages(whole, pairs, done, columns.first);
                add_tiles(whole, forms, pairs, done, columns.first);
            });
        if constexpr (sizeof(T) == sizeof(float)) {
            const Averages all{work_.maximum.get(), work_.sums.get(), work_.values.get()};
            if (averages && !whole.safe) launch_unshift(all, whole.range.count, whole.width(), work_.stream.get());
        }
        finish(whole);
        fetch(whole, early, out, values);
    }

    void begin(const Request& request) const {
        Workspace& w = work_;
        const std::int64_t rows = request.range.count, width = request.width();
        w.corrections.need(rows);
        w.sums.need(rows);
        w.values.need(rows * width);
        clear(w.sums.get(), rows, w.stream);
        clear(w.values.get(), rows * width, w.stream);
        if (!request.safe && width == 0) return;
        w.maximum.need(rows);
        w.largest.need(rows);
        w.rescale.need(std::min(rows, tile_rows));
        launch_fill(w.maximum.get(), rows, static_cast<T>(no_mass), w.stream.get());
    }

    void finish(const Request& request) const {
        Workspace& w = work_;
        Finish<T> finish;
        finish.rows = request.range.count;
        finish.width = request.width();
        finish.corrections = w.corrections.get();
        finish.maximum = request.safe ? w.maximum.get() : nullptr;
        finish.means = request.is(Weighting::Kind::columns) ? w.means.get() : nullptr;
        finish.second_unit = request.is(Weighting::Kind::values) ? ln2 : 1;  // densities are kept in log 2
        finish.sums = w.sums.get();
        finish.largest = w.largest.get();
        finish.values = w.values.get();
        launch_finish(finish, w.stream.get());
    }

    // Results of the range but its first `early` rows.
    void fetch(const Request& request, std::int64_t early, Sums& out, std::vector<double>& values) const {
        Workspace& w = work_;
        const std::int64_t rows = request.range.count - early, width = request.width();
        out.dropped.clear();
        const auto take = [&](const Array<double>& from, std::int64_t each, std::vector<double>& to) {
            const std::int64_t n = rows * each;
            to.resize(static_cast<std::size_t>(n));
            constexpr std::int64_t piece = std::int64_t{1} << 22;
            w.host_results.need(std::min(n, piece));
            for (std::int64_t done = 0; done < n; done += piece) {
                const std::int64_t count = std::min(piece, n - done);
                copy_to_host(from.get() + early * each + done, w.host_results.get(), count, w.stream);
                w.stream.wait();
                std::copy_n(w.host_results.get(), count, to.begin() + done);
            }
        };
        take(w.sums, 1, out.sum);
        out.max.clear();
        if (request.safe) take(w.largest, 1, out.max);
        values.clear();
        if (width > 0) take(w.values, width, values);
        w.stream.wait();
    }

    // --- Picks ---------------------------------------------------------------------------------------------------

    void run_picks(Side stays, LocalRun range, const Potentials& potentials, double epsilon, const PickRule& pick,
                   Picks& out) const {
        const bool hard = pick.kind == PickRule::Kind::hard;
        const Request request{stays, range, potentials, epsilon, false, nullptr};
        const double scale = hard ? 1 : request.scale();
        const Forms forms = with_slope({kernels::cost_form(problem_.cost), {}, 0, 1, 0, false}, scale);
        const PotentialRule rule{scale, kernels::own_terms_count(forms.form.form), !hard};
        Workspace& w = work_;
        begin(request);
        upload_potentials(potentials);
        // The staying side's potential has no part in a hard transform.
        if (hard) clear(w.potentials[stays == Side::row ? 0 : 1].get(), side(stays).rows(), w.stream);
        w.pick_index.need(range.count * pick.count);
        w.pick_score.need(range.count * pick.count);
        launch_fill(w.pick_index.get(), range.count * pick.count, std::int64_t{-1}, w.stream.get());
        launch_fill(w.pick_score.get(), range.count * pick.count, -infinity, w.stream.get());
        const std::int64_t first_staying = (stays == Side::row ? problem_.first_row : problem_.first_column).value;
        const std::int64_t first_summed = (stays == Side::row ? problem_.first_column : problem_.first_row).value;
        for_all_portions(
            stays, range, [&](const Portion<T>& rows) { prepare_staying(request, forms, rule, rows); },
            [&](const Portion<T>& rows, const Portion<T>& columns) {
                prepare_summed(request, rule, columns);
                const Pairs<T> pairs = prepared_pairs(request, forms, rows, columns);
                const std::int64_t done = rows.first - range.first.value;
                for_each_tile(pairs, forms.source, false,
                              [&](const TermTile<T>& tile, const Pairs<T>&, std::int64_t row, std::int64_t column) {
                                  if constexpr (sizeof(T) == sizeof(double)) {
                                      const std::int64_t slot = (done + row) * pick.count;
                                      add_picks({tile, hard ? 1 : ln2, first_summed + columns.first + column},
                                                {pick.seed, stays == Side::column, first_staying + rows.first + row},
                                                pick,
                                                {w.pick_index.get() + slot, w.pick_score.get() + slot, pick.count});
                                  }
                              });
            });
        fetch_picks(range.count, pick.count, out);
    }

    void add_picks(const PickTile& tile, const DrawRule& draws, const PickRule& pick, const PickState& state) const {
        if (pick.kind == PickRule::Kind::sample) return launch_pick_sample(tile, draws, state, work_.stream.get());
        launch_pick_top(tile, state, work_.stream.get());
    }

    void fetch_picks(std::int64_t rows, std::int64_t count, Picks& out) const {
        const auto n = static_cast<std::size_t>(rows * count);
        out.rows = rows;
        out.count = count;
        out.index.resize(n);
        out.score.resize(n);
        Pinned<std::int64_t> index{rows * count};
        Pinned<double> score{rows * count};
        copy_to_host(work_.pick_index.get(), index.get(), rows * count, work_.stream);
        copy_to_host(work_.pick_score.get(), score.get(), rows * count, work_.stream);
        work_.stream.wait();
        std::copy_n(index.get(), n, out.index.begin());
        std::copy_n(score.get(), n, out.score.begin());
    }

    BlockProblem problem_;
    OwnTerm own_term_;
    Array<double> linear_;
    bool splits_;
    double room_ = bytes_left();       // on the device, before this block
    mutable DeviceCloud<T> sides_[2];  // portions pass through them
    Array<float> kept_;
    std::int64_t stride_ = 0;
    double seconds_of_products_ = 0;
    mutable Workspace work_;
    mutable std::unique_ptr<Block> exact_;
};

}  // namespace

std::unique_ptr<Block> make_cuda_block(const BlockProblem& problem) {
    if (problem.precision == Precision::single) return std::make_unique<CudaBlock<float>>(problem);
    return std::make_unique<CudaBlock<double>>(problem);
}

}  // namespace convoy
