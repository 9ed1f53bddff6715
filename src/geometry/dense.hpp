#pragma once
// Dense linear algebra in fp64: BLAS and LAPACK where the build found them (dense_lapack.cpp), else Eigen
// (dense_eigen.cpp). Eigen serves as well as BLAS only where it is compiled for the machine it runs on, and one binary
// of Convoy serves every node.
//
// Matrices are row-major; rows may lie further apart than they are long. Within an OpenMP parallel region every call
// works on its own thread alone; outside of one it may use all threads, but for eigen_decomposition().

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace convoy::dense {

struct ConstMatrix {
    const double* data = nullptr;
    std::int64_t rows = 0, columns = 0;
    std::int64_t stride = 0;  // from one row to the next, at least `columns`
};
struct Matrix {
    double* data = nullptr;
    std::int64_t rows = 0, columns = 0;
    std::int64_t stride = 0;
    operator ConstMatrix() const { return {data, rows, columns, stride}; }
};

enum class Form { plain, transposed };

// c = alpha op(a) op(b) + beta c (gemm). With beta = 0 whatever is in c is overwritten, nan too.
void multiply(double alpha, ConstMatrix a, Form of_a, ConstMatrix b, Form of_b, double beta, Matrix c);

// The lower triangle of c = alpha op(a) op(a)^T + beta c (syrk); above the diagonal c is left as it is.
void multiply_by_own_transpose(double alpha, ConstMatrix a, Form of_a, double beta, Matrix c);

// The eigenvalues of a symmetric matrix, ascending, of which the lower triangle is read; row k of `a` becomes the unit
// eigenvector of the k-th (syevd). Finite numbers, at most largest_eigenproblem rows. Throws Failure if the iteration
// does not converge.
std::vector<double> eigen_decomposition(Matrix a);
constexpr std::int64_t largest_eigenproblem = 32766;  // LAPACK's workspace, 1 + 6n + 2n^2, is counted in 32 bits

// L L^T of a symmetric positive definite matrix (potrf).
class Cholesky {
 public:
    // Of n x n numbers, of which the lower triangle is read. Nothing if it is not positive definite to rounding.
    static std::optional<Cholesky> of(std::vector<double> a, std::int64_t n);
    // Each row of `b` (k x n), a right-hand side, becomes its solution.
    void solve(Matrix b) const;

 private:
    Cholesky(std::vector<double> factor, std::int64_t n) : factor_{std::move(factor)}, n_{n} {}
    std::vector<double> factor_;
    std::int64_t n_ = 0;
};

// While one lives, calls within parallel regions keep to their thread with every BLAS. OpenMP and serial ones do so by
// themselves; OpenBLAS on its own threads (pthread) has to be told, for the whole process. Made outside of regions.
class OneThreadEach {
 public:
    OneThreadEach();
    ~OneThreadEach();
    OneThreadEach(const OneThreadEach&) = delete;
    OneThreadEach& operator=(const OneThreadEach&) = delete;

 private:
    int threads_before_ = 0;
};

// Whose linear algebra this is, as found at run time: `OpenBLAS 0.3.21 (OpenMP)`, `BLAS and LAPACK`, `Eigen`.
std::string implementation();

}  // namespace convoy::dense
