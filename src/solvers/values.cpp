#include "convoy/values.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "kernels/block.hpp"
#include "parallel/backend.hpp"
#include "solvers/audit.hpp"

namespace convoy {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

Cloud selection(const Cloud& cloud, const std::vector<std::int64_t>& rows) {
    Cloud picked{std::ssize(rows), cloud.dimension, {}, {}};
    picked.points.reserve(rows.size() * static_cast<std::size_t>(cloud.dimension));
    for (const std::int64_t i : rows) {
        const auto point = cloud.point(i);
        picked.points.insert(picked.points.end(), point.begin(), point.end());
        picked.weights.push_back(cloud.weights[static_cast<std::size_t>(i)]);
    }
    return picked;
}

std::vector<double> selection(const std::vector<double>& values, const std::vector<std::int64_t>& rows) {
    std::vector<double> picked;
    for (const std::int64_t i : rows) picked.push_back(values[static_cast<std::size_t>(i)]);
    return picked;
}

// The local numbers of the points that are looked at: all, or this part's share of a seeded sample.
std::vector<std::int64_t> audited_points(const Coupling& coupling, Side side, bool all, std::uint64_t seed,
                                         std::int64_t sample_size) {
    const Partition& partition = coupling.cloud(side).partition;
    const GlobalRun mine = partition.run(coupling.grid().part(side));
    std::vector<std::int64_t> local;
    if (all || partition.items() <= sample_size) {
        local.resize(static_cast<std::size_t>(mine.count));
        std::iota(local.begin(), local.end(), 0);
        return local;
    }
    // One point at random from each of sample_size equal stretches: the same points on every grid.
    const Partition stretches = Partition::even(partition.items(), sample_size);
    std::mt19937_64 random{seed * 2 + (side == Side::row ? 0 : 1)};
    for (std::int64_t k = 0; k < sample_size; ++k) {
        const GlobalRun stretch = stretches.run(PartIndex{k});
        const auto offset = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(stretch.count));
        const std::int64_t at = stretch.first.value + offset - mine.first.value;
        if (at >= 0 && at < mine.count) local.push_back(at);
    }
    return local;
}

// Of some rows or columns: log sums, and for rows what the values are made of. With t_ij = (f_i + g_j - C_ij)/eps:
struct ExactSums {
    std::vector<double> log_sum;  // log sum_j b_j exp(t_ij)
    std::vector<double> cost;     // sum_j b_j exp(t_ij) C_ij
    std::vector<double> density;  // sum_j b_j exp(t_ij) t_ij: not from f, g and C, which would cancel
};

// Sums over this rank's part of the other side, in the safe form relative to `largest`.
struct LocalSums {
    std::vector<double> sum, cost, density, largest;
};

// In pieces, so that little is held twice.
LocalSums local_sums(const Coupling& coupling, Side side, const std::vector<std::int64_t>& rows,
                     const std::vector<double>& f, const std::vector<double>& g, double epsilon, Safety safety) {
    const Cloud picked = selection(coupling.local(side), rows);
    const std::vector<double> own = selection(side == Side::row ? f : g, rows);
    const std::vector<double>& others = side == Side::row ? g : f;
    const Cloud& summed = coupling.local(other(side));
    const auto size = rows.size();
    const double pairs = static_cast<double>(picked.rows) * static_cast<double>(summed.rows);
    const Backend backend = audit::backend_for(coupling.backend(), pairs, coupling.dimension());
    const std::int64_t piece_size = audit::piece_rows(backend, coupling.dimension());
    LocalSums sums{std::vector<double>(size, 0.0), std::vector<double>(size, 0.0), std::vector<double>(size, 0.0),
                   std::vector<double>(safety == Safety::safe ? size : 0, -infinity)};
    auto& [sum, cost, density, largest] = sums;

    for (std::int64_t begin = 0; begin < summed.rows; begin += piece_size) {
        std::vector<std::int64_t> piece_rows(static_cast<std::size_t>(std::min(piece_size, summed.rows - begin)));
        std::iota(piece_rows.begin(), piece_rows.end(), begin);
        const Cloud piece = selection(summed, piece_rows);
        const std::span piece_potential{others.data() + begin, piece_rows.size()};
        const bool row = side == Side::row;
        const auto block = make_block(backend, {coupling.cost(),
                                                row ? &picked : &piece,
                                                row ? &piece : &picked,
                                                coupling.centre(),
                                                {},
                                                {},
                                                Precision::fp64});
        const Potentials potentials{row ? std::span<const double>{own} : piece_potential,
                                    row ? piece_potential : std::span<const double>{own}};
        const LocalRun all{LocalIndex{0}, picked.rows};
        Sums found;
        std::vector<double> averages;
        if (row) {
            block->apply(side, all, potentials, epsilon, safety, Weighting::of_values(), found, averages);
        } else {
            block->reduce(side, all, potentials, epsilon, safety, found);
        }
        for (std::size_t i = 0; i < size; ++i) {
            double keep = 1, take = 1;
            if (safety == Safety::safe) {
                const double larger = std::max(largest[i], found.max[i]);
                keep = largest[i] == -infinity ? 0 : std::exp(largest[i] - larger);
                take = found.max[i] == -infinity ? 0 : std::exp(found.max[i] - larger);
                largest[i] = larger;
            }
            sum[i] = keep * sum[i] + take * found.sum[i];
            if (!row) continue;
            cost[i] = keep * cost[i] + take * averages[2 * i];
            density[i] = keep * density[i] + take * averages[2 * i + 1];
        }
    }
    return sums;
}

