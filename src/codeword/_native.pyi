"""
Kernels of codeword and the loops over them. Private: the public functions check their arguments.
"""

from collections.abc import Sequence
from typing import Annotated, overload

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

class Additive:
    """
    Codes that name a codeword in each of m codebooks: AdditiveCode in kernels.h.
    """

    def __init__(self, codebooks: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], m: int, offset: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], depth: int) -> None:
        """Codebooks (m * k, d) float32, one after another, and an offset (d)."""

    @property
    def scale(self) -> float: ...

    def encode(self, x: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], beam: int, passes: int, start: Annotated[NDArray[numpy.uint32], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None = None) -> Annotated[NDArray[numpy.uint32], dict(shape=(None, None), order='C', device='cpu')]:
        """
        Numbers (n, m) uint32 for rows (n, d) float32; given numbers to start from, none becomes worse.
        """

    def decode(self, indices: Annotated[NDArray[numpy.uint32], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')]:
        """Rows (n, d) float32 of numbers (n, m) uint32."""

def pack_bits(indices: Annotated[NDArray[numpy.uint32], dict(shape=(None, None), order='C', device='cpu', writable=False)], bits: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu')]:
    """
    Pack the low bits[j] bits of column j of `indices` (n, m) uint32 into (n, code_size) uint8.
    """

def unpack_bits(codes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], bits: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.uint32], dict(shape=(None, None), order='C', device='cpu')]:
    """Inverse of pack_bits: (n, code_size) uint8 to (n, m) uint32."""

class Codebooks:
    """m codebooks that cover the columns of a row side by side."""

    @overload
    def __init__(self, codebooks: Sequence[Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)]]) -> None:
        """Copies a list of (k_i, d_i) float32 codebooks."""

    @overload
    def __init__(self, codebooks: Sequence[Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)]]) -> None:
        """
        Copies a list of (k_i, d_i) float64 codebooks, for float64 rows; numbers must be in the range of float32.
        """

    @property
    def m(self) -> int:
        """Number of codebooks."""

    @property
    def d(self) -> int:
        """Columns of a row."""

    @overload
    def assign(self, x: Annotated[NDArray[numpy.float32], dict(shape=(None, None), device='cpu', writable=False)], labels: Annotated[NDArray[numpy.int32], dict(shape=(None, None), order='C', device='cpu')], distances: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')] | None = None) -> None:
        """
        Write the number of the nearest codeword of each piece of the rows `x` (n, d) float32 to `labels` (n, m)
        int32 and its squared distance to `distances` (n, m) float64. Ties go to the lowest number.
        """

    @overload
    def assign(self, x: Annotated[NDArray[numpy.float64], dict(shape=(None, None), device='cpu', writable=False)], labels: Annotated[NDArray[numpy.int32], dict(shape=(None, None), order='C', device='cpu')], distances: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')] | None = None) -> None:
        """The same for rows and codebooks of float64."""

@overload
def accumulate(x: Annotated[NDArray[numpy.float32], dict(shape=(None, None), device='cpu', writable=False)], labels: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], exponents: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], weight_exponent: int, sums: Annotated[NDArray[numpy.int64], dict(shape=(None, None), order='C', device='cpu')], counts: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu')], weights: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None, old_labels: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None) -> None:
    """
    sums[label] += round(x * weight * 2**exponents), counts[label] += round(weight * 2**weight_exponent), in
    int64; without weights counts grow by 1. Given old labels, rows whose label changed move, others stay.
    """

@overload
def accumulate(x: Annotated[NDArray[numpy.float64], dict(shape=(None, None), device='cpu', writable=False)], labels: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], exponents: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], weight_exponent: int, sums: Annotated[NDArray[numpy.int64], dict(shape=(None, None), order='C', device='cpu')], counts: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu')], weights: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None, old_labels: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None) -> None:
    """
    The same of float64 rows and weights; x * weight is rounded to float64 first.
    """

