#include "geometry/dense.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace convoy::dense {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// A matrix with room between its rows, so that strides are seen to be obeyed.
struct Owned {
    std::int64_t rows, columns, stride;
    std::vector<double> data;

    Owned(std::int64_t r, std::int64_t c, double fill = 0)
        : rows{r}, columns{c}, stride{c + 3}, data(static_cast<std::size_t>(r * (c + 3)), fill) {}
    double& at(std::int64_t i, std::int64_t j) { return data[static_cast<std::size_t>(i * stride + j)]; }
    double at(std::int64_t i, std::int64_t j) const { return data[static_cast<std::size_t>(i * stride + j)]; }
    Matrix view() { return {data.data(), rows, columns, stride}; }
};

Owned random_matrix(std::int64_t rows, std::int64_t columns, std::uint64_t seed) {
    std::mt19937_64 random{seed};
    std::normal_distribution<double> normal;
    Owned a{rows, columns};
    for (double& v : a.data) v = normal(random);
    return a;
}

double op(const Owned& a, Form form, std::int64_t i, std::int64_t j) {
    return form == Form::plain ? a.at(i, j) : a.at(j, i);
}

// By the definition.
double product(const Owned& a, Form of_a, const Owned& b, Form of_b, std::int64_t i, std::int64_t j) {
    const std::int64_t inner = of_a == Form::plain ? a.columns : a.rows;
    double sum = 0;
    for (std::int64_t k = 0; k < inner; ++k) sum += op(a, of_a, i, k) * op(b, of_b, k, j);
    return sum;
}

// a a^T + I, packed.
std::vector<double> positive_definite(std::int64_t n, std::uint64_t seed) {
    const Owned a = random_matrix(n, n, seed);
    std::vector<double> s;
    for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t j = 0; j < n; ++j)
            s.push_back(product(a, Form::plain, a, Form::transposed, i, j) + (i == j ? 1 : 0));
    return s;
}

// Right-hand sides a row, for solutions a row.
Owned times(const std::vector<double>& a, std::int64_t n, const Owned& x) {
    Owned b{x.rows, n};
    for (std::int64_t k = 0; k < x.rows; ++k)
        for (std::int64_t i = 0; i < n; ++i)
            for (std::int64_t j = 0; j < n; ++j) b.at(k, i) += a[static_cast<std::size_t>(i * n + j)] * x.at(k, j);
    return b;
}

constexpr Form forms[] = {Form::plain, Form::transposed};

TEST(Dense, MultipliesInAllForms) {
    const std::int64_t m = 37, n = 150, inner = 23;
    for (const Form of_a : forms)
        for (const Form of_b : forms) {
            Owned a = of_a == Form::plain ? random_matrix(m, inner, 1) : random_matrix(inner, m, 1);
            Owned b = of_b == Form::plain ? random_matrix(inner, n, 2) : random_matrix(n, inner, 2);
            Owned c = random_matrix(m, n, 3);
            const Owned before = c;

            multiply(2, a.view(), of_a, b.view(), of_b, -0.5, c.view());

            for (std::int64_t i = 0; i < m; ++i) {
                for (std::int64_t j = 0; j < n; ++j)
                    EXPECT_NEAR(c.at(i, j), 2 * product(a, of_a, b, of_b, i, j) - 0.5 * before.at(i, j), 1e-12);
                EXPECT_EQ(c.at(i, n), before.at(i, n)) << "wrote between rows";
            }
        }
}

TEST(Dense, OverwritesWhatIsNotANumber) {
    Owned a = random_matrix(3, 4, 1), b = random_matrix(4, 5, 2), c{3, 5, nan}, own{3, 3, nan};

    multiply(1, a.view(), Form::plain, b.view(), Form::plain, 0, c.view());
    multiply_by_own_transpose(1, a.view(), Form::plain, 0, own.view());

    EXPECT_NEAR(c.at(2, 4), product(a, Form::plain, b, Form::plain, 2, 4), 1e-14);
    EXPECT_NEAR(own.at(2, 1), product(a, Form::plain, a, Form::transposed, 2, 1), 1e-14);
    EXPECT_TRUE(std::isnan(own.at(1, 2)));
}

TEST(Dense, MultipliesNothing) {
    Owned none{0, 4}, a = random_matrix(4, 3, 1), c{0, 3}, thin{4, 0}, sum = random_matrix(4, 3, 2), flat{0, 3};
    const Owned before = sum;

    multiply(1, none.view(), Form::plain, a.view(), Form::plain, 1, c.view());
    multiply(1, thin.view(), Form::plain, flat.view(), Form::plain, 1, sum.view());

    EXPECT_EQ(sum.data, before.data);
}

