// The sequential fp64 backend: each verb as block.hpp states it, one pair after the other, points as given. Every fast
// kernel is held against it.

#include "kernels/block.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "convoy/error.hpp"
#include "kernels/pick.hpp"

namespace convoy {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

class ReferenceBlock final : public Block {
 public:
    explicit ReferenceBlock(const BlockProblem& problem) : problem_{problem} {}

    void reduce(Side stays, LocalRun range, const Potentials& potentials, double epsilon, Safety safety,
                Sums& out) const override {
        std::vector<double> none;
        apply(stays, range, potentials, epsilon, safety, Weighting::of_columns({}, 0), out, none);
    }

    void apply(Side stays, LocalRun range, const Potentials& potentials, double epsilon, Safety safety,
               const Weighting& weighting, Sums& out, std::vector<double>& values) const override {
        const auto rows = static_cast<std::size_t>(range.count);
        const auto width = static_cast<std::size_t>(weighting.width);
        out.sum.assign(rows, 0.0);
        out.max.assign(safety == Safety::safe ? rows : 0, -infinity);
        values.assign(rows * width, 0.0);
        const Cloud& summed = cloud(other(stays));
        std::vector<double> w(width);
        for (std::size_t r = 0; r < rows; ++r) {
            const std::int64_t i = range.first.value + static_cast<std::int64_t>(r);
            double shift = 0;
            if (safety == Safety::safe) {
                for (std::int64_t j = 0; j < summed.rows; ++j) {
                    if (has_mass(summed, j)) {
                        out.max[r] = std::max(out.max[r], logit(stays, i, j, potentials, epsilon));
                    }
                }
                shift = out.max[r];
            }
            for (std::int64_t j = 0; j < summed.rows; ++j) {
                if (!has_mass(summed, j)) continue;
                const double mass = summed.weights[static_cast<std::size_t>(j)];
                const double p = mass * std::exp(logit(stays, i, j, potentials, epsilon) - shift);
                out.sum[r] += p;
                averaged(stays, i, j, potentials, epsilon, weighting, w);
                for (std::size_t k = 0; k < width; ++k) values[r * width + k] += p * w[k];
            }
        }
    }

    void pick(Side stays, LocalRun range, const Potentials& potentials, double epsilon, const PickRule& rule,
              Picks& out) const override {
        const PairScores scores{problem_, stays, potentials, epsilon, rule};
        PickCollector collector{rule, range.count};
        for (std::int64_t r = 0; r < range.count; ++r) {
            const std::int64_t i = range.first.value + r;
            for (std::int64_t j = 0; j < cloud(other(stays)).rows; ++j) {
                if (!scores.has_mass(j)) continue;
                collector.offer(r, scores.staying_number(i), scores.summed_number(j), scores(i, j), stays);
            }
        }
        out = collector.take();
    }

    double rounding_of_cost() const override { return 0; }

 private:
    const Cloud& cloud(Side side) const { return side == Side::row ? *problem_.source : *problem_.target; }

    static bool has_mass(const Cloud& cloud, std::int64_t j) { return cloud.weights[static_cast<std::size_t>(j)] > 0; }

    // i counts the staying side's points, j the summed side's.
    double pair_cost(Side stays, std::int64_t i, std::int64_t j) const {
        return problem_.cost(cloud(stays).point(i), cloud(other(stays)).point(j));
    }

    double logit(Side stays, std::int64_t i, std::int64_t j, const Potentials& potentials, double epsilon) const {
        if (std::isinf(epsilon)) return 0;
        const bool row = stays == Side::row;
        const double f = potentials.f[static_cast<std::size_t>(row ? i : j)];
        const double g = potentials.g[static_cast<std::size_t>(row ? j : i)];
        return (f + g - pair_cost(stays, i, j)) / epsilon;
    }

    void averaged(Side stays, std::int64_t i, std::int64_t j, const Potentials& potentials, double epsilon,
                  const Weighting& weighting, std::vector<double>& w) const {
        switch (weighting.kind) {
            case Weighting::Kind::columns:
                for (std::size_t k = 0; k < w.size(); ++k) {
                    w[k] = weighting.columns[static_cast<std::size_t>(j) * w.size() + k];
                }
                return;
            case Weighting::Kind::cost: {
                const double c = pair_cost(stays, i, j) - weighting.shift;
                w[0] = c;
                w[1] = c * c;
                return;
            }
            case Weighting::Kind::values:
                w[0] = pair_cost(stays, i, j);
                w[1] = logit(stays, i, j, potentials, epsilon);
                return;
            case Weighting::Kind::gradient: {
                std::vector<double> z(w.size());
                for (std::size_t k = 0; k < z.size(); ++k) {
                    z[k] = cloud(stays).point(i)[k] - cloud(other(stays)).point(j)[k];
                }
                problem_.cost.grad_h(z, w);
                return;
            }
        }
    }

    BlockProblem problem_;
};

}  // namespace

std::unique_ptr<Block> make_reference_block(const BlockProblem& problem) {
    return std::make_unique<ReferenceBlock>(problem);
}

}  // namespace convoy
