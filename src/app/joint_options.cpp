#include "app/joint_options.hpp"

#include <fmt/format.h>

#include "app/quantities.hpp"
#include "convoy/error.hpp"

namespace convoy::app {

namespace {

void take_pca(FeatureOptions& options, const std::string& text) {
    const auto colon = text.find(':');
    options.components = parse_count("--pca", text.substr(0, colon), 1);
    if (colon == std::string::npos) return;
    const std::string method = text.substr(colon + 1);
    CONVOY_VALIDATE(method == "exact" || method == "randomized",
                    fmt::format("--pca: '{}' is neither exact nor randomized", method));
    options.method = method == "exact" ? FeatureOptions::Method::exact : FeatureOptions::Method::randomized;
}

}  // namespace

void declare(CommandLine& line, JointOptions& options) {
    const std::string group = "Both clouds";
    line.flag("--merge-duplicates",
              "equal points are solved as one with their masses added up; the result has all rows",
              options.merge_duplicates)
        ->group(group);
    line.flag("--standardize", "each column of both clouds together gets mean 0 and standard deviation 1 (weighted)",
              options.features.standardize)
        ->group(group);
    line.option("--pca", "K[:METHOD]",
                "K principal components of both clouds together (weighted, after --standardize), exact or randomized "
                "(default: exact up to 2048 columns); the result keeps them, and `map` and `score` use them",
                [&](const std::string& text) { take_pca(options.features, text); })
        ->group(group);
}

std::string in_words(const Features& features) {
    const std::string standardized = features.standardized ? "standardized" : "";
    if (features.components.empty()) return standardized;
    return fmt::format("{}{}{} of {} principal components ({}) hold {:.4g} % of the variance", standardized,
                       features.standardized ? ", " : "", count_text(features.outputs()), count_text(features.inputs),
                       features.method, 100 * features.captured());
}

}  // namespace convoy::app
