#pragma once
// How a backend gets at the cost of a pair: the number that a kernel forms for it, and what makes a cost of that.

#include "convoy/cost.hpp"
#include "convoy/verbs.hpp"

namespace convoy::kernels {

enum class PairForm {
    product,  // logit = f + g + <x, y>
    kept,     // logit = f + g + unit product, cost = factor product
    inner,    // cost = factor <x, y>
    square,   // cost = factor |x - y|^2
    root,     // cost = |x - y|
    power     // cost = factor sum |x_k - y_k|^p
};

struct CostForm {
    PairForm form = PairForm::square;
    double factor = 1;
};

// Of a cost that must be seen, or is formed from differences.
inline CostForm cost_form(const Cost& cost) {
    switch (cost.kind()) {
        case CostKind::sqeuclidean:
            return {PairForm::square, 1};
        case CostKind::euclidean:
            return {PairForm::root, 1};
        case CostKind::pnorm:
            if (cost.uses_products()) return {PairForm::square, 0.5};
            return {PairForm::power, 1 / cost.p()};
        case CostKind::dot:
        case CostKind::cosine:
            return {PairForm::inner, -cost.product_factor()};
    }
    return {};
}

// Of one call. Costs that are asked for come from differences, which are more exact, unless a pass over products that
// are kept is far quicker.
inline CostForm form_of_call(const Cost& cost, const Weighting* weighting, bool kept) {
    const bool costs = weighting != nullptr && weighting->kind != Weighting::Kind::columns;
    const bool gradients = costs && weighting->kind == Weighting::Kind::gradient;
    if (!cost.uses_products() || (costs && (!kept || gradients))) return cost_form(cost);
    return {kept ? PairForm::kept : PairForm::product, cost.product_factor()};
}

// Whether f and g take up what of the cost belongs to one point alone (OwnTerm).
inline bool own_terms_count(PairForm form) {
    return form == PairForm::product || form == PairForm::kept || form == PairForm::inner;
}

}  // namespace convoy::kernels
