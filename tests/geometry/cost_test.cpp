#include "convoy/cost.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "convoy/error.hpp"

namespace convoy {
namespace {

const std::vector<Cost> all_costs{Cost{},
                                  Cost{CostKind::euclidean},
                                  Cost{CostKind::pnorm, 1.5},
                                  Cost{CostKind::pnorm, 2},
                                  Cost{CostKind::pnorm, 3.25},
                                  Cost{CostKind::dot},
                                  Cost{CostKind::cosine}};

bool has_h(const Cost& cost) {
    return cost.translation_invariant();
}

std::string refusal(const std::string& text) {
    try {
        Cost::parse(text);
    } catch (const InputError& e) {
        return e.what();
    }
    return "accepted";
}

std::vector<double> random_point(std::mt19937_64& random, std::size_t dimension) {
    std::normal_distribution<double> normal;
    std::vector<double> z(dimension);
    for (double& v : z) v = normal(random);
    return z;
}

TEST(Cost, ReadsBackItsOwnName) {
    for (const Cost& cost : all_costs) EXPECT_EQ(Cost::parse(cost.name()), cost) << cost.name();

    EXPECT_EQ(Cost::parse("pnorm:1.5").name(), "pnorm:1.5");
    EXPECT_EQ(Cost::parse("pnorm:1.5").p(), 1.5);
    EXPECT_EQ(Cost{}.name(), "sqeuclidean");
}

TEST(Cost, NamesWhatItKnowsWhenTheNameIsUnknown) {
    EXPECT_EQ(refusal("foo"), "unknown cost 'foo' (known: sqeuclidean, euclidean, pnorm:P, dot, cosine)");
    EXPECT_EQ(refusal(""), "unknown cost '' (known: sqeuclidean, euclidean, pnorm:P, dot, cosine)");
    EXPECT_EQ(refusal("pnormal"), "unknown cost 'pnormal' (known: sqeuclidean, euclidean, pnorm:P, dot, cosine)");
}

TEST(Cost, WantsAFinitePowerAboveOne) {
    for (const char* text : {"pnorm", "pnorm:", "pnorm:1", "pnorm:0.5", "pnorm:-2", "pnorm:inf", "pnorm:nan",
                             "pnorm:2x", "pnorm: 2", "pnorm:1e999"}) {
        const std::string message = refusal(text);

        EXPECT_NE(message.find("'" + std::string{text} + "'"), std::string::npos) << message;
        EXPECT_NE(message.find("greater than 1"), std::string::npos) << message;
    }
    EXPECT_THROW(Cost(CostKind::pnorm, 1.0), InputError);
    EXPECT_THROW(Cost(CostKind::pnorm, std::nan("")), InputError);
}

TEST(Cost, ForgetsAPowerThatItHasNoUseFor) {
    EXPECT_EQ(Cost(CostKind::euclidean, 7), Cost(CostKind::euclidean));
}

TEST(Cost, HasTheValuesWorkedOutByHand) {
    const std::vector<double> x{3, -1}, y{-1, 2};  // x - y = (4, -3)

    // All sums are of small integers: exact but for roots, powers and norms, which round once or twice.
    EXPECT_EQ(Cost{}(x, y), 25);
    EXPECT_EQ(Cost{CostKind::euclidean}(x, y), 5);
    EXPECT_EQ(Cost(CostKind::pnorm, 2)(x, y), 12.5);
    EXPECT_NEAR(Cost(CostKind::pnorm, 3)(x, y), (64 + 27) / 3.0, 1e-13);
    EXPECT_NEAR(Cost(CostKind::pnorm, 1.5)(x, y), (8 + 3 * std::sqrt(3)) / 1.5, 1e-14);
    EXPECT_EQ(Cost{CostKind::dot}(x, y), 5);
    EXPECT_NEAR(Cost{CostKind::cosine}(x, y), 1 + 5 / std::sqrt(50), 1e-15);
}

TEST(Cost, OfCosineIsZeroForParallelAndTwoForOppositePoints) {
    const Cost cosine{CostKind::cosine};
    const std::vector<double> x{1, 2, 3}, longer{2, 4, 6}, opposite{-3, -6, -9};

    EXPECT_NEAR(cosine(x, longer), 0, 1e-30);  // a square of roundings: no cancellation of 1 - 1
    EXPECT_GE(cosine(x, longer), 0);
    EXPECT_NEAR(cosine(x, opposite), 2, 1e-15);
}

TEST(Cost, OfADifferenceIsItsH) {
    std::mt19937_64 random{1};
    for (const Cost& cost : all_costs) {
        if (!has_h(cost)) continue;
        const auto x = random_point(random, 5), y = random_point(random, 5);
        std::vector<double> z(5);
        for (std::size_t k = 0; k < 5; ++k) z[k] = x[k] - y[k];

        EXPECT_EQ(cost(x, y), cost.h(z)) << cost.name();
    }
}

TEST(Cost, ExpandsIntoRowTermsAndProducts) {
    std::mt19937_64 random{2};
    for (const Cost& cost : all_costs) {
        if (!cost.uses_products()) continue;
        auto x = random_point(random, 4), y = random_point(random, 4);
        double xx = 0, yy = 0;
        for (std::size_t k = 0; k < 4; ++k) xx += x[k] * x[k], yy += y[k] * y[k];
        if (cost.normalises_rows()) {
            for (std::size_t k = 0; k < 4; ++k) x[k] /= std::sqrt(xx), y[k] /= std::sqrt(yy);
            xx = yy = 1;
        }
        double xy = 0;
        for (std::size_t k = 0; k < 4; ++k) xy += x[k] * y[k];

        const double expanded = cost.row_term(xx) + cost.row_term(yy) - cost.product_factor() * xy;

        EXPECT_NEAR(expanded, cost(x, y), 1e-14 * (1 + xx + yy)) << cost.name();  // a few roundings of |x|^2 + |y|^2
    }
    EXPECT_TRUE(Cost(CostKind::pnorm, 2).uses_products());
    EXPECT_FALSE(Cost(CostKind::pnorm, 2.5).uses_products());
    EXPECT_FALSE(Cost{CostKind::euclidean}.uses_products());
}

TEST(Cost, GradientAgreesWithFiniteDifferences) {
    std::mt19937_64 random{3};
    constexpr double step = 1e-5;
    for (const Cost& cost : all_costs) {
        if (!has_h(cost)) continue;
        auto z = random_point(random, 6);
        std::vector<double> gradient(6);
        cost.grad_h(z, gradient);
        for (std::size_t k = 0; k < 6; ++k) {
            const double at = z[k];
            z[k] = at + step;
            const double above = cost.h(z);
            z[k] = at - step;
            const double below = cost.h(z);
            z[k] = at;

            // Error of a central difference: step^2 times a third derivative (below 100 here: no coordinate is within
            // 0.01 of 0), plus rounding over step, 1e-11.
            EXPECT_NEAR(gradient[k], (above - below) / (2 * step), 1e-8) << cost.name();
        }
    }
}

TEST(Cost, GradientIsZeroAtTheOrigin) {
    const std::vector<double> zero(3, 0.0);
    for (const Cost& cost : all_costs) {
        if (!has_h(cost)) continue;
        std::vector<double> gradient(3, 7.0);
        cost.grad_h(zero, gradient);

        EXPECT_EQ(gradient, zero) << cost.name();
    }
}

TEST(Cost, GradientOfTheConjugateInvertsTheGradient) {
    std::mt19937_64 random{4};
    for (const Cost& cost : all_costs) {
        if (!has_h(cost) || !cost.has_map()) continue;
        auto z = random_point(random, 6);
        z[2] = 0;
        std::vector<double> gradient(6), back(6);
        cost.grad_h(z, gradient);
        cost.grad_h_conjugate(gradient, back);

        for (std::size_t k = 0; k < 6; ++k) {
            EXPECT_NEAR(back[k], z[k], 1e-14 * (1 + std::abs(z[k]))) << cost.name();  // two powers' roundings
        }
    }
}

TEST(Cost, OfPowerOneAndAHalfHasTheConjugateOfThePaper) {
    const std::vector<double> w{-3, 0.5};
    std::vector<double> out(2);

    Cost(CostKind::pnorm, 1.5).grad_h_conjugate(w, out);

    EXPECT_NEAR(out[0], -9, 1e-14);
    EXPECT_NEAR(out[1], 0.25, 1e-16);
}

TEST(Cost, RefusesInWordsWhatItDoesNotHave) {
    const std::vector<double> z{1, 2};
    std::vector<double> out(2);

    EXPECT_THROW(Cost{CostKind::dot}.h(z), InputError);
    EXPECT_THROW(Cost{CostKind::cosine}.grad_h(z, out), InputError);
    EXPECT_THROW(Cost{CostKind::euclidean}.grad_h_conjugate(z, out), InputError);
    EXPECT_THROW(Cost{CostKind::cosine}.grad_h_conjugate(z, out), InputError);
    EXPECT_FALSE(Cost{CostKind::euclidean}.has_map());
    EXPECT_FALSE(Cost{CostKind::cosine}.has_map());
    EXPECT_TRUE(Cost{CostKind::dot}.has_map());
}

TEST(Cost, NeverExceedsItsRangeBound) {
    std::mt19937_64 random{5};
    for (const Cost& cost : all_costs) {
        std::vector<std::vector<double>> x, y;
        double norm_x = 0, norm_y = 0;
        for (int i = 0; i < 40; ++i) {
            x.push_back(random_point(random, 3)), y.push_back(random_point(random, 3));
            norm_x = std::max(norm_x, cost.bounding_norm(x.back()));
            norm_y = std::max(norm_y, cost.bounding_norm(y.back()));
        }
        double least = INFINITY, most = -INFINITY;
        for (const auto& u : x)
            for (const auto& v : y) least = std::min(least, cost(u, v)), most = std::max(most, cost(u, v));

        const double bound = cost.range_bound(norm_x, norm_y);

        EXPECT_LE(most - least, bound) << cost.name();
        if (cost.kind() != CostKind::dot) {
            EXPECT_LE(most, bound) << cost.name();
        }
    }
}

TEST(Cost, BoundsAreReachedByOppositePoints) {
    const std::vector<double> x{1, -2}, y{-2, 4};
    for (const Cost& cost : all_costs) {
        if (!has_h(cost)) continue;
        const double bound = cost.range_bound(cost.bounding_norm(x), cost.bounding_norm(y));

        EXPECT_NEAR(cost(x, y), bound, 1e-13 * bound) << cost.name();  // powers and roots round a few times
    }
}

TEST(Cost, NormForAHugePowerNeitherOverflowsNorVanishes) {
    const Cost cost{CostKind::pnorm, 400};

    EXPECT_NEAR(cost.bounding_norm(std::vector<double>{1e3, 5}), 1e3, 1e-9);
    EXPECT_NEAR(cost.bounding_norm(std::vector<double>{1e-3, 5e-6}), 1e-3, 1e-15);
    EXPECT_EQ(cost.bounding_norm(std::vector<double>{0, 0}), 0);
}

}  // namespace
}  // namespace convoy
