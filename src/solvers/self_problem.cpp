// The symmetric problem: f = g, and one reduction a step gives both the error of the present potential and the next.
//
//     log s_i = log sum_j a_j exp((f_i + f_j - C_ij)/eps)         T f = f - eps log s
//     f <- f - (eps/2) log s = (f + T f)/2
//
// Alternating between the sides would be slow here: where the plan is nearly the identity, f - g hardly moves. The
// averaged update's Jacobian is (I - K)/2 with K_ij = P_ij/a_i, whose eigenvalues lie in [0, 1] where the kernel is
// positive definite: errors at least halve. Anderson acceleration finds combinations that do better.

#include "convoy/self_problem.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "convoy/anderson.hpp"
#include "convoy/error.hpp"

namespace convoy {

namespace {

constexpr std::int64_t patience = 25;            // steps without a better error: the memory starts afresh
constexpr std::int64_t hopeless = 3 * patience;  // then averaged updates go on alone
constexpr double largest_step = 10;              // times epsilon, away from the averaged update

// Half the cost of a point with itself: with it `dot` is half the squared distance, as it is for the plan.
std::vector<double> half_own_cost(const Coupling& self) {
    const Cloud& cloud = self.local(Side::row);
    std::vector<double> f;
    for (std::int64_t i = 0; i < cloud.rows; ++i) f.push_back(self.cost()(cloud.point(i), cloud.point(i)) / 2);
    return f;
}

class SelfRun {
 public:
    SelfRun(Coupling& self, const SelfOptions& options) : self_{self}, options_{options} {
        CONVOY_EXPECT(options.epsilon > 0 && options.anderson_memory > 0);
        CONVOY_EXPECT(self.points(Side::row) == self.points(Side::column));
        solution_.epsilon = options.epsilon;
        set(options.start ? *options.start : half_own_cost(self));
        CONVOY_EXPECT(std::ssize(solution_.f) == self.local(Side::row).rows);
    }

    SelfSolution run() {
        while (solution_.status == Status::running) step();
        return std::move(solution_);
    }

 private:
    void step() {
        const auto begin = std::chrono::steady_clock::now();
        const Safety safety = solution_.half_passes == 0 ? Safety::safe : Safety::shifted;
        const std::vector<double> log_sum =
            self_.reduce(Side::row, {solution_.f, solution_.g}, options_.epsilon, safety);
        ++solution_.half_passes;
        solution_.marginal_error = self_.marginal_error(Side::row, log_sum);
        seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        solution_.history.push_back({solution_.half_passes, options_.epsilon, solution_.marginal_error, seconds_});
        if (options_.observer) options_.observer(solution_);
        judge(solution_.marginal_error);
        if (solution_.status == Status::running) return set(next(log_sum));
        if (solution_.status != Status::failed) set(with_massless(log_sum));
    }

    void set(std::vector<double> f) {
        solution_.f = std::move(f);
        solution_.g = redistribute(self_.grid(), Side::row, self_.cloud(Side::row).partition,
                                   self_.cloud(Side::column).partition, 1, solution_.f);
    }

    // Has the run come to its end?
    void judge(double error) {
        const auto end = [&](Status status, std::string reason) {
            solution_.status = status;
            solution_.reason = std::move(reason);
        };
        double stop = options_.stop && options_.stop() ? 1 : 0;
        self_.grid().world().max(std::span{&stop, 1});
        const bool single = self_.precision() == Precision::single;
        if (!std::isfinite(error)) {
            end(Status::failed,
                fmt::format("the marginal error is not a number at half-pass {} (epsilon {:.3g}); epsilon may be too "
                            "small for this precision: {}use a larger --epsilon",
                            solution_.half_passes, options_.epsilon, single ? "use --precision double, or " : ""));
        } else if (error <= options_.tolerance) {
            end(Status::converged, fmt::format("marginal error {:.2e} is within {:.2e}", error, options_.tolerance));
        } else if (stop > 0) {
            end(Status::stopped, fmt::format("stopped after half-pass {}", solution_.half_passes));
        } else if (solution_.half_passes >= options_.max_half_passes) {
            end(Status::not_converged,
                fmt::format("the limit of half-passes ({}) is reached", options_.max_half_passes));
        } else if (best_error_ == 0 || error < 0.9 * best_error_) {
            best_error_ = error;
            since_best_ = 0;
        } else if (++since_best_ >= patience && best_error_ <= floor_of_error(self_, options_.epsilon)) {
            end(Status::not_converged,
                fmt::format("the error does not fall below {:.1e}: this is the floor of {} precision at this epsilon",
                            best_error_, single ? "single" : "double"));
        }
    }

    // The averaged update, or the combination of the last ones that Anderson finds.
    std::vector<double> next(const std::vector<double>& log_sum) {
        const double epsilon = options_.epsilon;
        const std::vector<double>& weights = self_.local(Side::row).weights;
        std::vector<double> image = solution_.f, residual(image.size());
        for (std::size_t i = 0; i < image.size(); ++i) {
            // Nobody's sum sees a point without mass: its exact value at once.
            image[i] -= (weights[i] > 0 ? epsilon / 2 : epsilon) * log_sum[i];
            // In the memory the residual of a point that is far off would drown all others.
            residual[i] = -epsilon / 2 * std::clamp(log_sum[i], -largest_step, largest_step);
        }
        const double error = solution_.marginal_error;
        const bool doubled = last_error_ > 0 && error > 2 * last_error_;
        const bool stuck = since_best_ > 0 && since_best_ % patience == 0;
        last_error_ = error;
        if (!options_.accelerated || since_best_ >= hopeless) return image;
        // The model behind the last steps is wrong: this one is a plain averaged update.
        if (doubled || stuck) memory_.clear();
        const std::vector<double> averaged = image;
        AndersonStep step = anderson_step(self_, Side::row, memory_, static_cast<std::size_t>(options_.anderson_memory),
                                          std::move(residual), std::move(image));
        limit_step(self_, Side::row, averaged, step.next, largest_step * epsilon);
        return std::move(step.next);
    }

    // Points without mass have no say in the error, but a potential of their own: its exact value.
    std::vector<double> with_massless(const std::vector<double>& log_sum) const {
        std::vector<double> f = solution_.f;
        const std::vector<double>& weights = self_.local(Side::row).weights;
        for (std::size_t i = 0; i < f.size(); ++i) {
            if (weights[i] == 0) f[i] -= options_.epsilon * log_sum[i];
        }
        return f;
    }

    Coupling& self_;
    const SelfOptions& options_;
    SelfSolution solution_;
    AndersonMemory memory_;
    double last_error_ = 0, best_error_ = 0;  // 0: none yet
    std::int64_t since_best_ = 0;             // steps since the best error last fell by a tenth
    double seconds_ = 0;
};

}  // namespace

Coupling self_coupling(const Coupling& coupling, Side side, bool keep_products) {
    return coupling.with(other(side), coupling.redistributed(side), keep_products);
}

SelfSolution solve_self(Coupling& self, const SelfOptions& options) {
    return SelfRun{self, options}.run();
}

}  // namespace convoy
