#pragma once
// What convoy query is asked.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/checkpoint_options.hpp"
#include "app/options.hpp"
#include "convoy/plan_questions.hpp"

namespace convoy::app {

// Which kind of file the answers go to, told by its name's end.
enum class AnswerFormat { hdf5, h5ad, npy, csv };

struct QueryOptions {
    std::string result;
    std::string source, target;  // where the result's inputs are, if they have moved
    const std::string& moved(Side side) const { return side == Side::row ? source : target; }

    bool original_space = false;  // images in the coordinates of the files
    bool match = false, barycentric = false, diagonal = false, entropy = false, marginals = false;
    std::optional<EntriesRule> entries;
    std::int64_t pairs = 0, draws_of_a_row = 0;  // 0: none are asked for
    std::uint64_t seed = 0;
    std::string transition;                    // a column of obs
    std::string source_labels, target_labels;  // PATH[#KEY], where there is no such column
    bool has_transition() const { return !transition.empty() || !source_labels.empty(); }
    std::string push, pull;
    std::vector<double> times;  // of the displacement interpolation

    std::string output, summary;
    AnswerFormat format = AnswerFormat::hdf5;
    bool overwrite = false;
    MachineOptions machine;
    CheckpointOptions checkpoint;
    VolumeOptions volume;
    std::string config;
};

// False if help was asked for, and printed. \throws InputError. Collective.
bool parse(const Invocation& invocation, QueryOptions& options);

}  // namespace convoy::app
