#include "app/phases.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>

namespace convoy::app {

void Phases::end(const std::string& name) {
    const auto now = Clock::now();
    const std::chrono::duration<double> elapsed = now - mark_;
    mark_ = now;
    add(name, elapsed.count());
}

void Phases::add(const std::string& name, double seconds) {
    const auto at =
        std::find_if(phases_.begin(), phases_.end(), [&](const auto& phase) { return phase.first == name; });
    if (at != phases_.end()) {
        at->second += seconds;
    } else {
        phases_.emplace_back(name, seconds);
    }
}

double Phases::seconds(const std::string& name) const {
    for (const auto& [phase, seconds] : phases_) {
        if (phase == name) return seconds;
    }
    return 0;
}

double Phases::total() const {
    return std::chrono::duration<double>(Clock::now() - start_).count();
}

std::vector<io::PhaseTiming> Phases::over_ranks(const Communicator& world) const {
    std::vector<double> mine;
    for (const auto& phase : phases_) mine.push_back(phase.second);
    mine.push_back(total());
    const std::vector<double> all = world.gather_all(mine);

    std::vector<io::PhaseTiming> rows;
    for (std::size_t k = 0; k < mine.size(); ++k) {
        io::PhaseTiming row{k < phases_.size() ? phases_[k].first : "total", all[k], 0, all[k]};
        for (std::size_t at = k; at < all.size(); at += mine.size()) {
            row.min = std::min(row.min, all[at]);
            row.max = std::max(row.max, all[at]);
            row.mean += all[at] / static_cast<double>(world.size());
        }
        rows.push_back(row);
    }
    return rows;
}

double longest(const std::vector<io::PhaseTiming>& timing, const std::string& phase) {
    for (const io::PhaseTiming& row : timing) {
        if (row.phase == phase) return row.max;
    }
    return 0;
}

Memory peak_memory(const Communicator& world) {
    double bytes = 0;
    std::ifstream status{"/proc/self/status"};
    for (std::string line; std::getline(status, line);) {
        if (line.rfind("VmHWM:", 0) == 0) bytes = 1024.0 * std::strtod(line.c_str() + 6, nullptr);
    }
    std::array largest{bytes}, sum{bytes};
    world.max(largest);
    world.sum(std::span<double>{sum});
    return {largest[0], sum[0]};
}

}  // namespace convoy::app
