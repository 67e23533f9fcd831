// What the binding files share: array types and how an array is made. Nothing below native/bind*.cpp knows of Python.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <memory>

namespace codeword {

namespace nb = nanobind;

// C-contiguous NumPy arrays on the CPU; a const T also takes read-only arrays. Bind with nb::arg("x").noconvert().
template <class T>
using Vector = nb::ndarray<T, nb::numpy, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T>
using Matrix = nb::ndarray<T, nb::numpy, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <class T>
using Cube = nb::ndarray<T, nb::numpy, nb::ndim<3>, nb::c_contig, nb::device::cpu>;

// New arrays, uninitialised, owned by Python once returned.
template <class T>
Vector<T> make_vector(int64_t n) {
  std::unique_ptr<T[]> data(new T[n]);
  nb::capsule owner(data.get(), [](void* p) noexcept { delete[] static_cast<T*>(p); });
  return Vector<T>(data.release(), {static_cast<size_t>(n)}, owner);
}

template <class T>
Matrix<T> make_matrix(int64_t n, int64_t d) {
  std::unique_ptr<T[]> data(new T[n * d]);
  nb::capsule owner(data.get(), [](void* p) noexcept { delete[] static_cast<T*>(p); });
  return Matrix<T>(data.release(), {static_cast<size_t>(n), static_cast<size_t>(d)}, owner);
}

// One function a family, in native/bind_<family>.cpp; bind.cpp calls them all.
void bind_runtime(nb::module_& m);
void bind_additive(nb::module_& m);
void bind_bits(nb::module_& m);
void bind_codebooks(nb::module_& m);
void bind_columns(nb::module_& m);
void bind_descent(nb::module_& m);
void bind_hadamard(nb::module_& m);
void bind_ids(nb::module_& m);
void bind_lattice(nb::module_& m);
void bind_levels(nb::module_& m);
void bind_lists(nb::module_& m);
void bind_packed(nb::module_& m);
void bind_pairwise(nb::module_& m);
void bind_trellis(nb::module_& m);
void bind_scan(nb::module_& m);
void bind_signs(nb::module_& m);

}  // namespace codeword