// Sums over the whole other side for the selected points of `side`. Ranks can fail apart before they add up theirs: a
// device, memory.
ExactSums exact_sums(const Coupling& coupling, Side side, const std::vector<std::int64_t>& rows,
                     const std::vector<double>& f, const std::vector<double>& g, double epsilon, Safety safety) {
    LocalSums local;
    const Communicator& world = coupling.grid().world();
    agree(world, [&] { naming_rank(world, [&] { local = local_sums(coupling, side, rows, f, g, epsilon, safety); }); });
    auto& [sum, cost, density, largest] = local;
    const Communicator& sharers = coupling.grid().sharers(side);
    std::vector<double> shift = largest;
    sharers.max(shift);
    for (std::size_t i = 0; i < shift.size(); ++i) {
        const double factor = largest[i] == -infinity ? 0 : std::exp(largest[i] - shift[i]);
        sum[i] *= factor;
        cost[i] *= factor;
        density[i] *= factor;
    }
    sharers.sum(sum);
    sharers.sum(cost);
    sharers.sum(density);
    ExactSums exact;
    for (std::size_t i = 0; i < sum.size(); ++i) {
        const double s = shift.empty() ? 0 : shift[i];
        exact.log_sum.push_back(s + std::log(sum[i]));
        exact.cost.push_back(std::exp(s) * cost[i]);
        exact.density.push_back(std::exp(s) * density[i]);
    }
    return exact;
}

// Far from 2^+-100, where shifted sums end. All ranks answer alike.
bool trustworthy(const Coupling& coupling, const std::vector<double>& log_sum) {
    double bad = 0;
    for (const double s : log_sum) {
        if (!(std::abs(s) < 60)) bad = 1;
    }
    coupling.grid().world().max(std::span{&bad, 1});
    return bad == 0;
}

// Plain sums where the potentials are those of a plan, as at the end of a run; the safe form where they turn out not to
// be. All ranks go the same way.
ExactSums exact_sums(const Coupling& coupling, Side side, const std::vector<std::int64_t>& rows,
                     const std::vector<double>& f, const std::vector<double>& g, double epsilon) {
    ExactSums exact = exact_sums(coupling, side, rows, f, g, epsilon, Safety::shifted);
    if (!trustworthy(coupling, exact.log_sum)) exact = exact_sums(coupling, side, rows, f, g, epsilon, Safety::safe);
    return exact;
}

// The same of all rows, in the precision of the run.
ExactSums sums_of_run(Coupling& coupling, const std::vector<double>& f, const std::vector<double>& g, double epsilon) {
    Coupling::Average average = coupling.apply(Side::row, {f, g}, epsilon, Safety::shifted, Weighting::of_values());
    const bool safe = !trustworthy(coupling, average.log_sum);
    if (safe) average = coupling.apply(Side::row, {f, g}, epsilon, Safety::safe, Weighting::of_values());
    ExactSums sums{std::move(average.log_sum), std::vector<double>(f.size()), std::vector<double>(f.size())};
    for (std::size_t i = 0; i < f.size(); ++i) {
        const double scale = safe ? std::exp(sums.log_sum[i]) : 1.0;
        sums.cost[i] = scale * average.value[2 * i];
        sums.density[i] = scale * average.value[2 * i + 1];
    }
    return sums;
}

