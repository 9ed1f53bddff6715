#pragma once
/// \file
/// Sinkhorn's algorithm on potentials: alternating, with exact half-steps.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "convoy/anderson.hpp"
#include "convoy/coupling.hpp"

namespace convoy {

enum class Acceleration { plain, anderson };
enum class Status { running, converged, not_converged, stopped, failed };
std::string name_of(Status status);
std::string name_of(Acceleration acceleration);

struct SinkhornOptions {
    double epsilon = 0;       ///< in units of the cost
    double tolerance = 1e-3;  ///< L1 marginal error
    std::int64_t max_half_passes = 2000;
    Acceleration acceleration = Acceleration::anderson;
    std::int64_t anderson_memory = 10;
    bool annealing = true;  ///< from an upper bound of C by halves, one iteration a level
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
    bool source_exact = false;  ///< rows of (f, g) have their marginals (f came from an exact half-step)
    std::int64_t half_passes = 0;
    std::int64_t iterations = 0;
    double marginal_error = 0;  ///< of (f, g), once measured at the target epsilon
    Status status = Status::running;
    std::string reason;     ///< in words, when no longer running
    bool safe_next = true;  ///< the next half-pass takes the safe form

    AndersonMemory memory;  ///< of f at the target epsilon
    double last_error = 0;  ///< of the previous accelerated iterate; 0: none
    std::int64_t restarts = 0;
    // Floor detector.
    double best_error = 0;        ///< smallest error at the target epsilon; 0: none yet
    std::int64_t since_best = 0;  ///< iterations since it last fell by a tenth
    double seconds = 0;           ///< spent in steps; the only member that steers nothing and need not repeat
    std::vector<HalfPass> history;
};

/// The solver: a coupling, options and a state. step() is one alternating iteration (two half-passes).
class Sinkhorn {
 public:
    Sinkhorn(Coupling& coupling, SinkhornOptions options);

    /// From zero, by annealing if the options say so.
    SinkhornState start() const;
    /// From given potentials, at the target epsilon. Collective.
    SinkhornState start(std::vector<double> f, std::vector<double> g) const;

    /// One iteration: g from f, then f from g, accelerated. Ends the run by setting state.status. Collective.
    void step(SinkhornState& state) const;

    /// Called after each half-pass on every rank; true anywhere stops the run (status stopped) on all.
    std::function<bool(const SinkhornState&)> observer;
    /// Options may be tightened between steps (the audit does).
    SinkhornOptions options;

 private:
    struct Found;
    Found half_pass(Side stays, SinkhornState& state, bool error_means_something) const;
    void judge(SinkhornState& state, double error) const;
    void update_source(SinkhornState& state, const std::vector<double>& log_sum, double error) const;
    bool limit_step(const std::vector<double>& from, std::vector<double>& to, double limit) const;
    void next_level(SinkhornState& state) const;
    Coupling* coupling_;
    double range_bound_ = 0;
};

/// Shifts (f, g) by a constant so that <a,f> = <b,g>. Collective.
void fix_gauge(const Coupling& coupling, std::vector<double>& f, std::vector<double>& g);

}  // namespace convoy
