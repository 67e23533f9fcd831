"""
Kernels of codeword and the loops over them. Private: the public functions check their arguments.
"""

from collections.abc import Sequence
from typing import Annotated

import numpy
from numpy.typing import NDArray


def isa() -> str:
    """Name of the active ISA."""

def available_isas() -> list[str]:
    """ISAs that this machine runs, from the oldest to the newest."""

def set_isa(name: str) -> None:
    """Make an available ISA the active one."""

def kernel_names() -> list[str]:
    """Names of all kernels."""

def threads() -> int:
    """Number of threads that native code may use."""

def set_threads(n: int) -> None:
    """Set the number of threads, from 1 to 1024."""

def available_cpus() -> int:
    """CPUs in the affinity mask, within the quota of the control group."""

def crc32c(data: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], crc: int = 0) -> int:
    """CRC-32C of a uint8 array, continued from `crc`."""

def pack_bits(indices: Annotated[NDArray[numpy.uint32], dict(shape=(None, None), order='C', device='cpu', writable=False)], bits: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu')]:
    """
    Pack the low bits[j] bits of column j of `indices` (n, m) uint32 into (n, code_size) uint8.
    """

def unpack_bits(codes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], bits: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.uint32], dict(shape=(None, None), order='C', device='cpu')]:
    """Inverse of pack_bits: (n, code_size) uint8 to (n, m) uint32."""

class Codebooks:
    """m codebooks that cover the columns of a row side by side."""

    def __init__(self, codebooks: Sequence[Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)]]) -> None:
        """Copies a list of (k_i, d_i) float32 codebooks."""

    @property
    def m(self) -> int:
        """Number of codebooks."""

    @property
    def d(self) -> int:
        """Columns of a row."""

    def assign(self, x: Annotated[NDArray[numpy.float32], dict(shape=(None, None), device='cpu', writable=False)], labels: Annotated[NDArray[numpy.int32], dict(shape=(None, None), order='C', device='cpu')], distances: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')] | None = None) -> None:
        """
        Write the number of the nearest codeword of each piece of the rows `x` (n, d) float32 to `labels` (n, m)
        int32 and its squared distance to `distances` (n, m) float64. Ties go to the lowest number.
        """

def accumulate(x: Annotated[NDArray[numpy.float32], dict(shape=(None, None), device='cpu', writable=False)], labels: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], exponents: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], weight_exponent: int, sums: Annotated[NDArray[numpy.int64], dict(shape=(None, None), order='C', device='cpu')], counts: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu')], weights: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None, old_labels: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None) -> None:
    """
    sums[label] += round(x * weight * 2**exponents), counts[label] += round(weight * 2**weight_exponent), in
    int64; without weights counts grow by 1. Given old labels, rows whose label changed move, others stay.
    """

def hadamard(rows: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')]) -> None:
    """
    Walsh-Hadamard transform of the rows of a (n, 2^p) float32 array, in place, unnormalised.
    """

def pairwise_dot(a: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], b: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')]:
    """
    Inner products (n, k) float64 of the rows of `a` (n, d) and `b` (k, d) float32, summed in lane order.
    """

def pairwise_sqdist(a: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], b: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')]:
    """
    Squared distances (n, k) float64 of the rows of `a` (n, d) and `b` (k, d) float32, summed in lane order.
    """