// The L1 error of all points from that of the looked-at ones: their share of the mass scales it.
double error_of(const Coupling& coupling, Side side, const std::vector<std::int64_t>& rows,
                const std::vector<double>& log_sum, bool sampled, std::int64_t& counted) {
    std::array<double, 3> sums{0, 0, static_cast<double>(rows.size())};
    for (std::size_t k = 0; k < rows.size(); ++k) {
        const double weight = coupling.local(side).weights[static_cast<std::size_t>(rows[k])];
        if (weight > 0) sums[0] += weight * std::abs(std::expm1(log_sum[k]));
        sums[1] += weight;
    }
    coupling.sum_over_parts(side, sums);
    counted = static_cast<std::int64_t>(sums[2]);
    const double error = sums[1] > 0 ? sums[0] / sums[1] : 0;
    // No distribution is further than 2 from another, but an estimate may be.
    return sampled && error > 2 ? 2 : error;
}

// sum_i w_i s_i term_i over one side, s the marginal relative to w.
double plan_sum(const Coupling& coupling, Side side, const std::vector<double>& log_sum, std::vector<double> term) {
    for (std::size_t i = 0; i < term.size(); ++i) term[i] *= std::exp(log_sum[i]);
    return coupling.mean(side, term);
}

// sum_i w_i s_i log w_i, and how many points have mass.
struct OwnEntropy {
    double log_weights = 0, points = 0;
};
OwnEntropy own_entropy(const Coupling& coupling, Side side, const std::vector<double>& log_sum) {
    std::vector<double> term = coupling.local(side).weights;
    double points = 0;
    for (double& w : term) {
        points += w > 0 ? 1 : 0;
        w = w > 0 ? std::log(w) : 0;
    }
    coupling.sum_over_parts(side, std::span{&points, 1});
    return {plan_sum(coupling, side, log_sum, term), points};
}

Values values_from(const Coupling& coupling, const std::vector<double>& f, const std::vector<double>& g, double epsilon,
                   const ExactSums& row_sums, const std::vector<double>& column_log_sum) {
    Values values;
    values.transport_cost = coupling.mean(Side::row, row_sums.cost);
    values.mass = plan_sum(coupling, Side::row, row_sums.log_sum, std::vector<double>(f.size(), 1.0));
    values.dual_value = coupling.mean(Side::row, f) + coupling.mean(Side::column, g) - epsilon * (values.mass - 1);
    const double log_density = coupling.mean(Side::row, row_sums.density);  // sum P log(P/(a b^T))
    values.kl = log_density - values.mass + 1;
    const OwnEntropy source = own_entropy(coupling, Side::row, row_sums.log_sum);
    const OwnEntropy target = own_entropy(coupling, Side::column, column_log_sum);
    const double largest = std::log(source.points * target.points);
    const double entropy = -(log_density + source.log_weights + target.log_weights);
    values.normalised_entropy = largest > 0 ? entropy / largest : 1;
    return values;
}

}  // namespace

Values values_of_plan(Coupling& coupling, const std::vector<double>& f, const std::vector<double>& g, double epsilon) {
    return values_from(coupling, f, g, epsilon, sums_of_run(coupling, f, g, epsilon),
                       std::vector<double>(g.size(), 0.0));
}

Verdict audit_and_value(Coupling& coupling, const std::vector<double>& f, const std::vector<double>& g, double epsilon,
                        std::uint64_t seed, double full_work, std::int64_t sample_size) {
    const double work = static_cast<double>(coupling.points(Side::row)) *
                        static_cast<double>(coupling.points(Side::column)) * static_cast<double>(coupling.dimension());
    const bool all = work <= full_work;
    const auto rows = audited_points(coupling, Side::row, all, seed, sample_size);
    const auto columns = audited_points(coupling, Side::column, all, seed, sample_size);
    ExactSums row_sums = exact_sums(coupling, Side::row, rows, f, g, epsilon);
    ExactSums column_sums = exact_sums(coupling, Side::column, columns, f, g, epsilon);

    Verdict verdict;
    verdict.audit.sampled = !all;
    verdict.audit.source_error = error_of(coupling, Side::row, rows, row_sums.log_sum, !all, verdict.audit.rows);
    verdict.audit.target_error =
        error_of(coupling, Side::column, columns, column_sums.log_sum, !all, verdict.audit.columns);
    if (!all) {  // values need every row's sums: a pass in the precision of the run
        row_sums = sums_of_run(coupling, f, g, epsilon);
        // Only the entropy asks for all columns' sums; theirs are 1 to within the error, which is not worth a pass.
        column_sums.log_sum.assign(g.size(), 0.0);
    }

    verdict.values = values_from(coupling, f, g, epsilon, row_sums, column_sums.log_sum);
    return verdict;
}

}  // namespace convoy
