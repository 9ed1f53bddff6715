#pragma once
/// \file
/// Both clouds in new coordinates: features of equal spread, principal components, or both.

#include <cstdint>
#include <string>
#include <vector>

#include "convoy/coupling.hpp"

namespace convoy {

/// z = V ((x - mean) / scale), each number by its own mean and scale.
struct Features {
    std::int64_t inputs = 0;         ///< d, numbers of a point as it was read
    std::vector<double> mean;        ///< d: of both clouds together, each with half of the mass
    std::vector<double> scale;       ///< d: their standard deviation, 1 for columns that are constant; or all 1
    bool standardized = false;       ///< whether scale is that
    std::vector<double> components;  ///< V, k x d with orthonormal rows; empty: z has all d numbers
    std::vector<double> variances;   ///< k: of z, descending
    double total_variance = 0;       ///< of all d numbers, once scaled; 0 if there are no components
    std::string method;              ///< how components were found: exact or randomized

    std::int64_t outputs() const { return components.empty() ? inputs : std::ssize(variances); }
    /// Share of the variance that the components hold.
    double captured() const;

    /// Rows of d numbers in the new coordinates. Uses all threads, the same bits with any number of them.
    std::vector<double> apply(const std::vector<double>& rows) const;
    /// And back: mean + scale V^T z. What the components leave out is lost.
    std::vector<double> undo(const std::vector<double>& rows) const;
};

/// The points of a cloud in the new coordinates, in place. Local.
void transform(const Features& features, DistributedCloud& cloud);

/// The same to within rounding, which differs between grids.
bool alike(const Features& one, const Features& other);

struct FeatureOptions {
    bool standardize = false;
    std::int64_t components = 0;  ///< 0: no principal components
    /// Exact: eigenvectors of the covariance, d x d. Randomised: block iteration from random directions, some passes
    /// over the points with k + 10 columns (Halko, Martinsson, Tropp 2011, algorithm 4.4), until another one adds less
    /// than 1e-6 of the variance held. Automatic: exact up to d = 2048 or where k is a good part of d.
    enum class Method { automatic, exact, randomized } method = Method::automatic;
    std::uint64_t seed = 0;
};

/// Of the joint distribution of both clouds, weighted. Covariances are summed over all ranks in fp64; what steers is
/// computed on rank 0. The largest number of a component is positive. \throws InputError for more components than
/// numbers, and where numbers are so large that variances overflow. Collective; the same bits on all ranks.
Features find_features(const Grid& grid, const DistributedCloud& source, const DistributedCloud& target,
                       const FeatureOptions& options);

}  // namespace convoy
