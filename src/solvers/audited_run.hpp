#pragma once
// A run of Sinkhorn's that ends when the audit agrees: where it finds a larger error than the solver did, the solver's
// goal is tightened.

#include <functional>
#include <string>

#include "convoy/sinkhorn.hpp"
#include "convoy/values.hpp"

namespace convoy {

// What the caller wants to know on the way, on every rank.
struct RunWatcher {
    // Wherever the state is one that a run can go on from: after each half-pass, before the audit. May throw on all
    // ranks, where the run is to be gone on with another time. Collective.
    std::function<void()> at_boundary = [] {};
    // Between parts of the work: throws on all ranks where nothing that was computed is wanted any more. Collective.
    std::function<void(const SinkhornState&)> check = [](const SinkhornState&) {};
    std::function<void(const std::string&)> part_ended = [](const std::string&) {};  // "solve", "audit"
    std::function<void(const std::string&)> say = [](const std::string&) {};
};

// Half-steps of the solver until the state is no longer running, with boundaries between them. Collective.
void run_to_its_end(const Sinkhorn& sinkhorn, SinkhornState& state, const RunWatcher& watcher);

// Steps until the state is no longer running and the audit agrees, or says that it cannot; the state's status and
// reason are final then. Collective. Throws Failure where the potentials are no plan's.
Verdict run_audited(Coupling& coupling, Sinkhorn& sinkhorn, SinkhornState& state, std::uint64_t seed,
                    const RunWatcher& watcher);

// A run that ended while annealing holds potentials of a larger epsilon. One exact half-step at the target's makes them
// potentials of the problem that was asked for, with exact rows. Collective.
void leave_annealing(Coupling& coupling, SinkhornState& state, double epsilon);

}  // namespace convoy
