#pragma once
// What solvers have to remember, field by field: one list each, walked both to write a checkpoint and to read one. An
// archive has
//
//     light()                      only potentials and counters are kept
//     number, count, flag, text    (name, value)      scalars
//     part                         (name, side, values)   a number for each point of one side
//     table                        (name, values)     the same on all ranks

#include <cstdint>
#include <string>
#include <vector>

#include "convoy/progot.hpp"
#include "convoy/sinkhorn.hpp"

namespace convoy::app {

template <class Archive, class State>
void status_field(Archive& archive, const std::string& name, State& status) {
    auto number = static_cast<std::int64_t>(status);
    archive.count(name, number);
    if constexpr (!std::is_const_v<State>) status = static_cast<Status>(number);
}

template <class Archive, class State>
void history_field(Archive& archive, const std::string& name, State& history) {
    constexpr std::size_t width = 4;
    std::vector<double> rows;
    for (const HalfPass& one : history)
        rows.insert(rows.end(), {static_cast<double>(one.number), one.epsilon, one.marginal_error, one.seconds});
    archive.table(name, rows);
    if constexpr (!std::is_const_v<State>) {
        history.clear();
        for (std::size_t k = 0; k + width <= rows.size(); k += width)
            history.push_back({static_cast<std::int64_t>(rows[k]), rows[k + 1], rows[k + 2], rows[k + 3]});
    }
}

// (std::vector<double>)s of one side, as many as there are.
template <class Archive, class Vectors>
void parts_field(Archive& archive, const std::string& name, Side side, Vectors& vectors) {
    std::int64_t size = std::ssize(vectors);
    archive.count(name + ".size", size);
    if constexpr (!std::is_const_v<Vectors>) vectors.resize(static_cast<std::size_t>(size));
    for (std::size_t k = 0; k < vectors.size(); ++k) archive.part(name + "." + std::to_string(k), side, vectors[k]);
}

template <class Archive, class State>
void coarse_fields(Archive& archive, const std::string& at, State& coarse) {
    archive.table(at + "f", coarse.f);
    archive.table(at + "g", coarse.g);
    archive.number(at + "error", coarse.error);
    archive.flag(at + "corrected", coarse.corrected);
    // There is one on all ranks, or on none; an empty part may be either.
    bool has_image = coarse.corrected;
    archive.flag(at + "has_image", has_image);
    if (has_image) archive.part(at + "image", Side::row, coarse.image);
    archive.number(at + "trust", coarse.trust);
    archive.flag(at + "abandoned", coarse.abandoned);
    archive.flag(at + "resting", coarse.resting);
    archive.count(at + "steps", coarse.steps);
    archive.number(at + "stretch_error", coarse.stretch_error);
    archive.count(at + "stretches", coarse.stretches);
    archive.number(at + "other_rate", coarse.other_rate);
}

template <class Archive, class State>
void sinkhorn_fields(Archive& archive, const std::string& at, State& state) {
    archive.part(at + "f", Side::row, state.f);
    archive.part(at + "g", Side::column, state.g);
    archive.number(at + "epsilon", state.epsilon);
    archive.flag(at + "annealing", state.annealing);
    archive.flag(at + "source_exact", state.source_exact);
    archive.flag(at + "target_exact", state.target_exact);
    archive.flag(at + "target_fitted", state.target_fitted);
    archive.count(at + "half_passes", state.half_passes);
    archive.number(at + "other_work", state.other_work);
    archive.count(at + "iterations", state.iterations);
    archive.number(at + "marginal_error", state.marginal_error);
    status_field(archive, at + "status", state.status);
    archive.text(at + "reason", state.reason);
    archive.flag(at + "safe_next", state.safe_next);
    archive.count(at + "restarts", state.restarts);
    archive.number(at + "best_error", state.best_error);
    archive.count(at + "since_best", state.since_best);
    archive.flag(at + "annealed_again", state.annealed_again);
    archive.count(at + "audit.retries", state.audit.retries);
    archive.number(at + "audit.tolerance", state.audit.tolerance);
    archive.flag(at + "audit.converged", state.audit.converged);
    archive.number(at + "seconds", state.seconds);
    history_field(archive, at + "history", state.history);
    archive.flag(at + "relaxation.active", state.relaxation.active);
    archive.number(at + "relaxation.factor", state.relaxation.factor);
    archive.count(at + "relaxation.steps", state.relaxation.steps);
    archive.number(at + "relaxation.first_error", state.relaxation.first_error);
    if (archive.light()) return;
    parts_field(archive, at + "memory.residuals", Side::row, state.memory.residuals);
    parts_field(archive, at + "memory.images", Side::row, state.memory.images);
    archive.table(at + "memory.gram", state.memory.gram);
    coarse_fields(archive, at + "coarse.", state.coarse);
    archive.number(at + "last_error", state.last_error);
}

template <class Archive, class Step>
void step_fields(Archive& archive, const std::string& at, Step& step) {
    archive.number(at + "alpha", step.alpha);
    archive.number(at + "travelled", step.travelled);
    archive.number(at + "epsilon", step.epsilon);
    archive.number(at + "tolerance", step.tolerance);
    archive.number(at + "marginal_error", step.marginal_error);
    archive.number(at + "transport_cost", step.transport_cost);
    archive.count(at + "half_passes", step.half_passes);
    archive.count(at + "iterations", step.iterations);
    archive.count(at + "restarts", step.restarts);
    archive.number(at + "work", step.work);
    archive.number(at + "seconds", step.seconds);
    archive.number(at + "dropped", step.dropped);
    status_field(archive, at + "status", step.status);
    archive.text(at + "reason", step.reason);
    archive.text(at + "start", step.start);
}

// Between two half-passes of a step, or between two steps. Where the source is follows from the steps that are done.
template <class Archive, class State>
void progot_fields(Archive& archive, const std::string& at, State& state) {
    std::int64_t steps = std::ssize(state.steps);
    archive.count(at + "steps", steps);
    if constexpr (!std::is_const_v<State>) state.steps.resize(static_cast<std::size_t>(steps));
    for (std::size_t k = 0; k < state.steps.size(); ++k)
        step_fields(archive, at + "step" + std::to_string(k + 1) + ".", state.steps[k]);
    parts_field(archive, at + "g", Side::column, state.g);
    if (steps > 0) archive.part(at + "f", Side::row, state.f);
    archive.flag(at + "solving", state.solving);
    if (state.solving) {
        sinkhorn_fields(archive, at + "solver.", state.solver);
        archive.text(at + "start", state.start);
        archive.number(at + "epsilon", state.epsilon);
    }
    history_field(archive, at + "history", state.history);
}

}  // namespace convoy::app
