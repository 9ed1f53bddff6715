#pragma once
/// \file
/// The values of a solution, and the audit that says whether they are true.

#include <cstdint>
#include <vector>

#include "convoy/coupling.hpp"

namespace convoy {

/// Of a coupling P with product reference, in units of the cost (entropy: none).
struct Values {
    double dual_value = 0;          ///< <a,f> + <b,g> - eps (sum P - 1)
    double transport_cost = 0;      ///< <P,C>
    double kl = 0;                  ///< sum P log(P/(a b^T)) - sum P + 1
    double normalised_entropy = 0;  ///< -sum P log P / log(n m), over points with mass; 1 for n m = 1
    double mass = 1;                ///< sum P
};

/// What is true of (f, g), computed in fp64 from the points as given, not by the solver's kernels.
struct Audit {
    double source_error = 0;  ///< L1 error of the row marginals
    double target_error = 0;  ///< L1 error of the column marginals
    bool sampled = false;     ///< estimated from a seeded sample of `rows` and `columns`, else from all
    std::int64_t rows = 0, columns = 0;
    double error() const { return source_error + target_error; }
};

/// n m d up to which the audit takes all rows and columns; above, so many of each.
inline constexpr double full_audit_work = 1e10;
inline constexpr std::int64_t audit_sample = 1024;

struct Verdict {
    Values values;
    Audit audit;
};

/// Audits (f, g) and computes the values: from the audit's own fp64 sums where it took all rows, else in one pass of
/// the coupling's precision. Collective. \param sample_size and \param full_work are the defaults; tests change them.
Verdict audit_and_value(Coupling& coupling, const std::vector<double>& f, const std::vector<double>& g, double epsilon,
                        std::uint64_t seed, double full_work = full_audit_work,
                        std::int64_t sample_size = audit_sample);

/// The values alone, in one pass of the coupling's precision: no audit. Target marginals count as exact. Collective.
Values values_of_plan(Coupling& coupling, const std::vector<double>& f, const std::vector<double>& g, double epsilon);

}  // namespace convoy
