#include "kernels/cuda/block_points.hpp"

#include <algorithm>

#include "kernels/device_memory.hpp"

namespace convoy::cuda {

namespace {

CudaBlockSize size_of(const BlockProblem& problem, bool single) {
    CudaBlockSize size;
    size.rows = problem.source->rows;
    size.columns = problem.target->rows;
    size.dimension = problem.source->dimension;
    size.single = single;
    size.from_products = problem.cost.uses_products();
    size.keep_products = problem.keep_products;
    return size;
}

Array<double> uploaded(const std::vector<double>& numbers) {
    if (numbers.empty()) return {};
    const auto n = static_cast<std::int64_t>(numbers.size());
    const Stream stream;
    Pinned<double> host{n};
    std::copy(numbers.begin(), numbers.end(), host.get());
    Array<double> device{n};
    copy_to_device(host.get(), device.get(), n, stream);
    stream.wait();
    return device;
}

}  // namespace

template <class T>
BlockPoints<T>::BlockPoints(const BlockProblem& problem)
    : problem_{problem},
      own_term_{problem.cost, problem.centre},
      splits_{sizeof(T) == sizeof(float) && problem.cost.uses_products() && problem.source->dimension > few_dimensions},
      linear_{uploaded(own_term_.linear)},
      sides_{device_cloud(*problem.source), device_cloud(*problem.target)} {}

template <class T>
DeviceCloud<T> BlockPoints<T>::device_cloud(const Cloud& cloud) const {
    return {cloud, problem_.cost, problem_.centre, own_term_, streamed_rows(), splits_};
}

// Not what the driver has left at this moment decides, but what is counted, which is the same in every run.
template <class T>
std::int64_t BlockPoints<T>::streamed_rows() const {
    if (problem_.streamed_rows > 0) return problem_.streamed_rows;
    const double needed = cuda_memory_resident(size_of(problem_, sizeof(T) == sizeof(float))) - context_memory;
    return !streams_points() && needed <= room_ ? 0 : rows_of_portion(dimension());
}

template <class T>
Forms BlockPoints<T>::forms_of(const CostForm& form, double scale) const {
    switch (form.form) {
        case PairForm::kept:
            return {form, Source::kept, scale * form.factor / unit_of_products(), 1, -form.factor / unit_of_products(),
                    false};
        // Costs that are wanted are of another form than this.
        case PairForm::product: {
            // Split points are multiplied as they are.
            if (splits_) return {form, Source::tensor_cores, scale * form.factor / unit_of_products(), 1, 0, false};
            const bool few = sizeof(T) == sizeof(float) && dimension() <= most_dimensions_in_registers;
            return {form, few ? Source::registers : Source::tiles, 1, scale * form.factor, 0, true};
        }
        case PairForm::inner:
        case PairForm::square:
        case PairForm::root:
        case PairForm::power:
            break;
    }
    return {form, Source::tiles, -scale * form.factor, 1, form.factor, false};
}

template <class T>
double BlockPoints<T>::unit_of_products() const {
    if (splits_) return std::ldexp(1.0, side(Side::row).exponent() + side(Side::column).exponent());
    const double largest = side(Side::row).largest_norm() * side(Side::column).largest_norm();
    return largest > 0 && std::isfinite(largest) ? std::ldexp(1.0, -std::ilogb(largest)) : 1;
}

template <class T>
KeptView BlockPoints<T>::kept_view(Side stays, std::int64_t staying, std::int64_t summed) const {
    const bool rows_stay = stays == Side::row;
    const std::int64_t row = rows_stay ? staying : summed, column = rows_stay ? summed : staying;
    return {kept.get() + row * kept_stride + column, kept_stride, !rows_stay};
}

template class BlockPoints<float>;
template class BlockPoints<double>;

}  // namespace convoy::cuda
