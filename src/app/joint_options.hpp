#pragma once
// What is done with both clouds together before they are solved: equal points merged, features standardized, principal
// components.

#include <string>

#include "app/command_line.hpp"
#include "convoy/features.hpp"

namespace convoy::app {

struct JointOptions {
    bool merge_duplicates = false;
    FeatureOptions features;  // but for the seed, which is the run's

    bool transforms() const { return features.standardize || features.components > 0; }
};

void declare(CommandLine& line, JointOptions& options);
// Their names.
inline constexpr const char* joint_options[] = {"--merge-duplicates", "--standardize", "--pca"};

// For the log: "standardized, 50 of 1,000 principal components (exact) hold 93.21 % of the variance"
std::string in_words(const Features& features);

}  // namespace convoy::app
