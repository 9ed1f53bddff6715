#pragma once
// What this machine can do at best, measured: the limits that rates are held against. Each function does its work once,
// on as many threads as OpenMP is set to, and returns how much that was.

#include <cstdint>
#include <vector>

namespace convoy::bench {

// Floating-point operations of single-precision multiply-adds in registers.
double multiply_adds();
// Exponentials of an array in the L1 cache, by the kernels' own polynomial.
double exponentials();
// Bytes of `numbers` read, vector by vector, and added up into `sum`.
double read(const std::vector<float>& numbers, double& sum);
// Operations of a product of two matrices, by OpenBLAS, else by Eigen; its name in `library`.
double matrix_product();
const char* matrix_library();

}  // namespace convoy::bench
