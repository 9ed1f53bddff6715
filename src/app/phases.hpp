#pragma once
// Where the time went: seconds of each phase on this rank, then their least, mean and largest over all ranks.

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "convoy/communicator.hpp"
#include "io/result.hpp"

namespace convoy::app {

class Phases {
 public:
    Phases() : start_{Clock::now()}, mark_{start_} {}

    // The phase that lasted until now, from the end of the one before; phases of one name add up.
    void end(const std::string& name);
    // Seconds measured elsewhere, such as a part of a phase.
    void add(const std::string& name, double seconds);
    double seconds(const std::string& name) const;
    double total() const;

    // One row a phase, in the order of their first ends, then `total`. Collective; all ranks have had the same phases.
    std::vector<io::PhaseTiming> over_ranks(const Communicator& world) const;

 private:
    using Clock = std::chrono::steady_clock;
    Clock::time_point start_, mark_;
    std::vector<std::pair<std::string, double>> phases_;
};

struct Memory {
    double largest = 0;  // of one rank
    double sum = 0;      // over ranks
};
// The most that this process has had resident so far (VmHWM); zeros where the system does not say. Collective.
Memory peak_memory(const Communicator& world);

// The largest over ranks of one phase, 0 if there was none.
double longest(const std::vector<io::PhaseTiming>& timing, const std::string& phase);

}  // namespace convoy::app
