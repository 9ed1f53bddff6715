#pragma once
// What `convoy divergence` says at its end, in the file and on the page.

#include <string>
#include <utility>
#include <vector>

#include "app/report.hpp"
#include "convoy/divergence.hpp"

namespace convoy::app {

struct DivergenceFindings {
    DivergenceTerm cross, source, target;
    DivergenceValues values;
    std::string epsilon_of;  // cross, source, target: what a relative epsilon refers to; empty: an absolute one
    std::string source_reused, target_reused;  // files; empty: computed
    Status status() const;                     // of the three together
    std::string reason() const;                // in words
    const DivergenceTerm& self(Side side) const { return side == Side::row ? source : target; }
};

// Groups of the result file.
std::vector<std::pair<std::string, io::Attributes>> divergence_groups(const DivergenceFindings& findings);

// The head of the closing summary. \param outcome of the cross problem
std::string divergence_text(const DivergenceFindings& findings, const Outcome& outcome);

}  // namespace convoy::app