def keep_farthest(labels: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], losses: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], first: int, largest: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], farthest: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu')]) -> None:
    """
    largest[label] = loss and farthest[label] = first + its row, for the largest losses (n) float64 of each label
    (n) int32, where they are above `largest` (k) float64; `farthest` (k) int64. Ties go to the first row.
    """

TOTAL_DIGITS: int = 68

def add_to_total(values: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], weights: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, digits: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu')]) -> None:
    """
    Add values * weights, finite float64 of at least 0, exactly: digit i of `digits` (TOTAL_DIGITS) int64 counts
    2**(32 * i - 1074) and is left from 0 to 2**32 - 1. Without weights each counts 1.
    """

def column_range(x: Annotated[NDArray[numpy.float32], dict(shape=(None, None), device='cpu', writable=False)]) -> tuple[Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu')], Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu')]]:
    """Lowest and highest value (d,) of each column of float32 rows (n, d)."""

def column_sums(x: Annotated[NDArray[numpy.float32], dict(shape=(None, None), device='cpu', writable=False)], shift: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], scale: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')]:
    """
    Sums (3, d) float64 of y, the integers nearest to (x - shift) * scale, and of the upper and lower halves of y^2.
    """

class Descent:
    """Binary trees of codewords."""

    def __init__(self, codewords: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], children: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> None:
        """
        Copies codewords (2 pairs, d) float32, the two of a pair side by side, and children (2 pairs) int32: for
        each codeword the pair below it, or the complement ~label where descents end.
        """

    @property
    def d(self) -> int:
        """Columns of a row."""

    def run(self, x: Annotated[NDArray[numpy.float32], dict(shape=(None, None), device='cpu', writable=False)], labels: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu')], first: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None, distances: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')] | None = None) -> None:
        """
        Write where the rows `x` (n, d) float32 end to `labels` (n) int32: from pair `first` (n) int32 or 0 down, the
        nearer codeword of each pair, of equally near ones the left; and the squared distance to the last one to
        `distances` (n) float64.
        """

def hadamard(rows: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')]) -> None:
    """
    Walsh-Hadamard transform of the rows of a (n, 2^p) float32 array, in place, unnormalised.
    """

class IdTable:
    """
    Which row has an id: a hash table of row numbers beside an array of ids (n) int64.
    """

    def __init__(self) -> None: ...

    def __len__(self) -> int: ...

    @property
    def nbytes(self) -> int: ...

    def add(self, ids: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], begin: int) -> None:
        """Add rows begin, begin + 1, ..., whose ids are new."""

    def find(self, ids: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], wanted: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu')]:
        """Row of each wanted id, or -1."""

    def erase(self, ids: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], rows: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> None:
        """Forget rows of the table, each named once."""

    def move(self, ids: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], from_rows: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], to_rows: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> None:
        """Rows get other numbers; change `ids` afterwards."""

class Lattice:
    """A lattice code of blocks of eight coordinates, in one stage or two."""

    def __init__(self, shapes: Sequence[Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)]], leaders: Sequence[Annotated[NDArray[numpy.int8], dict(shape=(None, None), order='C', device='cpu', writable=False)]], steps: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], mean: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], scale: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> None:
        """
        Lists of shapes (m, 8) uint8 and leaders (m, 8) int8 of the stages, steps (m of the first) uint8, mean (d) and
        scale (ceil(d / 8)) float32; see docs/lattice.md.
        """

    @property
    def code_size(self) -> int: ...

    @property
    def width(self) -> int:
        """Columns of weights: 8 a block, rounded up to a multiple of 32."""

    def encode(self, x: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu')]:
        """Codes (n, code_size) uint8 of rows (n, d) float32."""

    def decode(self, codes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')]:
        """Rows (n, d) float32 of codes (n, code_size) uint8."""

    def values(self, codes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.int16], dict(shape=(None, None), order='C', device='cpu')]:
        """Whole values (n, 8 * blocks) int16 of codes: x = mean + scale * value."""

    def scan(self, codes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], weights: Annotated[NDArray[numpy.int16], dict(shape=(None, None), order='C', device='cpu', writable=False)], scale: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], bias: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], line: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None, square: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None, constant: float = 0.0, cosine: bool = False) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')]:
        """
        score = float32(sum of weights * values) * scale + bias, (q, n), for int16 weights (q, width), whose sums must
        stay below 2^31. With line and square (width) a row's norm = constant + sum of v (line + square v), and the
        result is max(score + norm, 0), or max(score / sqrt(norm) + 1, 0) with cosine.
        """