TEST(Dense, MultipliesAMatrixByItself) {
    // 300 rows: more than two blocks of the fallback's.
    for (const std::int64_t n : {1, 7, 300})
        for (const Form form : forms) {
            Owned a = form == Form::plain ? random_matrix(n, 11, 4) : random_matrix(11, n, 4);
            Owned c = random_matrix(n, n, 5);
            const Owned before = c;

            multiply_by_own_transpose(0.5, a.view(), form, 2, c.view());

            const Form other = form == Form::plain ? Form::transposed : Form::plain;
            for (std::int64_t i = 0; i < n; ++i)
                for (std::int64_t j = 0; j < n; ++j) {
                    const double expected =
                        j > i ? before.at(i, j) : 0.5 * product(a, form, a, other, i, j) + 2 * before.at(i, j);
                    EXPECT_NEAR(c.at(i, j), expected, 1e-12);
                }
        }
}

TEST(Dense, FindsEigenvectorsFromTheLowerTriangle) {
    for (const std::int64_t n : {1, 2, 41}) {
        const std::vector<double> s = positive_definite(n, 6);
        Owned a{n, n};
        for (std::int64_t i = 0; i < n; ++i)
            for (std::int64_t j = 0; j < n; ++j) a.at(i, j) = j > i ? nan : s[static_cast<std::size_t>(i * n + j)];

        const std::vector<double> values = eigen_decomposition(a.view());

        ASSERT_EQ(std::ssize(values), n);
        EXPECT_TRUE(std::is_sorted(values.begin(), values.end()));
        const Owned image = times(s, n, a);
        for (std::int64_t k = 0; k < n; ++k)
            for (std::int64_t i = 0; i < n; ++i) {
                // 1e-14 of the largest eigenvalue, about 4n.
                EXPECT_NEAR(image.at(k, i), values[static_cast<std::size_t>(k)] * a.at(k, i), 1e-13 * n);
                EXPECT_NEAR(product(a, Form::plain, a, Form::transposed, k, i), k == i ? 1 : 0, 1e-13);
            }
    }
}

TEST(Dense, FindsNoEigenvaluesOfNothing) {
    EXPECT_TRUE(eigen_decomposition({nullptr, 0, 0, 0}).empty());
}

TEST(Dense, SolvesPositiveDefiniteSystems) {
    const std::int64_t n = 29;
    std::vector<double> a = positive_definite(n, 7);
    const Owned x = random_matrix(3, n, 8);
    Owned b = times(a, n, x);
    for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t j = i + 1; j < n; ++j) a[static_cast<std::size_t>(i * n + j)] = nan;

    const auto factor = Cholesky::of(a, n);
    ASSERT_TRUE(factor.has_value());
    factor->solve(b.view());

    for (std::int64_t k = 0; k < 3; ++k)
        for (std::int64_t i = 0; i < n; ++i) EXPECT_NEAR(b.at(k, i), x.at(k, i), 1e-11);
}

TEST(Dense, RefusesWhatIsNotPositiveDefinite) {
    EXPECT_FALSE(Cholesky::of({1, 0, 2, 1}, 2).has_value());
    EXPECT_FALSE(Cholesky::of({nan}, 1).has_value());
    EXPECT_TRUE(Cholesky::of({2, 0, 1, 2}, 2).has_value());
}

TEST(Dense, IsTheSameWithOneThreadEach) {
    // A team of threads, each with products of its own.
    Owned a = random_matrix(200, 200, 11), expected{200, 200};
    multiply(1, a.view(), Form::plain, a.view(), Form::plain, 0, expected.view());
    std::vector<Owned> found(8, Owned{200, 200});
    {
        const OneThreadEach one_thread_each;
#pragma omp parallel for
        for (std::size_t k = 0; k < found.size(); ++k)
            multiply(1, a.view(), Form::plain, a.view(), Form::plain, 0, found[k].view());
    }

    for (const Owned& c : found) {
        EXPECT_EQ(c.data, found[0].data);
        for (std::size_t i = 0; i < c.data.size(); ++i) EXPECT_NEAR(c.data[i], expected.data[i], 1e-12);
    }
}

TEST(Dense, SaysWhoseItIs) {
    EXPECT_FALSE(implementation().empty());
}

}  // namespace
}  // namespace convoy::dense
