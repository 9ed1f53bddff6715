#pragma once
// The points of a block on the device, and the products of them that are kept.

#include <cmath>
#include <limits>
#include <numbers>

#include "kernels/block.hpp"
#include "kernels/cuda/device.hpp"
#include "kernels/cuda/device_cloud.hpp"
#include "kernels/cuda/numbers.hpp"
#include "kernels/cuda/tile.hpp"
#include "kernels/pair_form.hpp"
#include "kernels/rounded_cloud.hpp"

namespace convoy::cuda {

using kernels::CostForm;

// Where the products of a pair come from.
enum class Source { registers, tiles, tensor_cores, kept };

// How the pairs of a call are formed.
struct Forms {
    CostForm form;
    Source source = Source::tiles;
    double slope = 0;        // of the kernels; 1 where the staying points are scaled beforehand,
    double unit = 1;         // with this
    double cost_factor = 0;  // of the raw number
    bool scaled = false;
};

template <class T>
class BlockPoints {
 public:
    explicit BlockPoints(const BlockProblem& problem);

    const BlockProblem& problem() const { return problem_; }
    std::int64_t dimension() const { return problem_.source->dimension; }
    DeviceCloud<T>& side(Side s) { return sides_[s == Side::row ? 0 : 1]; }
    const DeviceCloud<T>& side(Side s) const { return sides_[s == Side::row ? 0 : 1]; }
    bool splits() const { return splits_; }  // products come from tensor cores
    OwnTermView own_term() const { return {own_term_.square, own_term_.constant, linear_.get()}; }

    // \param scale log2(e) / eps: what a cost is multiplied with in a logit
    Forms forms_of(const CostForm& form, double scale) const;

    // Kept: r(i, j) times unit_of_products(), a power of two that keeps those of huge or tiny points in range.
    Array<float> kept;
    std::int64_t kept_stride = 0;
    double seconds_of_products = 0;
    double unit_of_products() const;
    KeptView kept_view(Side stays, std::int64_t staying, std::int64_t summed) const;

 private:
    DeviceCloud<T> device_cloud(const Cloud& cloud) const;
    std::int64_t streamed_rows() const;

    BlockProblem problem_;
    kernels::OwnTerm own_term_;
    bool splits_;
    double room_ = bytes_left();  // on the device, before this block
    Array<double> linear_;        // of the own term; empty: zero
    DeviceCloud<T> sides_[2];
};

}  // namespace convoy::cuda
