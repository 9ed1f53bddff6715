#include "app/query_labels.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "app/quantities.hpp"
#include "convoy/error.hpp"
#include "io/reader.hpp"

namespace convoy::app {

namespace {

constexpr std::size_t most_levels = 4096;  // a table of them is still one that a person may want

std::optional<double> number_in(const std::string& text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

void put_in_order(std::vector<std::string>& levels) {
    const bool numbers = std::ranges::all_of(levels, [](const auto& level) { return number_in(level).has_value(); });
    if (numbers) {
        std::ranges::stable_sort(levels, {}, [](const std::string& level) { return *number_in(level); });
    } else {
        std::ranges::sort(levels);
    }
}

// Texts of some points of each rank, all of them together: the levels that any rank has, on all ranks.
std::vector<std::string> levels_of(const Communicator& world, const std::vector<std::string>& texts,
                                   const std::string& what) {
    const std::set<std::string> mine(texts.begin(), texts.end());
    std::string packed;
    for (const std::string& text : mine) packed += text.substr(0, text.find('\0')) + '\0';
    const auto too_many = [&](std::size_t count) {
        CONVOY_VALIDATE(count <= most_levels, fmt::format("{} has more than {} different values; transitions are "
                                                          "between groups: choose a column with fewer",
                                                          what, count_text(most_levels)));
    };
    agree(world, [&] { too_many(mine.size()); });
    std::set<std::string> all;
    for (const std::string& list : world.gather_all(packed)) {
        for (std::size_t at = 0; at < list.size();) {
            const auto end = list.find('\0', at);
            all.insert(list.substr(at, end - at));
            at = end + 1;
        }
    }
    too_many(all.size());
    const bool some_without = all.erase("") > 0;
    std::vector<std::string> levels(all.begin(), all.end());
    put_in_order(levels);
    if (some_without) levels.emplace_back(no_label);
    return levels;
}

std::vector<double> codes_of(const std::vector<std::string>& texts, const std::vector<std::string>& levels) {
    std::vector<double> codes;
    for (const std::string& text : texts) {
        const auto at = text.empty() ? levels.end() - 1 : std::ranges::find(levels, text.substr(0, text.find('\0')));
        codes.push_back(static_cast<double>(at - levels.begin()));
    }
    return codes;
}

Labels labels_of(std::vector<std::string> levels, const std::vector<double>& codes) {
    Labels labels{std::move(levels), {}};
    labels.groups.count = std::ssize(labels.levels);
    for (const double code : codes) labels.groups.of.push_back(static_cast<std::int32_t>(code));
    return labels;
}

}  // namespace

Labels labels_of_column(const Grid& grid, Side side, const Partition& partition, io::PointNames& names,
                        const std::string& column) {
    const Communicator& world = grid.world();
    const GlobalRun stripe = my_stripe(grid, side, partition);
    std::vector<std::string> texts;
    agree(world, [&] { texts = names.read(column, stripe.first.value, stripe.count); });
    std::vector<std::string> levels = levels_of(world, texts, "column '" + column + "'");
    const std::vector<double> codes = join_stripes(grid, side, partition, 1, codes_of(texts, levels));
    return labels_of(std::move(levels), codes);
}

Labels labels_of_file(const Grid& grid, Side side, const Partition& partition, const std::string& file,
                      const std::string& option) {
    const io::InputOptions input{.points = file, .weights = {}};
    const io::Shape shape = io::shape_of(grid.world(), input);
    CONVOY_VALIDATE(shape.rows == partition.items() && shape.columns == 1,
                    fmt::format("{} '{}' has {} x {} numbers (a label for each of {} is needed); give one column",
                                option, file, shape.rows, shape.columns, plural(partition.items(), "point", "points")));
    io::InputIdentity identity;
    const DistributedCloud cloud = io::read_cloud(grid, side, partition, input, identity);
    std::vector<std::string> texts;
    for (const double label : cloud.local.points) texts.push_back(fmt::format("{}", label));
    std::vector<std::string> levels = levels_of(grid.world(), texts, fmt::format("{} '{}'", option, file));
    const std::vector<double> codes = codes_of(texts, levels);
    return labels_of(std::move(levels), codes);
}

}  // namespace convoy::app
