#pragma once
// One call of a verb: what is asked, the memory it works with, and its way through the portions of both sides, whose
// numbers it prepares. What is made of the pairs is said in sums.cpp, averages.cpp and picks.cpp.

#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

#include "kernels/block.hpp"
#include "kernels/cuda/block_points.hpp"
#include "kernels/cuda/device.hpp"
#include "kernels/cuda/numbers.hpp"
#include "kernels/cuda/tile.hpp"

namespace convoy::cuda {

struct Request {
    Side stays;
    LocalRun range;
    double epsilon;
    bool safe = false;
    const Weighting* weighting = nullptr;

    // log2(e) / eps
    double scale() const { return std::isinf(epsilon) ? 0 : std::numbers::log2e / epsilon; }
    bool is(Weighting::Kind kind) const { return weighting != nullptr && weighting->kind == kind; }
    bool wants_costs() const { return is(Weighting::Kind::cost) || is(Weighting::Kind::values); }
    std::int64_t width() const { return weighting == nullptr ? 0 : weighting->width; }
};

// Kept from call to call; grows as it must.
template <class T>
struct Workspace {
    Stream stream;
    Pinned<double> host_potentials[2], host_results, host_means;
    Pinned<T> host_columns;
    // Of all points of a side; of the range.
    Array<double> potentials[2], corrections, sums, largest, values, means;
    Array<T> maximum;
    // Of a portion.
    Array<T> f, g, w, scaled, row_offsets, column_offsets, row_densities, column_densities;
    // Of the chunks of a portion.
    Array<double> partial, partial_values;
    Array<float> partial_maximum;
    // Of a tile.
    Array<T> logits, terms, costs, rescale;
    // Weighting::columns about their means, and in two terms of fp16.
    Array<T> columns;
    Array<float> largest_of_columns;
    Array<__half> high, low;
    Array<std::int64_t> pick_index;
    Array<double> pick_score;
};

// The pairs of two portions: `done` rows of the range and `first_summed` points came before them.
template <class T>
struct Part {
    Pairs<T> pairs;
    std::int64_t done = 0, first_summed = 0;
    std::int64_t first_staying = 0;  // of all of that side
};

template <class T>
class Call {
 public:
    Call(BlockPoints<T>& p, Workspace<T>& w, const Request& r, const Forms& f, const PotentialRule& how)
        : points{p}, work{w}, request{r}, forms{f}, rule{how} {}

    void upload(const Potentials& potentials) const;
    // Sums and values of the range begin as zero, maxima as no_mass.
    void clear_results() const;

    // Calls use(part) for all pairs of portions, prepared.
    template <class Use>
    void for_each_part(const Use& use) const {
        const Stream& stream = work.stream;
        DeviceCloud<T>& summed = points.side(other(request.stays));
        points.side(request.stays)
            .for_each_portion(request.range.first.value, request.range.count, stream, [&](const Portion<T>& rows) {
                prepare_staying(rows);
                summed.for_each_portion(0, summed.rows(), stream, [&](const Portion<T>& columns) {
                    prepare_summed(columns);
                    use(Part<T>{prepared(rows, columns), rows.first - request.range.first.value, columns.first,
                                rows.first});
                });
            });
    }

    BlockPoints<T>& points;
    Workspace<T>& work;
    Request request;
    Forms forms;
    PotentialRule rule;

 private:
    void prepare_staying(const Portion<T>& rows) const;
    void prepare_summed(const Portion<T>& columns) const;
    Pairs<T> prepared(const Portion<T>& rows, const Portion<T>& columns) const;
};

// Computes the products that are kept.
void keep_products(BlockPoints<float>& points, Workspace<float>& work);

// Shifted sums of a part, added to the range's (sums.cpp).
template <class T>
void add_sums(const Call<T>& call, const Part<T>& part);

struct TilePlace;

// Safe sums, and averages of both forms (averages.cpp).
template <class T>
class Averages {
 public:
    explicit Averages(const Call<T>& call) : call_{call} {}
    void upload_columns() const;  // once, before the parts
    void add(const Part<T>& part) const;
    void finish() const;  // once, after them

 private:
    bool in_one_kernel() const;
    void add_in_one_kernel(const Part<T>& part) const;
    void add_tiles(const Part<T>& part) const;
    void add_values(const TermTile<T>& tile, const Pairs<T>& pairs, const TilePlace& at, std::int64_t first_summed,
                    double* values) const;

    const Call<T>& call_;
};

// In fp64 (picks.cpp).
void pick(BlockPoints<double>& points, Workspace<double>& work, Side stays, LocalRun range,
          const Potentials& potentials, double epsilon, const PickRule& rule, Picks& out);

}  // namespace convoy::cuda
