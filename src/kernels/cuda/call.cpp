#include "kernels/cuda/call.hpp"

#include <algorithm>
#include <chrono>
#include <limits>

#include "kernels/cuda/kept_products.hpp"
#include "kernels/device_memory.hpp"

namespace convoy::cuda {

template <class T>
void Call<T>::upload(const Potentials& potentials) const {
    for (const int s : {0, 1}) {
        const std::span<const double> from = s == 0 ? potentials.f : potentials.g;
        const auto n = static_cast<std::int64_t>(from.size());
        work.host_potentials[s].need(n);
        work.potentials[s].need(n);
        std::copy(from.begin(), from.end(), work.host_potentials[s].get());
        copy_to_device(work.host_potentials[s].get(), work.potentials[s].get(), n, work.stream);
    }
}

template <class T>
void Call<T>::clear_results() const {
    const std::int64_t rows = request.range.count, width = request.width();
    work.corrections.need(rows);
    work.sums.need(rows);
    work.values.need(rows * width);
    work.maximum.need(rows);
    work.largest.need(rows);
    clear(work.sums.get(), rows, work.stream);
    clear(work.values.get(), rows * width, work.stream);
    launch_fill(work.maximum.get(), rows, static_cast<T>(no_mass), work.stream.get());
}

template <class T>
void Call<T>::prepare_staying(const Portion<T>& rows) const {
    const std::int64_t dimension = points.dimension();
    const bool costs = request.wants_costs();
    work.f.need(rows.rows);
    if (forms.scaled) work.scaled.need(rows.rows * dimension);
    if (costs) work.row_offsets.need(rows.rows);
    if (costs) work.row_densities.need(rows.rows);
    const std::int64_t done = rows.first - request.range.first.value;
    const StayingNumbers<T> numbers{work.f.get(), work.corrections.get() + done,
                                    costs ? work.row_densities.get() : nullptr,
                                    costs ? work.row_offsets.get() : nullptr, costs ? request.weighting->shift : 0};
    const double* potential = work.potentials[request.stays == Side::row ? 0 : 1].get() + rows.first;
    launch_staying_numbers(rows, potential, rule, numbers, forms.scaled ? work.scaled.get() : nullptr, forms.unit,
                           dimension, points.own_term(), work.stream.get());
}

template <class T>
void Call<T>::prepare_summed(const Portion<T>& columns) const {
    const bool costs = request.wants_costs();
    work.g.need(columns.rows);
    work.w.need(columns.rows);
    if (costs) work.column_offsets.need(columns.rows);
    if (costs) work.column_densities.need(columns.rows);
    const SummedNumbers<T> numbers{work.g.get(), work.w.get(), costs ? work.column_densities.get() : nullptr,
                                   costs ? work.column_offsets.get() : nullptr};
    const double* potential = work.potentials[request.stays == Side::row ? 1 : 0].get() + columns.first;
    launch_summed_numbers(columns, potential, rule, numbers, work.stream.get());
}

template <class T>
Pairs<T> Call<T>::prepared(const Portion<T>& rows, const Portion<T>& columns) const {
    Pairs<T> pairs;
    pairs.form = forms.form.form;
    pairs.slope = static_cast<T>(forms.slope);
    pairs.factor = static_cast<T>(forms.cost_factor);
    pairs.p = static_cast<T>(points.problem().cost.p());
    pairs.dimension = points.dimension();
    pairs.staying = {rows.rows, forms.scaled ? work.scaled.get() : rows.points, work.f.get(), nullptr, rows.split};
    pairs.summed = {columns.rows, columns.points, work.g.get(), work.w.get(), columns.split};
    if (forms.source == Source::kept) pairs.kept = points.kept_view(request.stays, rows.first, columns.first);
    return pairs;
}

// Few dimensions: logits of potentials that are nothing, of points times the unit. Many: on tensor cores.
void keep_products(BlockPoints<float>& points, Workspace<float>& work) {
    const auto begin = std::chrono::steady_clock::now();
    const std::int64_t rows = points.problem().source->rows, columns = points.problem().target->rows;
    points.kept_stride = stride_of_products(columns);
    points.kept = Array<float>{rows * points.kept_stride};
    Forms forms{{PairForm::product, 1}, Source::tensor_cores, 1, 1, 0, false};
    if (!points.splits()) forms = {{PairForm::product, 1}, Source::tiles, 1, points.unit_of_products(), 0, true};
    const Request all{Side::row, {LocalIndex{0}, rows}, std::numeric_limits<double>::infinity()};
    const Call<float> call{points, work, all, forms, PotentialRule{0, false, false}};
    const std::vector<double> f(static_cast<std::size_t>(rows)), g(static_cast<std::size_t>(columns));
    call.upload({f, g});
    call.clear_results();
    call.for_each_part([&](const Part<float>& part) {
        const std::int64_t stride = points.kept_stride;
        float* const to = points.kept.get() + part.first_staying * stride + part.first_summed;
        if (points.splits()) return launch_products(part.pairs, to, stride, work.stream.get());
        // Points without mass have products, too: their logits are not asked for.
        clear(work.g.get(), part.pairs.summed.rows, work.stream);
        launch_logits(part.pairs, {to, nullptr, stride, nullptr, nullptr}, work.stream.get());
    });
    work.stream.wait();
    points.seconds_of_products = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

template class Call<float>;
template class Call<double>;

}  // namespace convoy::cuda
