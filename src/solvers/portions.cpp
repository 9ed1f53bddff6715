#include "solvers/portions.hpp"

#include <algorithm>
#include <bit>
#include <span>
#include <stdexcept>

#include "convoy/error.hpp"

namespace convoy {

namespace {

// One side's words: a length, then as many of them, again and again.
class Words {
 public:
    Words(PassJournal& journal, Side side)
        : words_{side == Side::row ? journal.rows : journal.columns},
          read_{side == Side::row ? journal.rows_read : journal.columns_read} {}

    bool has_more() const { return read_ < words_.size(); }
    std::span<const std::int64_t> next() {
        const auto length = static_cast<std::size_t>(words_[read_]);
        // Of this rank alone: it may not leave as if all did.
        if (length > words_.size() - read_ - 1) throw std::logic_error{"the journal of a query contradicts itself"};
        const std::span found = std::span{words_}.subspan(read_ + 1, length);
        read_ += 1 + length;
        return found;
    }
    void put(std::span<const std::int64_t> some) {
        words_.push_back(std::ssize(some));
        words_.insert(words_.end(), some.begin(), some.end());
        read_ = words_.size();
    }
    void put(std::span<const double> some) {
        words_.push_back(std::ssize(some));
        for (const double number : some) words_.push_back(std::bit_cast<std::int64_t>(number));
        read_ = words_.size();
    }

 private:
    std::vector<std::int64_t>& words_;
    std::size_t& read_;
};

std::vector<double> numbers_of(std::span<const std::int64_t> words) {
    std::vector<double> numbers;
    numbers.reserve(words.size());
    for (const std::int64_t word : words) numbers.push_back(std::bit_cast<double>(word));
    return numbers;
}

template <class Compute>
std::vector<double> recalled(const SolvedPlan& plan, Side stays, const Compute& compute) {
    if (plan.journal == nullptr) return compute();
    Words words{*plan.journal, stays};
    ++plan.journal->passes;
    if (words.has_more()) return numbers_of(words.next());
    std::vector<double> found = compute();
    words.put(std::span<const double>{found});
    return found;
}

}  // namespace

std::vector<double> log_sums(const SolvedPlan& plan, Side stays) {
    return recalled(plan, stays,
                    [&] { return plan.coupling.reduce(stays, plan.potentials(), plan.epsilon, Safety::shifted); });
}

std::vector<double> averages(const SolvedPlan& plan, Side stays, LocalRun run, const Weighting& weighting) {
    return recalled(plan, stays, [&] {
        return plan.coupling.apply(stays, run, plan.potentials(), plan.epsilon, Safety::safe, weighting).value;
    });
}

Picks pick(const SolvedPlan& plan, Side stays, LocalRun run, const PickRule& rule, bool scores) {
    const auto compute = [&] { return plan.coupling.pick(stays, run, plan.potentials(), plan.epsilon, rule); };
    if (plan.journal == nullptr) return compute();
    Words words{*plan.journal, stays};
    ++plan.journal->passes;
    if (words.has_more()) {
        Picks picks;
        picks.rows = run.count;
        picks.count = rule.count;
        const std::span<const std::int64_t> index = words.next();
        picks.index.assign(index.begin(), index.end());
        if (scores) picks.score = numbers_of(words.next());
        return picks;
    }
    Picks picks = compute();
    words.put(std::span<const std::int64_t>{picks.index});
    if (scores) words.put(std::span<const double>{picks.score});
    return picks;
}

PickMemory memory_of_picks(std::int64_t rows, std::int64_t columns, std::int64_t count, int ranks) {
    constexpr double pick = 16, candidates = 56;                     // bytes, of one that is found and kept in a row
    const auto task = static_cast<double>(count > 1024 ? 32 : 128);  // rows that a thread has at a time
    constexpr std::int64_t long_row = 16384;                         // is shared out, four pieces a thread
    const double n = static_cast<double>(rows), k = static_cast<double>(count);
    const double slots = std::min(n * k, std::max(static_cast<double>(slots_at_once), k));
    const double gathered = ranks > 1 ? std::min(slots * ranks, std::max(0x1p20, k * ranks)) : 0;
    // All of a portion, its part in hand, and the best of the pieces of rows; others' picks as sent, received and
    // sorted.
    return {3 * pick * slots + 3 * pick * gathered,
            std::min(task, n) * k * (candidates + (columns >= long_row ? 4 * pick : 0))};
}

void in_portions(const SolvedPlan& plan, Side stays, std::int64_t rows, const std::function<void(LocalRun)>& use) {
    const Partition& parts = plan.coupling.cloud(stays).partition;
    const std::int64_t most = std::max<std::int64_t>(rows, 1);
    const std::int64_t count = std::max<std::int64_t>((parts.largest() + most - 1) / most, 1);
    const Partition portions = Partition::even(plan.coupling.local(stays).rows, count);
    for (std::int64_t p = 0; p < count; ++p) {
        const GlobalRun run = portions.run(PartIndex{p});
        use({LocalIndex{run.first.value}, run.count});
        plan.between();
    }
}

}  // namespace convoy
