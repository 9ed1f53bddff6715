#pragma once
/// \file
/// The vocabulary of the three verbs: reduce, apply, pick. See docs in kernels/block.hpp and coupling.hpp.

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace convoy {

/// Which of the two clouds: `row` = source (index i), `column` = target (index j). Also: which index of a pair stays
/// in a reduction, and along which the vector of a side is distributed.
enum class Side { row, column };
constexpr Side other(Side side) {
    return side == Side::row ? Side::column : Side::row;
}

enum class Precision { single, fp64 };

/// How sums of exponentials are formed.
enum class Safety {
    shifted,  ///< Plain sums: right while every exponent is bounded, as it is after an exact half-pass.
    safe      ///< Running maximum: right for any potentials, also where the staying side's is unknown (given as 0).
};

/// Potentials of the two sides, in units of the cost. Product reference: P_ij = a_i b_j exp((f_i + g_j - C_ij)/eps).
struct Potentials {
    std::span<const double> f;  ///< source
    std::span<const double> g;  ///< target
};

/// What `apply` averages under the plan; `w_ij` is a row of numbers.
struct Weighting {
    enum class Kind {
        columns,  ///< w_ij = row of `columns` that belongs to the summed index
        cost,     ///< w_ij = (C_ij - shift, (C_ij - shift)^2)
        values,   ///< w_ij = (C_ij, log(P_ij/(a_i b_j))): what the values of a plan are made of
        gradient  ///< w_ij = grad h(x_i - y_j), d numbers; with side column: grad h(y_j - x_i)
    };
    Kind kind = Kind::cost;
    std::span<const double> columns;  ///< columns: summed side's rows x width, row-major
    std::int64_t width = 2;           ///< numbers in w_ij: columns: any; cost, values: 2; gradient: d
    double shift = 0;                 ///< cost: subtracted before squaring, so that variances do not cancel
    /// columns: entries of at most this share of their row's sum may be left out of the average (not of the sum), which
    /// brings wide columns to about the price of a reduction where the plan is sharp. What that loses is measured.
    double negligible = 0;

    static Weighting of_columns(std::span<const double> columns, std::int64_t width, double negligible = 0) {
        return {Kind::columns, columns, width, 0, negligible};
    }
    static Weighting of_values() { return {Kind::values, {}, 2, 0, 0}; }
    static Weighting of_cost(double shift = 0) { return {Kind::cost, {}, 2, shift, 0}; }
    static Weighting of_gradient(std::int64_t dimension) { return {Kind::gradient, {}, dimension, 0, 0}; }
};

/// What `pick` looks for in each row (or column).
///
/// Draws are an exponential race. Every pair is a Poisson process of rate p_ij = exp(score), the score of `top`; its
/// arrivals come at the times (E_1 + ... + E_k) / p_ij, k = 1, 2, ..., of standard exponential numbers E_k that depend
/// on the seed, the side, i, j and k alone. The first `count` arrivals among all pairs of a row are independent draws,
/// with replacement, from its conditional plan (superposition and marking: Kingman, Poisson Processes, 1993,
/// sections 2.2 and 5.2); of one draw this is the Gumbel-max trick (Maddison, Tarlow, Minka, A* Sampling, 2014). So the
/// draws are the same on every grid and backend, the first c of them are those of count c, and many cost about what the
/// `top` as many cost, and a random number a pair.
struct PickRule {
    enum class Kind {
        top,     ///< the `count` largest entries of the plan, largest first
        sample,  ///< `count` seeded draws from the conditional plan of the row, with replacement, in order of arrival
        hard     ///< the hard c-transform (eps = 0): the `count` smallest C_ij - (potential of the summed side)
    };
    Kind kind = Kind::top;
    std::int64_t count = 1;
    std::uint64_t seed = 0;
};

/// `count` picks for each staying index. Order: by descending score (sample: of arrival, and an index may come several
/// times); ties to the smaller index. Slots that nothing fills (fewer points than count; sample: no point of any mass)
/// hold index -1 and score -inf.
struct Picks {
    std::int64_t rows = 0;
    std::int64_t count = 0;
    std::vector<std::int64_t> index;  ///< rows x count: global number of the picked point of the summed side
    /// rows x count. top: log(P_ij / own mass) = log b_j + (f_i + g_j - C_ij)/eps; sample: that less
    /// log(E_1 + ... + E_k), which is minus the logarithm of the time of arrival; hard: g_j - C_ij.
    std::vector<double> score;
};

}  // namespace convoy
