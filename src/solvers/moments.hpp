#pragma once
// Means and covariances of distributed clouds, weighted, fp64: sums over all ranks about a point of the cloud, so that
// nothing cancels however far from the origin it lies.

#include <Eigen/Dense>
#include <span>
#include <vector>

#include "convoy/coupling.hpp"

namespace convoy::moments {

using Eigen::Index;
using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Vector = Eigen::VectorXd;

constexpr Index row_block = 256;     // rows centred and multiplied at a time: they stay in cache
constexpr Index group_width = 1024;  // columns of a covariance held at once: d x 1024 numbers a cloud

inline std::span<double> as_span(Vector& v) {
    return {v.data(), static_cast<std::size_t>(v.size())};
}
inline std::span<const double> as_span(const Vector& v) {
    return {v.data(), static_cast<std::size_t>(v.size())};
}

// A sum over all ranks, the same bits on each.
void sum_over(const Communicator& world, std::span<double> values);

// One distributed cloud: this rank's part of it, the stripe of it that this rank alone counts in sums over all
// ranks, and the mean of the whole. Collective; grid and cloud outlive it.
struct Points {
    const Communicator& world;
    const std::vector<double> unit;  // the points divided by their norms, where the cost asks for that
    const Eigen::Map<const Matrix> rows;
    const Eigen::Map<const Vector> weights;
    Index begin = 0, end = 0;  // the stripe
    // The mean is reference + offset, the reference a point of the cloud: so the mean of x - reference - offset is 0 to
    // the rounding of the cloud's spread, not of its distance from the origin, and exactly 0 if all points are one.
    Vector reference, offset;

    // \param normalise whether points are divided by their norms
    Points(const Grid& grid, Side side, const DistributedCloud& cloud, bool normalise);
    Points(const Coupling& coupling, Side side);
    Points(const Points&) = delete;
    Points& operator=(const Points&) = delete;

    Vector mean() const { return reference + offset; }
    // Rows less the mean: `count` of them from `first`.
    Matrix centred(Index first, Index count) const;
    // All points with mass are one point. Collective.
    bool is_one_point() const;

 private:
    Vector first_with_mass(const GlobalRun& stripe) const;
    Vector missed_mean() const;
};

// p - q, the means.
Vector between_means(const Points& p, const Points& q);

// Columns [first, first + width) of a covariance from row `first` down, (d - first) x width, of the whole cloud, on all
// ranks; above the diagonal the numbers mean nothing. Some n d width multiply-adds over all ranks. Collective.
Matrix covariance_columns(const Points& cloud, Index first, Index width);

}  // namespace convoy::moments
