// A row-major matrix is the transpose of a column-major one with the same numbers: lower triangles are Fortran's upper
// ones, products are taken in the other order, and a right-hand side a row is one a column.

#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <sstream>

#include "convoy/error.hpp"
#include "geometry/dense.hpp"

// The Fortran interface, LP64. Lengths of character arguments come last, as gfortran passes them; BLAS written in C
// ignores them.
extern "C" {
void dgemm_(const char* op_a, const char* op_b, const int* m, const int* n, const int* k, const double* alpha,
            const double* a, const int* lda, const double* b, const int* ldb, const double* beta, double* c,
            const int* ldc, std::size_t, std::size_t);
void dsyrk_(const char* triangle, const char* op, const int* n, const int* k, const double* alpha, const double* a,
            const int* lda, const double* beta, double* c, const int* ldc, std::size_t, std::size_t);
void dsyevd_(const char* job, const char* triangle, const int* n, double* a, const int* lda, double* values,
             double* work, const int* lwork, int* iwork, const int* liwork, int* info, std::size_t, std::size_t);
void dpotrf_(const char* triangle, const int* n, double* a, const int* lda, int* info, std::size_t);
void dpotrs_(const char* triangle, const int* n, const int* nrhs, const double* a, const int* lda, double* b,
             const int* ldb, int* info, std::size_t);

// OpenBLAS only; absent (null) in others.
char* openblas_get_config() __attribute__((weak));
int openblas_get_parallel() __attribute__((weak));
int openblas_get_num_threads() __attribute__((weak));
void openblas_set_num_threads(int threads) __attribute__((weak));
}

namespace convoy::dense {

namespace {

int narrow(std::int64_t size) {
    if (size > std::numeric_limits<int>::max())
        throw Failure{
            fmt::format("a matrix has {} rows or columns (BLAS counts to {})", size, std::numeric_limits<int>::max())};
    return static_cast<int>(size);
}

// Leading dimensions are at least 1, also of nothing.
int leading(std::int64_t stride) {
    return narrow(std::max<std::int64_t>(stride, 1));
}

const char* letter(Form form) {
    return form == Form::plain ? "N" : "T";
}

// OpenBLAS's factorisations take nan for a pivot.
bool has_nan_on_diagonal(const std::vector<double>& a, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i)
        if (std::isnan(a[static_cast<std::size_t>(i * n + i)])) return true;
    return false;
}

// OpenBLAS with threads of its own, not OpenMP's.
bool has_own_threads() {
    return openblas_get_parallel != nullptr && openblas_get_num_threads != nullptr &&
           openblas_set_num_threads != nullptr && openblas_get_parallel() == 1;
}

// While one lives, calls outside of parallel regions keep to this thread.
class OneThread {
 public:
    OneThread() { omp_set_num_threads(1); }
    ~OneThread() { omp_set_num_threads(threads_before_); }
    OneThread(const OneThread&) = delete;
    OneThread& operator=(const OneThread&) = delete;

 private:
    int threads_before_ = omp_get_max_threads();
    OneThreadEach one_thread_each_;
};

}  // namespace

void multiply(double alpha, ConstMatrix a, Form of_a, ConstMatrix b, Form of_b, double beta, Matrix c) {
    const bool plain = of_a == Form::plain;
    CONVOY_EXPECT((plain ? a.rows : a.columns) == c.rows);
    CONVOY_EXPECT((of_b == Form::plain ? b.columns : b.rows) == c.columns);
    CONVOY_EXPECT((plain ? a.columns : a.rows) == (of_b == Form::plain ? b.rows : b.columns));
    const int m = narrow(c.columns), n = narrow(c.rows), k = narrow(plain ? a.columns : a.rows);
    const int lda = leading(a.stride), ldb = leading(b.stride), ldc = leading(c.stride);
    dgemm_(letter(of_b), letter(of_a), &m, &n, &k, &alpha, b.data, &ldb, a.data, &lda, &beta, c.data, &ldc, 1, 1);
}

void multiply_by_own_transpose(double alpha, ConstMatrix a, Form of_a, double beta, Matrix c) {
    const bool plain = of_a == Form::plain;
    CONVOY_EXPECT(c.rows == c.columns && c.rows == (plain ? a.rows : a.columns));
    const int n = narrow(c.rows), k = narrow(plain ? a.columns : a.rows);
    const int lda = leading(a.stride), ldc = leading(c.stride);
    dsyrk_("U", plain ? "T" : "N", &n, &k, &alpha, a.data, &lda, &beta, c.data, &ldc, 1, 1);
}

// On one thread: half of the work are products of the matrix with vectors, which memory bounds, in thousands of short
// regions. At the end of each, threads spin for each other: where cores are not idle, two take a hundred times longer.
std::vector<double> eigen_decomposition(Matrix a) {
    const OneThread one_thread;
    CONVOY_EXPECT(a.rows == a.columns && a.rows <= largest_eigenproblem);
    const int n = narrow(a.rows), lda = leading(a.stride);
    std::vector<double> values(static_cast<std::size_t>(n));
    double best_work = 0;
    int best_iwork = 0, info = 0;
    const int ask = -1;
    dsyevd_("V", "U", &n, a.data, &lda, values.data(), &best_work, &ask, &best_iwork, &ask, &info, 1, 1);
    const int lwork = static_cast<int>(best_work);
    std::vector<double> work(static_cast<std::size_t>(lwork));
    std::vector<int> iwork(static_cast<std::size_t>(best_iwork));
    dsyevd_("V", "U", &n, a.data, &lda, values.data(), work.data(), &lwork, iwork.data(), &best_iwork, &info, 1, 1);
    if (info != 0)
        throw Failure{
            fmt::format("the eigenvalues of a matrix of {} rows were not found (LAPACK's dsyevd: {})", n, info)};
    return values;
}

std::optional<Cholesky> Cholesky::of(std::vector<double> a, std::int64_t n) {
    CONVOY_EXPECT(std::ssize(a) == n * n);
    const int size = narrow(n), lda = leading(n);
    int info = 0;
    dpotrf_("U", &size, a.data(), &lda, &info, 1);
    if (info != 0 || has_nan_on_diagonal(a, n)) return std::nullopt;
    return Cholesky{std::move(a), n};
}

void Cholesky::solve(Matrix b) const {
    CONVOY_EXPECT(b.columns == n_);
    const int n = narrow(n_), sides = narrow(b.rows), lda = leading(n_), ldb = leading(b.stride);
    int info = 0;
    dpotrs_("U", &n, &sides, factor_.data(), &lda, b.data, &ldb, &info, 1);
    CONVOY_ENSURE(info == 0);
}

OneThreadEach::OneThreadEach() {
    if (!has_own_threads()) return;
    threads_before_ = openblas_get_num_threads();
    openblas_set_num_threads(1);
}

OneThreadEach::~OneThreadEach() {
    if (threads_before_ > 0) openblas_set_num_threads(threads_before_);
}

std::string implementation() {
    if (openblas_get_config == nullptr || openblas_get_parallel == nullptr) return "BLAS and LAPACK";
    std::istringstream config{openblas_get_config()};  // OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ...
    std::string name, version;
    config >> name >> version;
    const char* threads[] = {"serial", "pthread", "OpenMP"};
    return fmt::format("{} {} ({})", name, version, threads[openblas_get_parallel()]);
}

}  // namespace convoy::dense
