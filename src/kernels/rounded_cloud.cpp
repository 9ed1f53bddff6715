#include "kernels/rounded_cloud.hpp"

#include <omp.h>

#include <algorithm>
#include <limits>

namespace convoy::kernels {

OwnTerm::OwnTerm(const Cost& cost, const std::vector<double>& centre) {
    if (!cost.uses_products()) return;
    square = cost.row_term(1) - cost.row_term(0);
    constant = cost.row_term(0);
    if (cost.kind() != CostKind::dot) return;
    // <x, y> = <x', y'> + <x', c> + <c, y'> + |c|^2 for x = x' + c, y = y' + c: what centring takes off `dot`, half of
    // the constant for either side.
    for (const double c : centre) {
        linear.push_back(-c);
        constant -= c * c / 2;
    }
}

template <class T>
RoundedCloud<T>::RoundedCloud(const Cloud& cloud, const Cost& cost, const std::vector<double>& centre,
                              const OwnTerm& own_term)
    : points{allocate<T>(cloud.rows * cloud.dimension)},
      own(static_cast<std::size_t>(cloud.rows)),
      log_weights(static_cast<std::size_t>(cloud.rows)),
      rows{cloud.rows} {
    const std::int64_t d = cloud.dimension;
    const bool centred = cost.may_be_centred() && !centre.empty();
    // Memory is asked for before the threads start: an exception must not leave a parallel region.
    std::vector<double> buffers(static_cast<std::size_t>(omp_get_max_threads() * d));
    double largest = 0;
#pragma omp parallel for schedule(static) reduction(max : largest) if (rows * d > 10000)
    for (std::int64_t i = 0; i < rows; ++i) {
        const std::span<double> x{buffers.data() + omp_get_thread_num() * d, static_cast<std::size_t>(d)};
        std::ranges::copy(cloud.point(i), x.begin());
        double norm = 1;
        if (cost.normalises_rows()) {
            norm = 0;
            for (const double x_k : x) norm += x_k * x_k;
            norm = std::sqrt(norm);
        }
        T* const to = points.get() + i * d;
        for (std::int64_t k = 0; k < d; ++k) {
            const auto at = static_cast<std::size_t>(k);
            x[at] = (x[at] - (centred ? centre[at] : 0)) / norm;
            to[k] = static_cast<T>(x[at]);
        }
        const auto at = static_cast<std::size_t>(i);
        own[at] = cost.uses_products() ? own_term(to, 1, d) : 0;
        log_weights[at] =
            cloud.weights[at] > 0 ? std::log2(cloud.weights[at]) : -std::numeric_limits<double>::infinity();
        largest = std::max(largest, cost.bounding_norm(x));
    }
    largest_norm = largest;
}

template struct RoundedCloud<float>;
template struct RoundedCloud<double>;

}  // namespace convoy::kernels
