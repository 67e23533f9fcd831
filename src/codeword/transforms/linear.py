"""Multiplying rows by a matrix with the same bits on every machine: an integer matrix product that a float64 BLAS does exactly.

A BLAS adds in an order that depends on its build, the number of threads and the number of rows, so codes of rows that lie near a
cell's border would depend on them too. Here a row is rounded to 24 bits below its largest magnitude, and the matrix to as many
bits as keep every sum below 2**53: then all partial sums are integers that a double holds, in whatever order they are added.
The error of a result is about ``2**-26`` of the product of the row's and the column's length, that of a float32 product.

Source: Ozaki et al. 2012, "Error-free transformations of matrix multiplication by using fast routines of matrix multiplication".
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword.training.moments import ExactSum

F64 = NDArray[np.float64]
_ROW_BITS = 24
_MATRIX_BITS = 53 - _ROW_BITS  # bound of the sum of magnitudes of one column of the integer matrix
_BLOCK_ELEMENTS = 1 << 20
# Sums of products of two rows' entries: 20 + 20 bits for a product and 13 for a chunk of rows are the 53 of a double.
_ENTRY_BITS, _CHUNK_ROWS = 20, 1 << 13


class ExactProduct:
    """``X @ A`` for a fixed matrix `A` (d_in, d_out) and float rows `X` (n, d_in).

    Examples
    --------
    >>> double = ExactProduct(np.array([[0.5, 0.0], [0.5, 1.0]]))
    >>> double(np.array([[1.0, 3.0]]))
    array([[2., 3.]])
    """

    def __init__(self, A: NDArray[Any]) -> None:
        largest = float(np.max(np.sum(np.abs(A, dtype=np.float64), axis=0)))
        # One more bit than the rounded sums say that there is room for, then down until the exact sums fit.
        bits = min(_MATRIX_BITS + 1 - int(np.frexp(largest)[1]) + 1, 52)
        while True:
            self._integers = np.rint(np.ldexp(A.astype(np.float64), bits))
            if np.max(np.sum(np.abs(self._integers), axis=0)) <= 2.0**_MATRIX_BITS:
                break
            bits -= 1
        self._bits = bits

    def __call__(self, X: NDArray[Any]) -> F64:
        """The product, float64 (n, d_out); one row's result does not depend on the other rows."""
        A = np.array(X, np.float64, order="C")
        if not len(A):
            return np.zeros((0, self._integers.shape[1]))
        exponent = np.minimum(_ROW_BITS - np.frexp(np.max(np.abs(A), axis=1))[1], 1000)
        A *= np.ldexp(1.0, exponent)[:, None]
        out: F64 = np.rint(A, out=A) @ self._integers
        out *= np.ldexp(1.0, -(exponent + self._bits))[:, None]
        return out


def block_rows(d: int) -> int:
    """Rows of width d to multiply at once: enough for a BLAS to be fast, few enough to stay small in memory."""
    return max(64, _BLOCK_ELEMENTS // d)


def cross_products(A: NDArray[Any], B: NDArray[Any]) -> F64:
    """``A' B`` (p, q) for rows `A` (n, p) and `B` (n, q), entries rounded to 20 bits of their column's largest, sums exact.

    Examples
    --------
    >>> cross_products(np.array([[1.0], [2.0]]), np.array([[0.5, 1.0], [0.0, 1.0]]))
    array([[0.5, 3. ]])
    """
    exponents = [_ENTRY_BITS - np.frexp(np.abs(M).max(0).astype(np.float64))[1] for M in (A, B)]
    total = ExactSum((A.shape[1], B.shape[1]))
    for start in range(0, len(A), _CHUNK_ROWS):
        parts = (M[start : start + _CHUNK_ROWS].astype(np.float64) for M in (A, B))
        left, right = (np.rint(np.ldexp(part, e)) for part, e in zip(parts, exponents, strict=True))
        total.add(left.T @ right)
    return np.asarray(np.ldexp(total.float64(), -np.add.outer(*exponents)))