def encode_levels(rows: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], bits: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], thresholds: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], affine: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None = None) -> Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu')]:
    """
    Packed codes (n, code_size) of rows (n, d) float32: coordinate j takes bits[j] bits (0 to 8) and is coded as
    the number of `thresholds` (d, 256), ascending, below it. `affine` (4, d rounded up to 64) holds low, 1 / step,
    largest index and how far from a half its estimate is sure, for evenly spaced levels.
    """

def decode_levels(codes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], bits: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], levels: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')]:
    """
    Rows (n, d) float32 of packed codes: level levels[j, index] of each coordinate, levels[j, 0] for 0 bits.
    """

class RowScorer:
    """Scores packed codes for any of a batch of queries."""

class NearestPools:
    """The k nearest rows of each of q queries."""

    def __init__(self, q: int, k: int) -> None: ...

    def sorted(self) -> tuple[Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')], Annotated[NDArray[numpy.int64], dict(shape=(None, None), order='C', device='cpu')]]:
        """
        distances float32 and names int64 (q, k), nearest first, ties by name; infinity and 2^63 - 1 where there are fewer.
        """

def search_lists(pools: NearestPools, scorer: RowScorer, codes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], side: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, out: Annotated[NDArray[numpy.bool_], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, ids: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, first: int, bounds: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], probes: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, ends: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, before: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], after: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], floor: float, factors: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, terms: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, squares: Sequence[RowScorer], cosine: bool) -> None:
    """
    Offer to query i the rows bounds[l] to bounds[l + 1] of every list l of probes[ends[i]] to probes[ends[i + 1]], or of all:
    names ids[i] or first + i, distances as core/list_search.h defines them; rows of `out` are left out.
    """

def nearest_of(distances: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], names: Annotated[NDArray[numpy.int64], dict(shape=(None, None), order='C', device='cpu', writable=False)], k: int) -> tuple[Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')], Annotated[NDArray[numpy.int64], dict(shape=(None, None), order='C', device='cpu')]]:
    """
    Of each row of distances and names (q, c) the min(k, c) nearest, nearest first, ties by name.
    """

def pairwise_dot(a: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], b: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')]:
    """
    Inner products (n, k) float64 of the rows of `a` (n, d) and `b` (k, d) float32, summed in lane order.
    """

def pairwise_sqdist(a: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], b: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')]:
    """
    Squared distances (n, k) float64 of the rows of `a` (n, d) and `b` (k, d) float32, summed in lane order.
    """

class TableCodebooks:
    """Codebooks of the symbols of a code, prepared for tables."""

    def __init__(self, codebooks: Sequence[Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)]], bits: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], shared: bool = False) -> None:
        """
        Symbol j of a code takes bits[j] bits, 1 to 30, and names a row of codebooks[j] (k_j, d_j) float32. Codebooks
        cover the columns side by side, or with `shared` all of them the same ones.
        """

