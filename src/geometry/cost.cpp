#include "convoy/cost.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "convoy/error.hpp"

namespace convoy {

namespace {

constexpr std::string_view pnorm_prefix = "pnorm:";

double squared_norm(std::span<const double> z) {
    double sum = 0;
    for (const double v : z) sum += v * v;
    return sum;
}

double dot_product(std::span<const double> x, std::span<const double> y) {
    double sum = 0;
    for (std::size_t k = 0; k < x.size(); ++k) sum += x[k] * y[k];
    return sum;
}

template <class Term>
double sum_of_differences(std::span<const double> x, std::span<const double> y, Term term) {
    double sum = 0;
    for (std::size_t k = 0; k < x.size(); ++k) sum += term(x[k] - y[k]);
    return sum;
}

double square(double z) {
    return z * z;
}

// sign(z) |z|^e for e > 0; continuous through 0.
double signed_power(double z, double exponent) {
    return std::copysign(std::pow(std::abs(z), exponent), z);
}

[[noreturn]] void not_a_difference(const Cost& cost) {
    throw InputError{
        fmt::format("cost '{}' is not a function h(x - y) (it depends on where the points lie): use "
                    "sqeuclidean, euclidean or pnorm:P",
                    cost.name())};
}

}  // namespace

Cost::Cost(CostKind kind, double p) : kind_{kind}, p_{kind == CostKind::pnorm ? p : 2.0} {
    CONVOY_VALIDATE(std::isfinite(p_) && p_ > 1,
                    fmt::format("cost 'pnorm:{}' is not usable (P must be a finite number greater than 1): "
                                "give for example pnorm:1.5",
                                p_));
}

Cost Cost::parse(std::string_view text) {
    if (text == "sqeuclidean") return Cost{CostKind::sqeuclidean};
    if (text == "euclidean") return Cost{CostKind::euclidean};
    if (text == "dot") return Cost{CostKind::dot};
    if (text == "cosine") return Cost{CostKind::cosine};
    if (text == "pnorm" || text.starts_with(pnorm_prefix)) {
        const std::string_view number = text.substr(std::min(text.size(), pnorm_prefix.size()));
        double p = 0;
        const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), p);
        const bool whole = error == std::errc{} && end == number.data() + number.size();
        CONVOY_VALIDATE(whole && std::isfinite(p) && p > 1,
                        fmt::format("cost '{}' is not usable (P must be a finite number greater than 1): "
                                    "give for example pnorm:1.5",
                                    text));
        return Cost{CostKind::pnorm, p};
    }
    throw InputError{fmt::format("unknown cost '{}' (known: sqeuclidean, euclidean, pnorm:P, dot, cosine)", text)};
}

std::string Cost::name() const {
    switch (kind_) {
        case CostKind::sqeuclidean:
            return "sqeuclidean";
        case CostKind::euclidean:
            return "euclidean";
        case CostKind::pnorm:
            return fmt::format("pnorm:{}", p_);  // the shortest text that reads back as p
        case CostKind::dot:
            return "dot";
        case CostKind::cosine:
            return "cosine";
    }
    return {};
}

double Cost::operator()(std::span<const double> x, std::span<const double> y) const {
    CONVOY_EXPECT(x.size() == y.size());
    switch (kind_) {
        case CostKind::sqeuclidean:
            return sum_of_differences(x, y, square);
        case CostKind::euclidean:
            return std::sqrt(sum_of_differences(x, y, square));
        case CostKind::pnorm:
            if (p_ == 2) return sum_of_differences(x, y, square) / 2;
            return sum_of_differences(x, y, [this](double z) { return std::pow(std::abs(z), p_); }) / p_;
        case CostKind::dot:
            return -dot_product(x, y);
        case CostKind::cosine: {
            // 1 - cos = |x/|x| - y/|y||^2 / 2: no cancellation for nearly parallel points, never negative.
            const double length_x = std::sqrt(squared_norm(x)), length_y = std::sqrt(squared_norm(y));
            double sum = 0;
            for (std::size_t k = 0; k < x.size(); ++k) sum += square(x[k] / length_x - y[k] / length_y);
            return sum / 2;
        }
    }
    return 0;
}

