#pragma once
// What a query has found, said on stdout and as JSON.

#include <string>
#include <vector>

#include "app/phases.hpp"
#include "app/query_answers.hpp"
#include "io/model.hpp"

namespace convoy::app {

struct QueryReport {
    const io::Model& model;
    const Asked& asked;
    std::vector<io::PhaseTiming> timing;
    double pairs = 0, kernel_seconds = 0;  // over all ranks; of the slowest rank
    Memory memory;
    std::vector<std::string> files;     // written, the answers first
    std::vector<std::string> warnings;  // said during the run
};

// Writes the summary's file, if there is one, and the summary. Collective.
void close_query(const Communicator& world, QueryReport report, const std::string& summary, bool overwrite);

}  // namespace convoy::app
