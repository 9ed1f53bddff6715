#pragma once
// The solver's progress, for a person: a bar on a terminal, else a line every few seconds.

#include <chrono>
#include <string>

#include "app/console.hpp"
#include "convoy/sinkhorn.hpp"

namespace convoy::app {

class Progress {
 public:
    // \param pairs of one half-pass, over all ranks
    Progress(Console& console, double pairs);

    // What follows is about another problem: its lines begin with `name`.
    void begin(const std::string& name);
    // After each half-pass; `options` as they are now (the audit may tighten the tolerance).
    void show(const SinkhornState& state, const SinkhornOptions& options);
    // Within a half-pass, with the share of it that is done: speaks only where half-passes take long.
    void within(double share);
    void finish();

 private:
    using Clock = std::chrono::steady_clock;
    std::string line(const SinkhornState& state, const SinkhornOptions& options) const;
    std::string bar(const SinkhornState& state, const SinkhornOptions& options);
    // Seconds of one half-pass, from the last ones.
    static double pace(const SinkhornState& state);

    Console& console_;
    double pairs_;
    Clock::time_point next_, half_pass_began_;
    std::string name_, next_work_ = "half-pass 1";
    bool was_annealing_ = false;
    double first_error_ = 0;  // at the target epsilon; 0: none yet
};

}  // namespace convoy::app
