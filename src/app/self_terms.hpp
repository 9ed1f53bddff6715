#pragma once
// The self terms of a divergence in result files: how they are written, and how an earlier result's are found again.
//
//     /divergence                       attributes: divergence, divergence_transport, epsilon_of
//     /divergence/cross source target   attributes of one term
//     /self/source f   /self/target f   potentials of the self terms

#include <optional>
#include <string>

#include "app/run.hpp"
#include "convoy/divergence.hpp"
#include "io/result.hpp"

namespace convoy::app {

// One term's attributes. \param reused the file that it comes from; empty: it was computed
io::Attributes term_attributes(const DivergenceTerm& term, const std::string& reused);

std::string name_of(Side side);  // source, target

// What an earlier result says of its self terms; potentials are read when they are wanted.
struct StoredSelfTerm {
    Side side = Side::row;
    io::InputIdentity input;
    DivergenceTerm term;
};
struct StoredSelfTerms {
    std::string path;
    double epsilon = 0;
    std::string cost;
    StoredSelfTerm source, target;
    std::optional<Features> features;
};

// Throws InputError on all ranks where the file is no complete result with self terms. Collective.
StoredSelfTerms read_self_terms(const Communicator& world, const std::string& path);

// Throws InputError where its cost or epsilon is another.
void expect_same_problem(const StoredSelfTerms& stored, const Cost& cost, double epsilon);

// The stored term of the same points and weights, for either side of this run; nothing if there is none. Throws
// InputError that says what differs where neither side has one. Rows that this run merges need not have been there.
struct ReusableTerms {
    const StoredSelfTerm* source = nullptr;
    const StoredSelfTerm* target = nullptr;
};
ReusableTerms find_reusable(const StoredSelfTerms& stored, const Problem& problem);

// With its potential, for one side of this run's problem, as solve_self_term() gives it. Collective.
SelfTerm read_self_term(const Problem& problem, Side side, const StoredSelfTerms& stored, const StoredSelfTerm& term);

}  // namespace convoy::app
