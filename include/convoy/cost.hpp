#pragma once
/// \file
/// Costs C_ij between a source point x_i and a target point y_j.

#include <span>
#include <string>
#include <string_view>

namespace convoy {

enum class CostKind { sqeuclidean, euclidean, pnorm, dot, cosine };

/// A cost between points of R^d.
///
/// `sqeuclidean`, `euclidean` and `pnorm:P` have the form h(x - y); `dot` = -<x,y> and `cosine` = 1 - <x,y>/(|x||y|) do
/// not. In maps (progot.md's table; Kassraie et al. 2024, section 2) h, grad h and grad h* are used, h* the convex
/// conjugate.
class Cost {
 public:
    Cost() = default;
    explicit Cost(CostKind kind, double p = 2.0);

    /// From `sqeuclidean`, `euclidean`, `pnorm:P` (P > 1), `dot` or `cosine`. \throws InputError
    static Cost parse(std::string_view text);

    CostKind kind() const { return kind_; }
    double p() const { return p_; }
    std::string name() const;  ///< As parse() takes it.

    /// C(x, y) in fp64, by direct differences where the cost has them.
    double operator()(std::span<const double> x, std::span<const double> y) const;

    /// C = h(x - y) for some h: the cost does not change when both clouds move.
    bool translation_invariant() const { return kind_ != CostKind::dot && kind_ != CostKind::cosine; }
    /// The plan does not change when both clouds move by one vector (so points may be centred): all but `cosine`.
    bool may_be_centred() const { return kind_ != CostKind::cosine; }
    /// Rows are divided by their norm once, before anything else.
    bool normalises_rows() const { return kind_ == CostKind::cosine; }
    /// Computed from inner products: C_ij = U_i + W_j - product_factor() <x_i, y_j>; see row_term().
    bool uses_products() const;
    double product_factor() const;
    /// U_i (or W_j) of the expanded form, without what centring adds: |x|^2, |x|^2/2, 0 or 1/2.
    double row_term(double squared_norm) const;

    /// h(z). \throws InputError if the cost is not of that form.
    double h(std::span<const double> z) const;
    /// out = grad h(z); 0 where h is not differentiable (euclidean at 0).
    void grad_h(std::span<const double> z, std::span<double> out) const;
    /// There is an entropic map: grad h* exists, or the barycentric map serves (`dot`).
    bool has_map() const { return kind_ != CostKind::euclidean && kind_ != CostKind::cosine; }
    /// out = grad h*(w). \throws InputError if the cost has no map.
    void grad_h_conjugate(std::span<const double> w, std::span<double> out) const;

    /// The norm that bounds the cost: |x|_P for pnorm, else |x|_2.
    double bounding_norm(std::span<const double> x) const;
    /// An upper bound of max C - min C (of max C where C >= 0), from the largest bounding norms of centred clouds.
    double range_bound(double source_norm, double target_norm) const;

    bool operator==(const Cost&) const = default;

 private:
    CostKind kind_ = CostKind::sqeuclidean;
    double p_ = 2.0;
};

}  // namespace convoy