class Tables:
    """
    Look-up tables of a batch of queries, 16 bits an entry, that score packed codes.
    """

    def __init__(self, codebooks: TableCodebooks, queries: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], values: str, multiplier: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], constant: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> None:
        """
        Tables of `queries` (q, d) float32. A codeword c counts |c|^2 - 2 <q, c> (values="sqdist"), -<q, c>
        ("negative_dot") or |c|^2 ("square"); sums are multiplied by multiplier[l], constant[l] is added.
        """

    @property
    def scale(self) -> list[float]:
        """Step of the entries of each query."""

    def scan(self, codes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')]:
        """Distances (q, n) float32 of codes (n, code_size)."""

def scan_fields(codes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], weights: Annotated[NDArray[numpy.int16], dict(shape=(None, None, None), order='C', device='cpu', writable=False)], scale: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], bias: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], linear: Annotated[NDArray[numpy.int16], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None = None, curved: Annotated[NDArray[numpy.int16], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None = None, constant: float = 0.0, linear_unit: float = 0.0, curved_unit: float = 0.0, cosine: bool = False) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')]:
    """
    score = float32(sum of weights * symbols) * scale + bias, (q, n), for codes (n, code_size) of symbols of
    8 / planes bits and int16 weights (q, planes, code_size rounded up to 32). Sums must stay below 2^31.
    With linear and curved, as in scan_squares, a row's norm = constant + linear_unit * first sum -
    curved_unit * second, and the result is max(score + norm, 0), or max(score / sqrt(norm) + 1, 0) with cosine.
    """

def scan_squares(codes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], linear: Annotated[NDArray[numpy.int16], dict(shape=(None, None), order='C', device='cpu', writable=False)], curved: Annotated[NDArray[numpy.int16], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.int64], dict(shape=(None, None), order='C', device='cpu')]:
    """
    Sums (n, 2) int64 of linear * c and of curved * c (2^bits - 1 - c) over the symbols c of each code.
    """

def centred_sums(x: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], mean: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')]:
    """
    <a, a>, <a, b>, <x, x> (n, 3) float64 in lane order for rows x, y (n, d) with a = x - mean, b = y - mean.
    """

def lane_sums(a: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')]:
    """Sums (n) of the rows of a (n, d) float64 in lane order."""

def lane_dots(a: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], b: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')]:
    """
    Inner products (n) of the rows of a and b (n, d) float64, b perhaps of one row for all, in lane order.
    """

def offer(list_distances: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')], list_ids: Annotated[NDArray[numpy.int64], dict(shape=(None, None), order='C', device='cpu')], distances: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], ids: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> None:
    """
    Offer rows to lists of the k nearest (q, k), which start as infinity and 2^63 - 1: distances (q, n) and ids (n).
    """

def offer_range(list_distances: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')], list_ids: Annotated[NDArray[numpy.int64], dict(shape=(None, None), order='C', device='cpu')], distances: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], first: int) -> None:
    """The same for rows whose ids are first, first + 1, ..."""

def sort_lists(list_distances: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')], list_ids: Annotated[NDArray[numpy.int64], dict(shape=(None, None), order='C', device='cpu')]) -> None:
    """
    Sort lists, nearest first, ties by id. Nothing may be offered after that.
    """

def rescale(distances: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')], before: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], factor: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], term: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], after: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], floor: float) -> None:
    """
    distances (q, n) = max(((distances + before) * factor + term) + after, floor); before, after (q), factor, term (n).
    """

class Signs:
    """
    Whole weights of queries that score codes of a bit a coordinate and two side bytes.
    """

    def __init__(self, weights: Annotated[NDArray[numpy.int8], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> None:
        """
        weights (q, d) int8; the absolute weights of each eight coordinates that share a byte sum to at most 127.
        """

    def scan(self, codes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], scale: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], bias: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], after: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], first: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], second: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], terms: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], floor: float) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')]:
        """
        max(((sum of the weights of set bits * scale + bias) * factor + term) + after, floor), float32 (q, n), with
        factor = first[b0] * second[b1] and term = terms[b0] for the last two bytes b0, b1 of a code.
        """

def sign_codes(x: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], codes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu')]) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')]:
    """
    Write a bit for each column of x (n, d) into `codes` (n, at least d / 8): set where x >= 0. Returns <x, x> and
    the sum of |x| (n, 2), float64 in lane order.
    """

def grid_codes(x: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], bits: int) -> tuple[Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu')], Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')]]:
    """
    Indices (n, d) uint8 below 2^bits and <x, x>, <x, u> (n, 2), u = 2 * index + 1 - 2^bits: the direction of u is
    the nearest to that of x among all roundings of t x, t > 0, to odd integers.
    """

