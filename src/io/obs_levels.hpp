#pragma once
// The different values of a column, numbered as they are met, and how often each was met.

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace convoy::io {

class Levels {
 public:
    static constexpr std::int32_t missing = -1, other = -2;

    // New values beyond so many are `other`, all of them.
    explicit Levels(std::size_t most = 10000) : most_{most} {}

    // Its number, even beyond that limit.
    std::int32_t add(std::string_view label);
    // Its number, `other` where there are too many.
    std::int32_t find(std::string_view label);
    // The same for a number, known by its bits; `label` makes its text when it is new.
    template <class Label>
    std::int32_t find(std::uint64_t bits, Label&& label) {
        const auto known = by_bits_.find(bits);
        if (known != by_bits_.end()) return known->second;
        const std::int32_t level = find(std::string_view{label()});
        if (level >= 0) by_bits_.emplace(bits, level);
        return level;
    }

    void count(const std::vector<std::int32_t>& levels);

    std::size_t size() const { return labels_.size(); }
    const std::string& label(std::int32_t level) const { return labels_[static_cast<std::size_t>(level)]; }
    std::int64_t rows(std::int32_t level) const { return counts_[static_cast<std::size_t>(level)]; }
    std::int64_t missing_rows() const { return missing_; }
    std::int64_t other_rows() const { return other_; }

    enum class Order { met, text, number };
    // "10: 85, 10.5: 81, 11: 84"; where there are more than `most` of them, the most frequent ones.
    std::string list(std::size_t most, Order order) const;

 private:
    std::size_t most_;
    std::vector<std::string> labels_;
    std::vector<std::int64_t> counts_;
    std::unordered_map<std::string, std::int32_t> by_label_;
    std::unordered_map<std::uint64_t, std::int32_t> by_bits_;
    std::int64_t missing_ = 0, other_ = 0;
};

}  // namespace convoy::io
