#pragma once
// The end of a run of many pairs, as text and for programs.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/phases.hpp"
#include "app/report.hpp"
#include "io/result.hpp"

namespace convoy::app {

// How it went with one pair.
struct PairEnding {
    std::string source, target;             // values
    std::int64_t sources = 0, targets = 0;  // cells
    std::string file = {};
    std::optional<Outcome> outcome = {};  // nothing: it failed, or was not begun
    std::string error = {};               // why it failed; empty: it was not begun
    double seconds = 0;
};

struct PairsReport {
    std::string column;
    const std::vector<PairEnding>& pairs;
    io::InputIdentity input;  // all cells that were read
    io::Attributes root, run;
    std::vector<io::PhaseTiming> timing;
    Memory memory;
    std::vector<std::string> files, warnings;
};

std::string summary_text(const PairsReport& report);
std::string summary_json(const PairsReport& report);

}  // namespace convoy::app