bool Cost::uses_products() const {
    switch (kind_) {
        case CostKind::sqeuclidean:
        case CostKind::dot:
        case CostKind::cosine:
            return true;
        case CostKind::pnorm:
            return p_ == 2;
        case CostKind::euclidean:
            return false;
    }
    return false;
}

double Cost::product_factor() const {
    return kind_ == CostKind::sqeuclidean ? 2 : 1;
}

double Cost::row_term(double squared_norm_of_row) const {
    switch (kind_) {
        case CostKind::sqeuclidean:
            return squared_norm_of_row;
        case CostKind::pnorm:
            return squared_norm_of_row / 2;
        case CostKind::cosine:
            return 0.5;  // rows have norm 1
        case CostKind::dot:
        case CostKind::euclidean:
            return 0;
    }
    return 0;
}

double Cost::h(std::span<const double> z) const {
    switch (kind_) {
        case CostKind::sqeuclidean:
            return squared_norm(z);
        case CostKind::euclidean:
            return std::sqrt(squared_norm(z));
        case CostKind::pnorm: {
            if (p_ == 2) return squared_norm(z) / 2;
            double sum = 0;
            for (const double v : z) sum += std::pow(std::abs(v), p_);
            return sum / p_;
        }
        case CostKind::dot:
        case CostKind::cosine:
            break;
    }
    not_a_difference(*this);
}

void Cost::grad_h(std::span<const double> z, std::span<double> out) const {
    CONVOY_EXPECT(z.size() == out.size());
    switch (kind_) {
        case CostKind::sqeuclidean:
            for (std::size_t k = 0; k < z.size(); ++k) out[k] = 2 * z[k];
            return;
        case CostKind::euclidean: {
            const double length = std::sqrt(squared_norm(z));
            for (std::size_t k = 0; k < z.size(); ++k) out[k] = length > 0 ? z[k] / length : 0;
            return;
        }
        case CostKind::pnorm:
            for (std::size_t k = 0; k < z.size(); ++k) out[k] = p_ == 2 ? z[k] : signed_power(z[k], p_ - 1);
            return;
        case CostKind::dot:
        case CostKind::cosine:
            break;
    }
    not_a_difference(*this);
}

void Cost::grad_h_conjugate(std::span<const double> w, std::span<double> out) const {
    CONVOY_EXPECT(w.size() == out.size());
    switch (kind_) {
        case CostKind::sqeuclidean:
            for (std::size_t k = 0; k < w.size(); ++k) out[k] = w[k] / 2;
            return;
        case CostKind::pnorm:
            // q - 1 = 1/(p - 1) for 1/p + 1/q = 1.
            for (std::size_t k = 0; k < w.size(); ++k) out[k] = p_ == 2 ? w[k] : signed_power(w[k], 1 / (p_ - 1));
            return;
        case CostKind::euclidean:
        case CostKind::cosine:
            throw InputError{fmt::format(
                "cost '{}' has no entropic map (the gradient of its h has no inverse): use sqeuclidean or pnorm:P",
                name())};
        case CostKind::dot:
            break;  // its map is the barycentric one
    }
    not_a_difference(*this);
}

double Cost::bounding_norm(std::span<const double> x) const {
    if (kind_ != CostKind::pnorm || p_ == 2) return std::sqrt(squared_norm(x));
    // Scaled by the largest coordinate: powers of a large P neither overflow nor vanish.
    double largest = 0;
    for (const double v : x) largest = std::max(largest, std::abs(v));
    if (largest == 0) return 0;
    double sum = 0;
    for (const double v : x) sum += std::pow(std::abs(v) / largest, p_);
    return largest * std::pow(sum, 1 / p_);
}

double Cost::range_bound(double source_norm, double target_norm) const {
    switch (kind_) {
        case CostKind::sqeuclidean:
            return square(source_norm + target_norm);
        case CostKind::euclidean:
            return source_norm + target_norm;
        case CostKind::pnorm:
            return std::pow(source_norm + target_norm, p_) / p_;
        case CostKind::dot:
            return 2 * source_norm * target_norm;
        case CostKind::cosine:
            return 2;
    }
    return 0;
}

}  // namespace convoy