class Trellis:
    """
    A bitshift trellis code; the arrays are those of TrellisCode in kernels.h.
    """

    def __init__(self, folds: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], widths: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], firsts: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], columns: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], tables: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], grids: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], means: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], inverses: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], scales: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], fill: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], values: Annotated[NDArray[numpy.int16], dict(shape=(None,), order='C', device='cpu', writable=False)], costs: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], window: int, warm: int) -> None: ...

    @property
    def code_size(self) -> int: ...

    def encode(self, x: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu')]:
        """Codes (n, code_size) uint8 of rows (n, d) float32."""

    def decode(self, codes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')]:
        """Rows (n, d) float32 of codes (n, code_size) uint8."""

    def gather(self, codes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None, None), order='C', device='cpu', writable=False)], numbers: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], tile: int, columns: int) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')]:
        """
        Rows `numbers` (n) int64 of the matrix whose pieces, `tile` columns wide, are codes (bands, blocks, code_size): (n, columns) float32.
        """

    def dot(self, codes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], weights: Annotated[NDArray[numpy.int16], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.int64], dict(shape=(None, None), order='C', device='cpu')]:
        """
        Sums (q, n) int64 of values * weights over the coordinates of codes (n, code_size), weights (q, coordinates).
        """

    def dot_each(self, codes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None, None), order='C', device='cpu', writable=False)], weights: Annotated[NDArray[numpy.int16], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.int64], dict(shape=(None, None), order='C', device='cpu')]:
        """The same (q, n) for codes (q, n, code_size): those of each query."""

class TrellisTables:
    """Tables of 8 bits that scans of trellis codes look up."""

    def __init__(self, trellis: Trellis, values: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], periods: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], order: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], rise: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> None:
        """
        values (tables * 256), periods (2), order and rise (blocks): see TrellisScan in kernels.h.
        """

class TrellisQueries(RowScorer):
    """int8 weights of a batch of queries for trellis codes."""

    def __init__(self, tables: TrellisTables, weights: Annotated[NDArray[numpy.int8], dict(shape=(None, None), order='C', device='cpu', writable=False)], scale: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], bias: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> None:
        """weights (q, coordinates), scale and bias (q)."""

    def scan(self, codes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')]:
        """sum * scale + bias (q, n) float32 of codes (n, code_size)."""

def round_rows(x: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> tuple[Annotated[NDArray[numpy.int8], dict(shape=(None, None), order='C', device='cpu')], Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu')], Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu')]]:
    """
    Rows (n, d) float32 as int8 (n, d), scales (n) float32 and sums (n) int32.
    """

class Rotation:
    """A random rotation of rows: see RotationPlan in kernels.h."""

    def __init__(self, d: int) -> None: ...

    def append(self, permutation: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, windows: Sequence[tuple[int, Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)]]]) -> None:
        """
        Adds a step: permutation (d) int32 or None, at most two windows of a start and signs (2^p) float32.
        """

    def rotate(self, rows: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')], inverse: bool) -> None:
        """Rotates rows (n, d) float32 in place, or back."""

class PackedMatrix:
    """A matrix of trellis codes that is multiplied with as it is."""

    def __init__(self, trellis: Trellis, values: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], periods: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], rows: int, columns: int) -> None:
        """values (tables * 256), periods (2): see TrellisMatrix in kernels.h."""

    def sums(self, codes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None, None), order='C', device='cpu', writable=False)], x: Annotated[NDArray[numpy.int8], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.int32], dict(shape=(None, None), order='C', device='cpu')]:
        """
        x (n, columns) int8 times (level - 128) of codes (bands, blocks, code_size), (n, rows) int32 modulo 2^32.
        """

    def multiply(self, codes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None, None), order='C', device='cpu', writable=False)], x: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], input: Rotation | None, output: Rotation | None, unit: float, factors: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)] | None) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')]:
        """
        x (n, columns) float32 rotated, rounded to bytes, multiplied, times unit, rotated back, times factors: (n, rows) float32.
        """
