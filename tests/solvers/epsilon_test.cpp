#include "convoy/epsilon.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "../parallel/scatter.hpp"
#include "convoy/error.hpp"
#include "random_cloud.hpp"
#include "track.hpp"

namespace convoy {
namespace {

const std::vector<Cost> all_costs{Cost{},
                                  Cost{CostKind::euclidean},
                                  Cost{CostKind::pnorm, 1.5},
                                  Cost{CostKind::pnorm, 2},
                                  Cost{CostKind::dot},
                                  Cost{CostKind::cosine}};

using test::random_cloud;

// The definition, over all pairs, in a wider type.
CostMoments brute_force(const Cost& cost, const Cloud& x, const Cloud& y) {
    const auto average = [&](const std::function<long double(long double)>& of) {
        long double sum = 0;
        for (std::int64_t i = 0; i < x.rows; ++i)
            for (std::int64_t j = 0; j < y.rows; ++j) {
                const long double mass = static_cast<long double>(x.weights[static_cast<std::size_t>(i)]) *
                                         y.weights[static_cast<std::size_t>(j)];
                if (mass > 0) sum += mass * of(cost(x.point(i), y.point(j)));
            }
        return sum;
    };
    const long double mean = average([](long double c) { return c; });
    const long double variance = average([mean](long double c) { return (c - mean) * (c - mean); });
    return {static_cast<double>(mean), static_cast<double>(std::sqrt(variance))};
}

void on_every_grid(const Cost& cost, const Cloud& x, const Cloud& y,
                   const std::function<void(const Coupling&)>& check) {
    const Communicator world = Communicator::world();
    for (const GridShape shape : test::all_shapes(world.size())) {
        SCOPED_TRACE(testing::Message() << cost.name() << " on " << shape.name() << ", " << x.rows << " x " << y.rows
                                        << " points of dimension " << x.dimension);
        const Grid grid{world, shape};
        check(Coupling{grid, test::scatter(grid, Side::row, x), test::scatter(grid, Side::column, y), cost,
                       Precision::single});
    }
}

// 1e-12: rounding of fp64 sums of some thousand terms.
void expect_moments(const Cost& cost, const Cloud& x, const Cloud& y, double relative = 1e-12) {
    const CostMoments expected = brute_force(cost, x, y);
    on_every_grid(cost, x, y, [&](const Coupling& coupling) {
        const CostMoments moments = cost_moments(coupling);
        const double scale = std::max(std::abs(expected.mean), expected.standard_deviation);

        EXPECT_NEAR(moments.mean, expected.mean, relative * scale);
        EXPECT_NEAR(moments.standard_deviation, expected.standard_deviation, relative * expected.standard_deviation);
    });
}

TEST(CostMoments, AreThoseOfAllPairs) {
    for (const Cost& cost : all_costs) {
        expect_moments(cost, random_cloud(1, 37, 3, 0.5, 1), random_cloud(2, 23, 3, -0.25, 2));
        expect_moments(cost, random_cloud(3, 41, 1, 0, 1), random_cloud(4, 19, 1, 1, 0.1));
    }
}

TEST(CostMoments, CountPointsByTheirMassAndNotWithoutIt) {
    for (const Cost& cost : all_costs) {
        Cloud x = random_cloud(5, 31, 4, 1, 1, true), y = random_cloud(6, 17, 4, 0, 1, true);
        x.points[0] = 1e8;  // a point without mass, far out
        y.points[1] = -1e8;

        expect_moments(cost, x, y);
    }
}

TEST(CostMoments, TakeMorePointsThanABlockAndMoreColumnsThanAPanel) {
    // 700 x 600 points in 5 dimensions go by covariances; 150 x 40 in 200, by pairs; 300 x 280 in 130, by covariances
    // of three panels.
    expect_moments(Cost{}, random_cloud(7, 700, 5, 0, 1), random_cloud(8, 600, 5, 1, 1));
    expect_moments(Cost{}, random_cloud(9, 150, 200, 0, 1), random_cloud(10, 40, 200, 0.1, 1));
    expect_moments(Cost{CostKind::dot}, random_cloud(11, 300, 130, 0.1, 1), random_cloud(12, 280, 130, 0, 2));
}

TEST(CostMoments, ComeThroughAHugeDimension) {
    // Covariances of 1100 columns are held in two goes; 40 copies of 30 points have the moments of the 30.
    const auto copies = [](const Cloud& cloud) {
        std::vector<double> points;
        for (int k = 0; k < 40; ++k) points.insert(points.end(), cloud.points.begin(), cloud.points.end());
        return uniform_cloud(std::move(points), cloud.dimension);
    };
    const Cloud x = random_cloud(31, 30, 1100, 0, 1), y = random_cloud(32, 30, 1100, 0.2, 1);
    const CostMoments expected = brute_force(Cost{}, x, y);

    on_every_grid(Cost{}, copies(x), copies(y), [&](const Coupling& coupling) {
        const CostMoments moments = cost_moments(coupling);

        EXPECT_NEAR(moments.mean, expected.mean, 1e-12 * expected.mean);
        EXPECT_NEAR(moments.standard_deviation, expected.standard_deviation, 1e-12 * expected.mean);
    });
}

TEST(CostMoments, OfSinglePointsAreRight) {
    for (const Cost& cost : all_costs) {
        expect_moments(cost, random_cloud(13, 1, 3, 0, 1), random_cloud(14, 12, 3, 1, 1));
        expect_moments(cost, random_cloud(15, 12, 3, 0, 1), random_cloud(16, 1, 3, 1, 1));
    }
}

TEST(CostMoments, OfEqualPointsHaveExactlyNoDeviation) {
    for (const Cost& cost : all_costs) {
        Cloud x = uniform_cloud({}, 2), y = x;
        for (int i = 0; i < 10; ++i) x.points.insert(x.points.end(), {0.1, 12345.678});
        for (int j = 0; j < 7; ++j) y.points.insert(y.points.end(), {-3.3, 0.7});
        x = uniform_cloud(x.points, 2), y = uniform_cloud(y.points, 2);

        on_every_grid(cost, x, y, [&](const Coupling& coupling) {
            const CostMoments moments = cost_moments(coupling);

            EXPECT_NEAR(moments.mean, cost(x.point(0), y.point(0)), 1e-15 * std::abs(moments.mean));
            EXPECT_EQ(moments.standard_deviation, 0);
        });
    }
}

TEST(CostMoments, DoNotSufferFromCloudsFarFromTheOrigin) {
    for (const Cost& cost : all_costs) {
        if (!cost.translation_invariant()) continue;
        // Unit spread a million from the origin: |x|^2 has 4 digits left there, and the pairs' differences 10; the 1e-9
        // is of the definition in fp64 differences as well.
        expect_moments(cost, random_cloud(17, 50, 3, 1e6, 1), random_cloud(18, 40, 3, 1e6, 1), 1e-9);
        expect_moments(cost, random_cloud(19, 50, 3, -1e6, 1), random_cloud(20, 40, 3, 1e6, 1), 1e-9);
    }
    expect_moments(Cost{CostKind::dot}, random_cloud(21, 50, 3, 1e6, 1), random_cloud(22, 40, 3, 1e6, 1), 1e-9);
}

TEST(CostMoments, DoNotChangeWhenBothCloudsMove) {
    // Coordinates are multiples of 1/1024, so that moving by 2^20 rounds nothing.
    Cloud x = random_cloud(23, 60, 2, 0, 1), y = random_cloud(24, 50, 2, 0, 1);
    for (double& v : x.points) v = std::round(v * 1024) / 1024;
    for (double& v : y.points) v = std::round(v * 1024) / 1024;
    const CostMoments expected = brute_force(Cost{}, x, y);
    for (double& v : x.points) v += 1048576;
    for (double& v : y.points) v += 1048576;

    on_every_grid(Cost{}, x, y, [&](const Coupling& coupling) {
        const CostMoments moments = cost_moments(coupling);

        // As if nothing had moved: the mean is kept relative to a point of the cloud.
        EXPECT_NEAR(moments.mean, expected.mean, 1e-13 * expected.mean);
        EXPECT_NEAR(moments.standard_deviation, expected.standard_deviation, 1e-13 * expected.standard_deviation);
    });
}

TEST(CostMoments, AreTheSameBitsOnEveryRank) {
    const Communicator world = Communicator::world();
    for (const Cost& cost : all_costs) {
        on_every_grid(cost, random_cloud(25, 29, 6, 1, 1, true), random_cloud(26, 31, 6, 0, 1),
                      [&](const Coupling& coupling) {
                          const CostMoments moments = cost_moments(coupling);
                          double of_root[] = {moments.mean, moments.standard_deviation};
                          world.broadcast(std::span<double>{of_root});

                          EXPECT_EQ(of_root[0], moments.mean);
                          EXPECT_EQ(of_root[1], moments.standard_deviation);
                      });
    }
}

TEST(CostMoments, SpareTheDeviationWhenNotAsked) {
    for (const Cost& cost : all_costs) {
        const Cloud x = random_cloud(27, 20, 3, 0, 1), y = random_cloud(28, 25, 3, 1, 1);
        const CostMoments expected = brute_force(cost, x, y);

        on_every_grid(cost, x, y, [&](const Coupling& coupling) {
            const CostMoments moments = cost_moments(coupling, false);

            EXPECT_NEAR(moments.mean, expected.mean, 1e-12 * expected.standard_deviation);
            EXPECT_EQ(moments.standard_deviation, 0);
        });
    }
}

TEST(EpsilonRule, GivesThePublishedEpsilonOfOttsTutorial) {
    on_every_grid(Cost{}, test::track_x, test::track_y, [](const Coupling& coupling) {
        // Published to 10 digits; the points to 9.
        EXPECT_NEAR(EpsilonRule::parse("0.05std").resolve(coupling), test::track_epsilon, 1e-9);
    });
}

TEST(EpsilonRule, ScalesWhatItIsRelativeTo) {
    const CostMoments expected = brute_force(Cost{}, test::track_x, test::track_y);
    on_every_grid(Cost{}, test::track_x, test::track_y, [&](const Coupling& coupling) {
        EXPECT_NEAR(EpsilonRule::parse("0.25mean").resolve(coupling), 0.25 * expected.mean, 1e-13);
        EXPECT_NEAR(EpsilonRule::parse("2std").resolve(coupling), 2 * expected.standard_deviation, 1e-13);
        EXPECT_EQ(EpsilonRule::parse("2.5").resolve(coupling), 2.5);
        EXPECT_EQ(EpsilonRule{}.resolve(coupling), EpsilonRule::parse("0.05std").resolve(coupling));
    });
}

std::string refusal(const std::function<void()>& act) {
    try {
        act();
    } catch (const InputError& e) {
        return e.what();
    }
    return "accepted";
}

TEST(EpsilonRule, ReadsBackItsOwnName) {
    for (const char* text : {"0.05std", "0.05mean", "2.5", "1e-05", "3std"}) {
        EXPECT_EQ(EpsilonRule::parse(text).name(), text);
    }
    EXPECT_EQ(EpsilonRule{}.name(), "0.05std");
    EXPECT_EQ(EpsilonRule::parse("1e-3mean").factor, 1e-3);
}

TEST(EpsilonRule, SaysWhatWasGivenAndWhatItTakes) {
    for (const char* text : {"", "std", "abc", "0.05 std", "0.05STD", "0.05stdd", "5%", "1e", "0", "-1", "0std",
                             "-0.05mean", "inf", "nan", "nanstd", "1e999"}) {
        const std::string message = refusal([&] { EpsilonRule::parse(text); });

        EXPECT_NE(message.find("epsilon '" + std::string{text} + "'"), std::string::npos) << message;
        EXPECT_NE(message.find("2.5, 0.05std or 0.05mean"), std::string::npos) << message;
    }
}

TEST(EpsilonRule, RefusesAMeanThatIsNotPositive) {
    on_every_grid(Cost{CostKind::dot}, random_cloud(29, 9, 2, 2, 0.1), random_cloud(30, 9, 2, 2, 0.1),
                  [](const Coupling& coupling) {
                      const std::string message = refusal([&] { EpsilonRule::parse("0.05mean").resolve(coupling); });

                      EXPECT_NE(message.find("mean of the cost 'dot'"), std::string::npos) << message;
                      EXPECT_NE(message.find("use 0.05std"), std::string::npos) << message;
                      EXPECT_GT(EpsilonRule::parse("0.05std").resolve(coupling), 0);
                  });
}

TEST(EpsilonRule, SaysThatTheCostOverflows) {
    on_every_grid(Cost{}, random_cloud(31, 9, 2, 0, 1e200), random_cloud(32, 9, 2, 0, 1e200),
                  [](const Coupling& coupling) {
                      for (const char* rule : {"0.05std", "0.05mean"}) {
                          const std::string message = refusal([&] { EpsilonRule::parse(rule).resolve(coupling); });

                          EXPECT_NE(message.find("of the cost 'sqeuclidean' overflows"), std::string::npos) << message;
                          EXPECT_NE(message.find("scale the points down"), std::string::npos) << message;
                      }
                  });
}

TEST(EpsilonRule, RefusesADeviationOfZeroAndSaysWhatToDo) {
    for (const Cost& cost : all_costs) {
        on_every_grid(cost, uniform_cloud({0.1, 0.2, 0.1, 0.2, 0.1, 0.2}, 2), uniform_cloud({5.3, 7, 5.3, 7}, 2),
                      [](const Coupling& coupling) {
                          const std::string message = refusal([&] { EpsilonRule::parse("0.05std").resolve(coupling); });

                          EXPECT_NE(message.find("epsilon 0.05std is zero"), std::string::npos) << message;
                          EXPECT_NE(message.find("give epsilon as a number"), std::string::npos) << message;
                      });
    }
}

TEST(EpsilonRule, RefusesACostThatIsTheSameForAllPairs) {
    // One point and three around it: no point equals another, and yet nothing varies.
    const double s = std::sqrt(0.75);
    on_every_grid(Cost{}, uniform_cloud({0, 0}, 2), uniform_cloud({1, 0, -0.5, s, -0.5, -s}, 2),
                  [](const Coupling& coupling) {
                      EXPECT_THROW(EpsilonRule::parse("0.05std").resolve(coupling), InputError);
                      EXPECT_NEAR(EpsilonRule::parse("0.05mean").resolve(coupling), 0.05, 1e-15);
                  });
}

}  // namespace
}  // namespace convoy
