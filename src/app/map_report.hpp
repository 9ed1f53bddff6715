#pragma once
// What a run of map has done, said on stdout and as JSON.

#include <string>
#include <vector>

#include "app/phases.hpp"
#include "io/model.hpp"
#include "io/points_file.hpp"

namespace convoy::app {

struct MapReport {
    const io::Model& model;
    const io::PointsHead& head;
    io::InputIdentity input;
    std::int64_t self_half_passes = 0;
    std::string self_file;  // that the self potential was read from
    std::vector<io::PhaseTiming> timing;
    double pairs_per_second = 0;
    Memory memory;
    std::vector<std::string> files;     // written, the images first
    std::vector<std::string> warnings;  // said during the run
};

// Writes the summary's file, if there is one, and the summary. Collective.
void close_map(const Communicator& world, MapReport report, const std::string& summary, bool overwrite);

}  // namespace convoy::app
