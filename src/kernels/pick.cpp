#include "kernels/pick.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/draws.hpp"

namespace convoy {

double Arrivals::next() {
    sum_ -= std::log(kernels::uniform_of_bits(kernels::bits_of_draw(of_pair_, count_++)));
    return -std::log(sum_);
}

Picks best_of(const std::vector<Picks>& parts) {
    struct Candidate {
        double score;
        std::int64_t index;
    };
    const auto better = [](const Candidate& a, const Candidate& b) {
        if (a.index < 0 || b.index < 0) return b.index < 0 && a.index >= 0;
        return a.score != b.score ? a.score > b.score : a.index < b.index;
    };
    Picks best = parts.front();
    const auto count = static_cast<std::size_t>(best.count);
    std::vector<Candidate> candidates;
    for (std::size_t slot = 0; slot < best.index.size(); slot += count) {
        candidates.clear();
        for (const Picks& part : parts) {
            for (std::size_t k = slot; k < slot + count; ++k) candidates.push_back({part.score[k], part.index[k]});
        }
        std::partial_sort(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(count), candidates.end(),
                          better);
        for (std::size_t k = 0; k < count; ++k) {
            best.score[slot + k] = candidates[k].score;
            best.index[slot + k] = candidates[k].index;
        }
    }
    return best;
}

PairScores::PairScores(const BlockProblem& problem, Side stays, const Potentials& potentials, double epsilon,
                       const PickRule& rule)
    : cost_{problem.cost},
      staying_{stays == Side::row ? problem.source : problem.target},
      summed_{stays == Side::row ? problem.target : problem.source},
      first_staying_{(stays == Side::row ? problem.first_row : problem.first_column).value},
      first_summed_{(stays == Side::row ? problem.first_column : problem.first_row).value},
      of_staying_{stays == Side::row ? potentials.f : potentials.g},
      of_summed_{stays == Side::row ? potentials.g : potentials.f},
      hard_{rule.kind == PickRule::Kind::hard},
      epsilon_{epsilon} {}

double PairScores::operator()(std::int64_t i, std::int64_t j) const {
    const auto at = static_cast<std::size_t>(j);
    if (hard_) return of_summed_[at] - cost_(staying_->point(i), summed_->point(j));
    const double log_weight = std::log(summed_->weights[at]);
    if (std::isinf(epsilon_)) return log_weight + 0.0;
    const double own = of_staying_[static_cast<std::size_t>(i)];
    return log_weight + (own + of_summed_[at] - cost_(staying_->point(i), summed_->point(j))) / epsilon_;
}

Picks no_picks(std::int64_t rows, std::int64_t count) {
    const auto slots = static_cast<std::size_t>(rows * count);
    return {rows, count, std::vector<std::int64_t>(slots, -1),
            std::vector<double>(slots, -std::numeric_limits<double>::infinity())};
}

PickCollector::PickCollector(const PickRule& rule, std::int64_t rows)
    : rule_{rule}, picks_{no_picks(rows, rule.count)}, filled_(static_cast<std::size_t>(rows), 0) {}

void PickCollector::offer(std::int64_t row, GlobalIndex stays, GlobalIndex summed, double score, Side side) {
    if (rule_.kind != PickRule::Kind::sample) {
        put(row, score, summed.value);
        return;
    }
    if (score == -std::numeric_limits<double>::infinity()) return;  // never arrives
    const std::uint64_t of_point = kernels::state_of_point(rule_.seed, side == Side::column, stays.value);
    Arrivals arrivals{kernels::state_of_pair(of_point, summed.value)};
    // An arrival that comes too late is followed by later ones.
    while (put(row, score + arrivals.next(), summed.value)) {
    }
}

bool PickCollector::put(std::int64_t row, double score, std::int64_t index) {
    const auto begin = static_cast<std::ptrdiff_t>(row * rule_.count);
    const auto scores = picks_.score.begin() + begin;
    const auto indices = picks_.index.begin() + begin;
    std::int64_t& filled = filled_[static_cast<std::size_t>(row)];
    const bool full = filled == rule_.count;
    if (full && (rule_.count == 0 || !(score > scores[filled - 1]))) return false;
    // Insertion from the end: equal scores stay behind the earlier, smaller index.
    std::int64_t slot = full ? filled - 1 : filled++;
    for (; slot > 0 && score > scores[slot - 1]; --slot) {
        scores[slot] = scores[slot - 1];
        indices[slot] = indices[slot - 1];
    }
    scores[slot] = score;
    indices[slot] = index;
    return true;
}

}  // namespace convoy
