#pragma once
// What a run has found, said three ways from one struct: attributes of the result file, JSON, and the closing summary.

#include <string>
#include <vector>

#include "app/phases.hpp"
#include "app/report_parts.hpp"
#include "convoy/cost.hpp"
#include "convoy/sinkhorn.hpp"
#include "convoy/values.hpp"
#include "io/result.hpp"

namespace convoy::app {

struct Outcome {
    Status status = Status::running;
    std::string reason;  // in words
    double epsilon = 0, tolerance = 0;
    std::string rule;  // of epsilon, as it was given
    Cost cost;
    Verdict verdict;
    double solver_error = 0;
    std::int64_t half_passes = 0, iterations = 0, restarts = 0, safe_rows = 0;
    double work = 0;     // all half-passes and what was done beside them, in half-passes' equivalents of pairs
    std::string start;   // in words
    double seconds = 0;  // of the start and the solver
};

io::Attributes solution_attributes(const Outcome& outcome);

struct Report {
    const Outcome& outcome;
    const io::Result& result;
    std::vector<io::PhaseTiming> timing;  // as in the result, and what came after it was written
    double pairs_per_second = 0;
    Memory memory;
    double products = 0;                // bytes kept on the largest rank
    std::vector<std::string> files;     // written, the result first
    std::vector<std::string> warnings;  // said during the run
    std::string findings;               // in place of the outcome, where a command has more to say
};

// "converged: ..."
std::string in_words(Status status, const std::string& reason);
std::string summary_text(const Report& report);
std::string summary_json(const Report& report);
std::string trace_csv(const std::vector<HalfPass>& history);

}  // namespace convoy::app
