#include "io/obs_levels.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>

#include "io/number.hpp"

namespace convoy::io {

namespace {

constexpr std::size_t longest_label = 40;

std::string shortened(const std::string& label) {
    return label.size() <= longest_label ? label : label.substr(0, longest_label) + "...";
}

}  // namespace

std::int32_t Levels::add(std::string_view label) {
    const auto [known, is_new] = by_label_.emplace(label, static_cast<std::int32_t>(labels_.size()));
    if (is_new) {
        labels_.emplace_back(label);
        counts_.push_back(0);
    }
    return known->second;
}

std::int32_t Levels::find(std::string_view label) {
    if (labels_.size() < most_) return add(label);
    const auto known = by_label_.find(std::string{label});
    return known == by_label_.end() ? other : known->second;
}

void Levels::count(const std::vector<std::int32_t>& levels) {
    for (const std::int32_t level : levels) {
        if (level == missing)
            ++missing_;
        else if (level == other)
            ++other_;
        else
            ++counts_[static_cast<std::size_t>(level)];
    }
}

std::string Levels::list(std::size_t most, Order by) const {
    std::vector<std::size_t> order;
    for (std::size_t k = 0; k < labels_.size(); ++k)
        if (counts_[k] > 0) order.push_back(k);
    const bool all = order.size() <= most && other_ == 0;
    const auto number = [&](std::size_t k) { return parse_number(labels_[k]).value_or(0); };
    if (by == Order::text) std::ranges::sort(order, {}, [&](std::size_t k) { return labels_[k]; });
    if (by == Order::number) std::ranges::stable_sort(order, {}, number);
    if (!all) std::ranges::stable_sort(order, std::greater{}, [&](std::size_t k) { return counts_[k]; });
    const std::size_t left = order.size() - std::min(most, order.size());
    order.resize(order.size() - left);
    std::vector<std::string> words;
    for (const std::size_t k : order) words.push_back(fmt::format("{}: {}", shortened(labels_[k]), counts_[k]));
    if (left > 0 || other_ > 0) words.push_back(fmt::format("and {}{} more", other_ > 0 ? "over " : "", left));
    return words.empty() ? "no values" : fmt::format("{}", fmt::join(words, ", "));
}

}  // namespace convoy::io
