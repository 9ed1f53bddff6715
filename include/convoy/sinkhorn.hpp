#pragma once
/// \file
/// Sinkhorn's algorithm on potentials: alternating, with exact half-steps.

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "convoy/anderson.hpp"
#include "convoy/coupling.hpp"

namespace convoy {

/// How f is moved at the target epsilon, given the exact half-step's image of it.
enum class Acceleration {
    plain,            ///< to the image
    over_relaxation,  ///< beyond it, both half-steps, by a factor estimated on the way
    anderson,         ///< to the combination of the last images whose residuals are smallest
    coarse            ///< as anderson, plus a correction from a dense problem on a sample of the points
};
enum class Status { running, converged, not_converged, stopped, failed };
std::string name_of(Status status);
std::string name_of(Acceleration acceleration);

struct SinkhornOptions {
    double epsilon = 0;       ///< in units of the cost
    double tolerance = 1e-3;  ///< L1 marginal error
    std::int64_t max_half_passes = 2000;
    Acceleration acceleration = Acceleration::anderson;
    std::int64_t anderson_memory = 10;
    bool annealing = true;           ///< from an upper bound of C by halves, one iteration a level
    std::int64_t coarse_points = 0;  ///< of either side in the coarse problem; 0: by the number of pairs
    std::uint64_t seed = 0;          ///< of the coarse problem's sample
};

/// What the coarse correction has to remember. Its dense factor is formed anew from these potentials where it is lost.
struct CoarseState {
    std::vector<double> f, g;   ///< of the sampled points, where the coarse problem was formed; the same on all ranks
    double error = 0;           ///< then; 0: not formed yet
    bool corrected = false;     ///< the last step was a corrected one
    std::vector<double> image;  ///< the exact image before a corrected step: what a failed one goes back to
    double trust = 1;  ///< what a correction is multiplied with: halved where the error doubled, doubled where it fell
    bool abandoned = false;  ///< it failed too often, or there is none
    // Which way is quicker, with the correction or without it?
    bool resting = false;        ///< without it, for now
    std::int64_t steps = 0;      ///< of the present stretch
    double stretch_error = 0;    ///< when it began
    std::int64_t stretches = 0;  ///< since the way was last changed
    double other_rate = 0;       ///< the error's fall a step in the other way's last stretch; 0: not known
};

/// Over-relaxation of both half-steps (Thibault, Chizat, Dossal and Papadakis 2021), its factor from the rate that
/// plain steps show. Sums are then exact on neither side: near the tolerance, and where errors grow, plain steps
/// follow.
struct RelaxationState {
    bool active = false;     ///< asked for, or fallen back to
    double factor = 1;       ///< of the half-steps
    std::int64_t steps = 0;  ///< with this factor
    double first_error = 0;  ///< when they began
};

/// What the audit at the end of a run has asked for so far.
struct AuditState {
    std::int64_t retries = 0;  ///< it found a larger error than the solver did, and the goal was tightened
    double tolerance = 0;      ///< the tightened goal; 0: the one that was asked for
    bool converged = false;    ///< the solver had reached its goal at least once
};

/// One line of the history: what a half-pass found.
struct HalfPass {
    std::int64_t number = 0;
    double epsilon = 0;
    double marginal_error = 0;  ///< of the potentials before this half-pass; nan where it means nothing
    double seconds = 0;         ///< of solving, up to its end
};

/// Everything the solver needs to go on: plain values. A copy of it, taken between two steps and put back, gives the
/// same bits as going on. Vectors are this rank's parts.
struct SinkhornState {
    std::vector<double> f, g;
    double epsilon = 0;  ///< of the current annealing level; the target's once annealing is over
    bool annealing = false;
    bool source_exact = false;   ///< rows of (f, g) have their marginals (f came from an exact half-step)
    bool target_exact = false;   ///< columns have them (g likewise)
    bool target_fitted = false;  ///< g is up to date with f: the next step leaves its first half out
    std::int64_t half_passes = 0;
    double other_work =
        0;  ///< beside them: of coarse corrections and of the start, in half-passes' equivalents of pairs
    std::int64_t iterations = 0;
    /// Of (f, g) at the target epsilon; nan where that was not measured.
    double marginal_error = std::numeric_limits<double>::quiet_NaN();
    Status status = Status::running;
    std::string reason;     ///< in words, when no longer running
    bool safe_next = true;  ///< the next half-pass takes the safe form

    AndersonMemory memory;  ///< of f at the target epsilon
    CoarseState coarse;
    RelaxationState relaxation;
    double last_error = 0;  ///< of the previous accelerated iterate; 0: none
    std::int64_t restarts = 0;
    // Floor detector.
    double best_error = 0;        ///< smallest error at the target epsilon; 0: none yet
    std::int64_t since_best = 0;  ///< iterations since it last fell by a tenth
    bool annealed_again = false;  ///< steps had led nowhere: epsilon was approached from above once more
    AuditState audit;
    double seconds = 0;  ///< spent in steps; the only member that steers nothing and need not repeat
    std::vector<HalfPass> history;
};

class CoarseCorrection;

/// The solver: a coupling, options and a state. step() is one alternating iteration (two half-passes).
class Sinkhorn {
 public:
    Sinkhorn(Coupling& coupling, SinkhornOptions options);
    ~Sinkhorn();
    Sinkhorn(Sinkhorn&&) noexcept;

    /// From zero, by annealing if the options say so.
    SinkhornState start() const;
    /// From given potentials, at the target epsilon.
    SinkhornState start(std::vector<double> f, std::vector<double> g) const;

    /// The half-pass that makes columns exact for state.f, whatever g was: what a first step begins with. Collective.
    void fit_target(SinkhornState& state) const;
    /// One iteration: g from f, then f from g, accelerated. Ends the run by setting state.status. Collective.
    void step(SinkhornState& state) const;
    /// Its next half alone: two calls are a step, and the state between them is one to go on from. Collective.
    void half_step(SinkhornState& state) const;

    /// Called after each half-pass on every rank; true anywhere stops the run (status stopped) on all.
    std::function<bool(const SinkhornState&)> observer;
    /// The tolerance may be tightened between steps (the audit does). The rest stays as it was given: samples and
    /// bounds were made for it, and for the coupling's points.
    SinkhornOptions options;

 private:
    struct Found;
    Found half_pass(Side stays, SinkhornState& state, bool error_means_something) const;
    void judge(SinkhornState& state, double error) const;
    void update_source(SinkhornState& state, const std::vector<double>& log_sum, double error) const;
    void relax(SinkhornState& state, double measured) const;
    bool ended_unmeasured(const SinkhornState& state, bool measured) const;
    bool corrects(SinkhornState& state, double error) const;
    bool go_back(SinkhornState& state, double error) const;
    bool anneals_again(SinkhornState& state) const;
    std::vector<double> correction(SinkhornState& state, const std::vector<double>& residual, double error) const;
    void next_level(SinkhornState& state) const;
    Coupling* coupling_;
    mutable std::unique_ptr<CoarseCorrection> coarse_;  // formed from the state, on demand
    double range_bound_ = 0;
};

/// The marginal error (L1) below which rounding in the kernels may keep a run from falling: an estimate.
double floor_of_error(const Coupling& coupling, double epsilon);

/// Shifts (f, g) by a constant so that <a,f> = <b,g>. Collective.
void fix_gauge(const Coupling& coupling, std::vector<double>& f, std::vector<double>& g);

}  // namespace convoy
