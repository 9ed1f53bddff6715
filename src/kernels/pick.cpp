#include "kernels/pick.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/draws.hpp"

namespace convoy {

double gumbel_number(double uniform) {
    return -std::log(-std::log(uniform));
}

double gumbel(std::uint64_t seed, GlobalIndex stays, GlobalIndex summed, std::int64_t draw, Side side) {
    return gumbel_number(kernels::uniform(seed, side == Side::column, stays.value, summed.value, draw));
}

Picks best_of(const PickRule& rule, const std::vector<Picks>& parts) {
    struct Candidate {
        double score;
        std::int64_t index;
    };
    const auto better = [](const Candidate& a, const Candidate& b) {
        if (a.index < 0 || b.index < 0) return b.index < 0 && a.index >= 0;
        return a.score != b.score ? a.score > b.score : a.index < b.index;
    };
    Picks best = parts.front();
    // The slots of a row compete with each other; draws each on their own.
    const auto group = static_cast<std::size_t>(rule.kind == PickRule::Kind::sample ? 1 : best.count);
    std::vector<Candidate> candidates;
    for (std::size_t slot = 0; slot < best.index.size(); slot += group) {
        candidates.clear();
        for (const Picks& part : parts) {
            for (std::size_t k = slot; k < slot + group; ++k) candidates.push_back({part.score[k], part.index[k]});
        }
        std::partial_sort(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(group), candidates.end(),
                          better);
        for (std::size_t k = 0; k < group; ++k) {
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
    : rule_{rule}, picks_{no_picks(rows, rule.count)} {}

void PickCollector::offer(std::int64_t row, GlobalIndex stays, GlobalIndex summed, double score, Side side) {
    const std::int64_t begin = row * rule_.count;
    const auto put = [&](std::int64_t slot, double s, std::int64_t index) {
        picks_.score[static_cast<std::size_t>(slot)] = s;
        picks_.index[static_cast<std::size_t>(slot)] = index;
    };
    const auto beats = [&](double s, std::int64_t slot) {
        return picks_.index[static_cast<std::size_t>(slot)] < 0 || s > picks_.score[static_cast<std::size_t>(slot)];
    };
    if (rule_.kind == PickRule::Kind::sample) {
        // Gumbel-max: the largest of score + Gumbel noise is a draw from the softmax of the scores.
        for (std::int64_t draw = 0; draw < rule_.count; ++draw) {
            const double perturbed = score + gumbel(rule_.seed, stays, summed, draw, side);
            if (beats(perturbed, begin + draw)) put(begin + draw, perturbed, summed.value);
        }
        return;
    }
    // Insertion from the end: equal scores stay behind the earlier, smaller index.
    std::int64_t slot = begin + rule_.count;
    while (slot > begin && beats(score, slot - 1)) {
        --slot;
        if (slot + 1 < begin + rule_.count) {
            put(slot + 1, picks_.score[static_cast<std::size_t>(slot)], picks_.index[static_cast<std::size_t>(slot)]);
        }
    }
    if (slot < begin + rule_.count) put(slot, score, summed.value);
}

}  // namespace convoy
