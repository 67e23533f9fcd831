"""Bad input: every public entry point that takes rows x every kind of bad rows, and every parameter out of range.

Each must end in ValueError or TypeError whose message names the argument and says what was wrong, and must change nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import codeword as cw
from codeword import metrics

N, D = 64, 6
rng = np.random.default_rng(8)
X = rng.normal(size=(N, D)).astype(np.float32)


class Sparse:
    """What a SciPy sparse matrix looks like to us."""

    shape = (N, D)

    def tocsr(self) -> None: ...


def with_value(value: float, row: int = 7, column: int = 3, dtype: Any = np.float32) -> np.ndarray:
    bad = X.astype(dtype)
    bad[row, column] = value
    return bad


def offset(size: float, column: int = 2) -> np.ndarray:
    bad = X.astype(np.float64)
    bad[:, column] += size
    return bad


# kind: (rows, words that the message must hold)
BAD_ROWS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "NaN at row 7": (with_value(np.nan), ("finite", "nan", "row 7", "column 3")),
    "NaN in float16": (with_value(np.nan, dtype=np.float16), ("finite", "row 7")),
    "NaN in float64": (with_value(np.nan, dtype=np.float64), ("finite", "row 7")),
    "infinity": (with_value(np.inf), ("finite", "inf", "row 7")),
    "minus infinity": (with_value(-np.inf, row=0), ("finite", "-inf", "row 0")),
    "float64 beyond float32": (with_value(1e300, dtype=np.float64), ("float32", "row 7", "column 3")),
    "1-d": (X[0], ("1-d", "[None, :]")),
    "0-d": (np.float32(3), ("0-d",)),
    "3-d": (X[None], ("3-d",)),
    "no columns": (X[:, :0], ("(64, 0)",)),
    "object dtype": (X.astype(object), ("dtype object",)),
    "rows of different lengths": ([[1.0, 2.0], [3.0]], ()),
    "strings": (X.astype(str), ("dtype <U",)),
    "bytes": (b"abc", ("bytes",)),
    "a file name": ("rows.npy", ("str",)),
    "None": (None, ("NoneType",)),
    "a dict": ({"x": 1}, ("dict",)),
    "complex": (X.astype(np.complex64), ("dtype complex64",)),
    "datetime": (np.zeros((N, D), "M8[s]"), ("dtype datetime64",)),
    "structured": (np.zeros((N, D), [("a", "f4")]), ("dtype",)),
    "masked array": (np.ma.MaskedArray(X, np.arange(N)[:, None] == np.full((1, D), 9)), ("masked", "row 9")),
    "sparse matrix": (Sparse(), ("sparse", "toarray")),
}
OFFSET_ROWS = {"float64 with a huge offset": (offset(1e9), ("column 2", "spread", "Center"))}


def fitted(make: Callable[[], Any]) -> Any:
    return make().fit(X)


def product() -> Any:
    return cw.ProductQuantizer(3, bits=3)


def index() -> Any:
    built = cw.Index(fitted(product), metric="l2", factors=False)
    built.add(X)
    return built


QUANTIZERS: dict[str, Callable[[], Any]] = {
    "VectorQuantizer": lambda: cw.VectorQuantizer(4),
    "ProductQuantizer": product,
    "ScalarQuantizer": lambda: cw.ScalarQuantizer(4),
    "EntropyConstrainedQuantizer": lambda: cw.EntropyConstrainedQuantizer(4, lmbda=0.1, max_iter=1),
    "GainShapeQuantizer": lambda: cw.GainShapeQuantizer(4, max_iter=1),
    "TreeQuantizer": lambda: cw.TreeQuantizer(3),
    "ResidualQuantizer": lambda: cw.ResidualQuantizer(2, bits=2, rounds=0),
    "AdditiveQuantizer": lambda: cw.AdditiveQuantizer(2, bits=2, rounds=1),
    "Stages": lambda: cw.Stages([cw.VectorQuantizer(4), cw.ScalarQuantizer(1)]),
    "Pipeline": lambda: cw.Pipeline([cw.Rotation()], product()),
}
TRANSFORMS: dict[str, Callable[[], Any]] = {
    "Center": cw.Center,
    "Normalize": cw.Normalize,
    "Rotation": cw.Rotation,
    "KLT": cw.KLT,
}

# entry point: (call with rows, name of the argument in messages)
ENTRIES: dict[str, tuple[Callable[[Any], Any], str]] = {
    **{f"{n}.fit": (lambda bad, make=make: make().fit(bad), "X") for n, make in QUANTIZERS.items()},
    **{f"{n}.encode": (lambda bad, make=make: fitted(make).encode(bad), "X") for n, make in QUANTIZERS.items()},
    **{f"{n}.transform": (lambda bad, make=make: fitted(make).transform(bad), "X") for n, make in QUANTIZERS.items()},
    **{f"{n}.scorer": (lambda bad, make=make: fitted(make).scorer(bad), "queries") for n, make in QUANTIZERS.items()},
    **{f"{n}.distortion": (lambda bad, make=make: fitted(make).distortion(bad), "X") for n, make in QUANTIZERS.items()},
    **{f"{n}.fit": (lambda bad, make=make: make().fit(bad), "X") for n, make in TRANSFORMS.items()},
    **{f"{n}.transform": (lambda bad, make=make: fitted(make).transform(bad), "X") for n, make in TRANSFORMS.items()},
    "VectorQuantizer.partial_fit": (lambda bad: fitted(QUANTIZERS["VectorQuantizer"]).partial_fit(bad), "X"),
    "VectorQuantizer.from_codebook": (cw.VectorQuantizer.from_codebook, "codebook"),
    "Index.add": (lambda bad: index().add(bad), "X"),
    "Index.upsert": (lambda bad: index().upsert(bad, np.arange(N)), "X"),
    "Index.search": (lambda bad: index().search(bad), "queries"),
    "distortion, X": (lambda bad: cw.distortion(bad, X), "X"),
    "distortion, X_hat": (lambda bad: cw.distortion(X, bad), "X_hat"),
    "exact_search, X": (lambda bad: metrics.exact_search(bad, X, 3), "X"),
    "exact_search, queries": (lambda bad: metrics.exact_search(X, bad, 3), "queries"),
}
CENTRES_IN_FLOAT64 = ("Center", "KLT", "Pipeline", "Normalize", "Rotation", "distortion", "exact_search")


@pytest.mark.parametrize("kind", BAD_ROWS)
@pytest.mark.parametrize("entry", ENTRIES)
def test_bad_rows_are_refused_with_argument_and_reason(entry: str, kind: str) -> None:
    call, name = ENTRIES[entry]
    bad, words = BAD_ROWS[kind]
    if entry.startswith(CENTRES_IN_FLOAT64) and kind == "float64 beyond float32":
        words = ()  # what is named depends on what the offset leaves
    with pytest.raises((ValueError, TypeError)) as caught:
        call(bad)
    message = str(caught.value)
    assert message.startswith(name), message
    for word in words:
        assert word in message, message


@pytest.mark.parametrize("entry", [e for e in ENTRIES if not e.startswith(CENTRES_IN_FLOAT64)])
def test_float64_offsets_that_float32_would_lose_are_refused_by_column(entry: str) -> None:
    call, name = ENTRIES[entry]
    bad, words = OFFSET_ROWS["float64 with a huge offset"]
    with pytest.raises(ValueError, match=name) as caught:
        call(bad)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("entry", [e for e in ENTRIES if not e.endswith((".fit", "from_codebook"))])
def test_a_wrong_width_is_refused_with_both_widths(entry: str) -> None:
    call, name = ENTRIES[entry]
    with pytest.raises(ValueError) as caught:
        call(X[:, : D - 1])
    assert name in str(caught.value) and str(D) in str(caught.value) and str(D - 1) in str(caught.value), caught.value


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.endswith((".fit", "from_codebook", "distortion", "X", "X_hat"))])
def test_no_rows_are_refused_where_rows_are_needed(entry: str) -> None:
    call, _ = ENTRIES[entry]
    with pytest.raises(ValueError, match=r"at least one row|shape"):
        call(X[:0])


GOOD_ROWS = {
    "read-only": lambda: _read_only(X.copy()),
    "non-contiguous": lambda: np.repeat(X, 2, axis=1)[:, ::2],
    "Fortran order": lambda: np.asfortranarray(X),
    "big-endian": lambda: X.astype(">f4"),
    "float64": lambda: X.astype(np.float64),
    "masked without masked entries": lambda: np.ma.MaskedArray(X),
    "list of lists": X.tolist,
    "a subclass": lambda: np.asmatrix(X),
}


def _read_only(A: np.ndarray) -> np.ndarray:
    A.flags.writeable = False
    return A


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    path = tmp_path_factory.mktemp("rows") / "rows.npy"
    np.save(path, X)
    return np.load(path, mmap_mode="r")


@pytest.mark.parametrize("entry", ENTRIES)
def test_memory_mapped_rows_are_taken(entry: str, mapped: np.ndarray) -> None:
    ENTRIES[entry][0](mapped)


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("kind", GOOD_ROWS)
@pytest.mark.parametrize("entry", ENTRIES)
def test_unusual_but_good_rows_are_taken(entry: str, kind: str) -> None:
    ENTRIES[entry][0](GOOD_ROWS[kind]())


# call, error, words
BAD_PARAMETERS: dict[str, tuple[Callable[[], Any], Any, tuple[str, ...]]] = {
    "k = 0": (lambda: cw.VectorQuantizer(0).fit(X), ValueError, ("k", "1", "0")),
    "k negative": (lambda: cw.VectorQuantizer(-3).fit(X), ValueError, ("k", "-3")),
    "k > n": (lambda: cw.VectorQuantizer(N + 1).fit(X), ValueError, ("k = 65", "got 64")),
    "k fractional": (lambda: cw.VectorQuantizer(2.5).fit(X), TypeError, ("k", "2.5")),
    "k a string": (lambda: cw.VectorQuantizer("8").fit(X), TypeError, ("k", "'8'")),
    "k a bool": (lambda: cw.VectorQuantizer(True).fit(X), TypeError, ("k", "True")),
    "k NaN": (lambda: cw.VectorQuantizer(float("nan")).fit(X), TypeError, ("k", "nan")),
    "k huge": (lambda: cw.VectorQuantizer(2**40).fit(X), ValueError, ("k",)),
    "unknown seeding": (lambda: cw.VectorQuantizer(4, seeding="best").fit(X), ValueError, ("seeding", "kmeans++", "'best'")),
    "max_iter negative": (lambda: cw.VectorQuantizer(4, max_iter=-1).fit(X), ValueError, ("max_iter", "-1")),
    "tol negative": (lambda: cw.VectorQuantizer(4, tol=-0.1).fit(X), ValueError, ("tol", "-0.1")),
    "tol NaN": (lambda: cw.VectorQuantizer(4, tol=float("nan")).fit(X), ValueError, ("tol", "nan")),
    "seed negative": (lambda: cw.VectorQuantizer(4, seed=-1).fit(X), ValueError, ("seed", "-1")),
    "seed not a number": (lambda: cw.VectorQuantizer(4, seed="x").fit(X), TypeError, ("seed", "'x'")),
    "m = 0": (lambda: cw.ProductQuantizer(0).fit(X), ValueError, ("m", "0")),
    "m > d": (lambda: cw.ProductQuantizer(7, bits=2).fit(X), ValueError, ("m", "6", "7")),
    "bits = 0": (lambda: cw.ProductQuantizer(3, bits=0).fit(X), ValueError, ("bits", "1", "16", "0")),
    "bits = 17": (lambda: cw.ProductQuantizer(3, bits=17).fit(X), ValueError, ("bits", "17")),
    "2**bits > n": (lambda: cw.ProductQuantizer(3, bits=8).fit(X), ValueError, ("256", "64")),
    "scalar bits = 0": (lambda: cw.ScalarQuantizer(0).fit(X), ValueError, ("bits",)),
    "scalar bits = 9": (lambda: cw.ScalarQuantizer(9).fit(X), ValueError, ("bits", "9")),
    "scalar levels": (lambda: cw.ScalarQuantizer(2, levels="log").fit(X), ValueError, ("levels", "'log'")),
    "scalar bits per dimension": (lambda: cw.ScalarQuantizer([1, 2]).fit(X), ValueError, ("bits", "6", "2")),
    "neither entropy nor lmbda": (lambda: cw.EntropyConstrainedQuantizer(4).fit(X), ValueError, ("entropy", "lmbda")),
    "entropy above log2(k)": (lambda: cw.EntropyConstrainedQuantizer(4, entropy=3).fit(X), ValueError, ("entropy", "2", "3")),
    "lmbda NaN": (lambda: cw.EntropyConstrainedQuantizer(4, lmbda=float("nan")).fit(X), ValueError, ("lmbda", "nan")),
    "entropy a string": (lambda: cw.EntropyConstrainedQuantizer(4, entropy="2").fit(X), TypeError, ("entropy", "'2'")),
    "ecvq k > n": (lambda: cw.EntropyConstrainedQuantizer(N + 1, lmbda=0).fit(X), ValueError, ("k = 65", "got 64")),
    "gain_bits = 9": (lambda: cw.GainShapeQuantizer(4, 9).fit(X), ValueError, ("gain_bits", "8", "9")),
    "gain-shape k > n": (lambda: cw.GainShapeQuantizer(N + 1).fit(X), ValueError, ("k = 65", "got 64")),
    "tree bits = 0": (lambda: cw.TreeQuantizer(0).fit(X), ValueError, ("bits", "1", "24", "0")),
    "tree leaves > n": (lambda: cw.TreeQuantizer(7).fit(X), ValueError, ("2**bits = 128", "64")),
    "tree growth": (lambda: cw.TreeQuantizer(3, growth="wild").fit(X), ValueError, ("growth", "'greedy'", "'wild'")),
    "tree max_iter": (lambda: cw.TreeQuantizer(3, max_iter=0).fit(X), ValueError, ("max_iter", "0")),
    "not a transform": (lambda: cw.Pipeline([3], product()).fit(X), TypeError, ("transforms", "3")),
    "not a quantizer": (lambda: cw.Pipeline([], cw.Center()).fit(X), TypeError, ("quantizer", "Center")),
    "rotation seed": (lambda: cw.Rotation(seed=-1).fit(X), ValueError, ("seed", "-1")),
    "KLT d_out": (lambda: cw.KLT(D + 1).fit(X), ValueError, ("d_out", "7", "6")),
    "mixture k": (lambda: cw.MixtureQuantizer(0, product()).fit(X), ValueError, ("k", "0")),
    "mixture of something else": (lambda: cw.MixtureQuantizer(2, "product").fit(X), TypeError, ("quantizer", "'product'")),
    "mixture effort": (lambda: cw.MixtureQuantizer(2, product(), effort="more").fit(X), ValueError, ("effort", "'more'")),
    "scaling something else": (lambda: cw.ScaledQuantizer("product").fit(X), TypeError, ("quantizer", "'product'")),
    "scaling effort": (lambda: cw.ScaledQuantizer(product(), effort="more").fit(X), ValueError, ("effort", "'more'")),
    "mixture cell": (
        lambda: cw.MixtureQuantizer(2, product()).fit(X).decode(np.full((1, 3), 7, np.uint8)),
        ValueError,
        ("codes", "row 0", "7 of 2"),
    ),
    "OPQ m > d": (lambda: cw.OPQ(D + 1).fit(X), ValueError, ("m", "7", "6")),
    "OPQ bits": (lambda: cw.OPQ(2, bits=0).fit(X), ValueError, ("bits", "0")),
    "OPQ effort": (lambda: cw.OPQ(2, effort="most").fit(X), ValueError, ("effort", "'most'")),
    "OPQ seed": (lambda: cw.OPQ(2, seed=-1).fit(X), ValueError, ("seed", "-1")),
    "KLT d_out = 0": (lambda: cw.KLT(0).fit(X), ValueError, ("d_out", "0")),
    "zero row": (lambda: cw.Normalize().fit(X).transform(X * (np.arange(N) != 5)[:, None]), ValueError, ("row 5",)),
    "weights of a wrong length": (lambda: product().fit(X, np.ones(3)), ValueError, ("sample_weight", "(64,)", "(3,)")),
    "negative weight": (lambda: product().fit(X, np.arange(N) - 1.0), ValueError, ("sample_weight", "row 0")),
    "NaN weight": (lambda: product().fit(X, np.where(np.arange(N) == 4, np.nan, 1)), ValueError, ("sample_weight", "row 4")),
    "zero weights": (lambda: product().fit(X, np.zeros(N)), ValueError, ("sample_weight", "zeros")),
    "weight strings": (lambda: product().fit(X, ["1"] * N), TypeError, ("sample_weight",)),
    "blocks of different widths": (lambda: product().fit([X, X[:, :5]]), ValueError, ("block 1", "5")),
    "NaN in a block": (lambda: product().fit([X, with_value(np.nan)]), ValueError, ("block 1", "row 7")),
    "no blocks": (lambda: product().fit(iter([])), ValueError, ("X", "empty")),
    "encode, not fitted": (lambda: product().encode(X), cw.NotFittedError, ("ProductQuantizer", "fit")),
    "decode, not fitted": (lambda: product().decode(np.zeros((1, 2), np.uint8)), cw.NotFittedError, ("ProductQuantizer",)),
    "transform, not fitted": (lambda: cw.KLT().transform(X), cw.NotFittedError, ("KLT",)),
    "save, not fitted": (lambda: cw.save(product(), "x.cw"), cw.NotFittedError, ("ProductQuantizer",)),
    "codes of a wrong dtype": (lambda: fitted(product).decode(np.zeros((1, 2), int)), TypeError, ("codes", "uint8", "int64")),
    "codes of a wrong width": (
        lambda: fitted(product).decode(np.zeros((1, 9), np.uint8)),
        ValueError,
        ("codes", "(n, 2)", "(1, 9)"),
    ),
    "one code": (lambda: fitted(product).decode(np.zeros(2, np.uint8)), ValueError, ("codes", "[None, :]")),
    "a code of no codeword": (
        lambda: cw.VectorQuantizer(5).fit(X).decode(np.array([[0], [6]], np.uint8)),
        ValueError,
        ("codes", "row 1", "6 of 5"),
    ),
    "unknown metric": (lambda: fitted(product).scorer(X, "l1"), ValueError, ("metric", "'l2'", "'l1'")),
    "unknown parameter": (lambda: product().set_params(bit=3), ValueError, ("bit", "bits")),
    "index metric": (lambda: cw.Index(fitted(product), metric="dot").add(X), ValueError, ("metric", "'dot'")),
    "index of something else": (lambda: cw.Index("pq").add(X), TypeError, ("quantizer", "pq")),
    "negative ids": (lambda: index().add(X[:2], ids=[100, -1]), ValueError, ("ids", "-1")),
    "duplicate ids": (lambda: index().add(X[:2], ids=[100, 100]), ValueError, ("ids", "100")),
    "known ids": (lambda: index().add(X[:1], ids=[3]), ValueError, ("ids", "3")),
    "ids of a wrong length": (lambda: index().add(X[:2], ids=[100]), ValueError, ("ids", "2", "1")),
    "fractional ids": (lambda: index().add(X[:1], ids=[0.5]), TypeError, ("ids",)),
    "string ids": (lambda: index().add(X[:1], ids=["a"]), TypeError, ("ids",)),
    "unknown ids": (lambda: index().remove([1000]), ValueError, ("ids", "1000")),
    "search k = 0": (lambda: index().search(X[:1], k=0), ValueError, ("k", "0")),
    "search k fractional": (lambda: index().search(X[:1], k=1.5), TypeError, ("k", "1.5")),
    "exact search k > n": (lambda: metrics.exact_search(X, X, N + 1), ValueError, ("k", "64", "65")),
    "exact search metric": (lambda: metrics.exact_search(X, X, 3, "l1"), ValueError, ("metric",)),
    "recall of different queries": (
        lambda: cw.recall(np.zeros((2, 5), int), np.zeros((3, 5), int), 5),
        ValueError,
        ("found", "truth"),
    ),
    "recall of too few": (lambda: cw.recall(np.zeros((2, 5), int), np.zeros((2, 5), int), 6), ValueError, ("k", "6")),
    "distortion of different shapes": (lambda: cw.distortion(X, X[:5]), ValueError, ("X_hat", "64")),
    "threads = 0": (lambda: cw.set_threads(0), ValueError, ("n", "0")),
    "threads fractional": (lambda: cw.set_threads(1.5), TypeError, ("n", "1.5")),
    "load a missing file": (lambda: cw.load("no such file.cw"), FileNotFoundError, ("no such file.cw",)),
    "load a folder": (lambda: cw.load(str(Path(__file__).parent)), (OSError, ValueError), ()),
    "load something else": (lambda: cw.load(__file__), cw.FormatError, ("test_bad_input.py",)),
    "save something else": (lambda: cw.save({"a": 1}, "x.cw"), TypeError, ("dict",)),
    "load verify": (lambda: cw.load(__file__, verify="maybe"), ValueError, ("verify", "'maybe'")),
}


@pytest.mark.parametrize("case", BAD_PARAMETERS)
def test_bad_parameters_are_refused_with_name_and_value(case: str) -> None:
    call, error, words = BAD_PARAMETERS[case]
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word in str(caught.value), caught.value


def test_at_least_25_kinds_of_bad_input_are_covered() -> None:
    assert len(BAD_ROWS) + len(OFFSET_ROWS) + 2 >= 25
