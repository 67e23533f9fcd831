"""The conformance suite: what every quantizer promises, ours or a user's.

    from codeword.testing import check_quantizer
    check_quantizer(MyQuantizer(...))

Each ``check_*`` function states one guarantee; `check_quantizer` runs them all. A guarantee that a class cannot give is named in its
class attribute ``exempt = {"check_name": "reason"}``: data, not a skip.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import _native, registry, runtime
from codeword.base import METRICS, Quantizer
from codeword.errors import NotFittedError

Array = NDArray[Any]
Check = Callable[[Quantizer, Array], None]


def check_quantizer(quantizer: Quantizer, X: Array | None = None) -> None:
    """Check every guarantee of the contract.

    Parameters
    ----------
    quantizer : Quantizer
        Not fitted; it is cloned, never changed.
    X : ndarray (n, d) float32, optional
        Rows to fit and encode; by default 600 correlated Gaussian rows of 12 columns.

    Raises
    ------
    AssertionError
        Naming the guarantee that does not hold.

    Examples
    --------
    >>> import codeword as cw
    >>> check_quantizer(cw.ProductQuantizer(3, bits=4))
    """
    X = sample_rows() if X is None else X
    for check in checks(type(quantizer)):
        try:
            check(quantizer, X)
        except Exception as e:
            raise AssertionError(f"{quantizer!r} breaks the guarantee {check.__name__}: {check.__doc__}\n{e!r}") from e


def checks(cls: type[Quantizer] | None = None) -> list[Check]:
    """All guarantees, without those that `cls` is exempt from."""
    exempt = getattr(cls, "exempt", {})
    return [f for name, f in globals().items() if name.startswith("check_") and name != "check_quantizer" and name not in exempt]


def sample_rows(n: int = 600, d: int = 12) -> Array:
    """Correlated rows (n, d) float32 with eigenvalues that fall off, the same every time."""
    random = np.random.default_rng(12)
    mixing = random.normal(size=(d, d)) * 0.9 ** np.arange(d)[:, None]
    return (random.normal(size=(n, d)) @ mixing + 0.5).astype(np.float32)


# Parameters and identity


def check_parameters_are_only_stored(q: Quantizer, X: Array) -> None:
    """The constructor stores its arguments; get_params, set_params and clone agree; repr names the class."""
    params = q.get_params(deep=False)
    assert all(getattr(q, name) is value for name, value in params.items())
    twin = q.clone()
    assert twin.config() == {**q.config(), "d": None} or q.d is not None
    assert twin.set_params(**twin.get_params(deep=False)) is twin
    assert repr(twin).startswith(type(q).__name__ + "(")
    expect(ValueError, lambda: twin.set_params(no_such_parameter=1), "no_such_parameter")


def check_config_and_state_rebuild_the_object(q: Quantizer, X: Array) -> None:
    """config() is JSON, state() is arrays, and together they give an equal object that encodes to the same bytes."""
    fitted = q.clone().fit(X)
    config = json.loads(json.dumps(fitted.config(), allow_nan=False))
    again = registry.from_config(config, {k: v.copy() for k, v in fitted.state().items()})
    assert again == fitted
    assert again.encode(X).tobytes() == fitted.encode(X).tobytes()


def check_a_saved_file_gives_the_same_codes(q: Quantizer, X: Array) -> None:
    """save, then load: an equal object with the same codes and rows; an unfitted one is refused."""
    from codeword.io import load, save

    fitted = q.clone().fit(X)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.cw"
        save(fitted, path)
        again: Any = load(path)
        assert again == fitted
        assert again.encode(X).tobytes() == fitted.encode(X).tobytes()
        assert np.array_equal(again.decode(fitted.encode(X)), fitted.decode(fitted.encode(X)))
        expect(NotFittedError, lambda: save(q.clone(), path), type(q).__name__)


# Shapes and sizes


def check_codes_are_packed_bytes(q: Quantizer, X: Array) -> None:
    """encode gives C-contiguous uint8 (n, code_size), decode float32 (n, d); rate counts every stored byte."""
    fitted = q.clone().fit(X)
    codes = fitted.encode(X)
    assert codes.dtype == np.uint8 and codes.shape == (len(X), fitted.code_size) and codes.flags.c_contiguous
    decoded = fitted.decode(codes)
    assert decoded.dtype == np.float32 and decoded.shape == X.shape and np.isfinite(decoded).all()
    assert fitted.rate == 8 * fitted.code_size / X.shape[1]
    assert fitted.model_bytes >= 0
    assert fitted.transform(X).tobytes() == codes.tobytes()
    assert np.array_equal(fitted.inverse_transform(codes), decoded)
    assert fitted.encode(X[:0]).shape == (0, fitted.code_size)
    assert fitted.decode(codes[:0]).shape == (0, X.shape[1])


def check_coding_is_better_than_the_mean(q: Quantizer, X: Array) -> None:
    """The distortion on training rows is finite and below their variance, and is what decode(encode(X)) has."""
    fitted = q.clone().fit(X)
    measured = fitted.distortion(X)
    plain = float(np.mean((X.astype(np.float64) - fitted.decode(fitted.encode(X))) ** 2))
    assert np.isclose(measured.mse, plain, rtol=1e-6)
    assert 0 <= measured.relative < 1


# Input


def check_any_array_gives_the_same_codes(q: Quantizer, X: Array) -> None:
    """Layout, byte order, dtype and container of the input do not matter, and the input is left as it was."""
    fitted = q.clone().fit(X)
    codes = fitted.encode(X).tobytes()
    frozen = X.copy()
    frozen.flags.writeable = False
    wide = np.repeat(X, 2, axis=1)
    forms: dict[str, Any] = {
        "read-only": frozen,
        "Fortran order": np.asfortranarray(X),
        "column slice": wide[:, ::2],
        "reversed twice": X[::-1][::-1],
        "big-endian": X.astype(">f4"),
        "float64": X.astype(np.float64),
        "list": X.tolist(),
        "masked without a mask": np.ma.MaskedArray(X),
    }
    for form, data in forms.items():
        assert fitted.encode(data).tobytes() == codes, form
        assert q.clone().fit(data) == fitted, form
    assert np.array_equal(frozen, X)
    halves = X.astype(np.float16)
    assert fitted.encode(halves).tobytes() == fitted.encode(halves.astype(np.float32)).tobytes()
    integers = np.clip(np.rint(X * 8), -127, 127)
    for dtype in (np.int8, np.int32, np.int64):
        assert fitted.encode(integers.astype(dtype)).tobytes() == fitted.encode(integers.astype(np.float32)).tobytes()


def check_bad_input_is_refused_by_name(q: Quantizer, X: Array) -> None:
    """NaN, infinities, wrong shapes and types end in ValueError or TypeError that names argument and row, before anything changes."""
    fitted = q.clone().fit(X)
    for bad, words in bad_rows(X):
        expect((ValueError, TypeError), lambda bad=bad: q.clone().fit(bad), "X", *words)  # type: ignore[misc]
        expect((ValueError, TypeError), lambda bad=bad: fitted.encode(bad), "X", *words)  # type: ignore[misc]
    expect(ValueError, lambda: fitted.encode(X[:, :-1]), "X", f"(n, {X.shape[1]})")
    expect(ValueError, lambda: q.clone().fit(X[:0]), "X", "at least one row")
    expect(ValueError, lambda: q.clone().fit(X, np.ones(3)), "sample_weight")
    expect(ValueError, lambda: q.clone().fit(X, -np.ones(len(X))), "sample_weight", "row 0")
    codes = fitted.encode(X)
    expect(TypeError, lambda: fitted.decode(codes.astype(np.int64)), "codes", "uint8")
    expect(ValueError, lambda: fitted.decode(codes[0]), "codes", "[None, :]")
    expect(ValueError, lambda: fitted.decode(np.hstack([codes, codes])), "codes", f"(n, {fitted.code_size})")
    expect(ValueError, lambda: fitted.scorer(X[:2], "manhattan"), "metric")


def bad_rows(X: Array) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Inputs that no method takes as rows, with words the message must hold."""
    for value in (np.nan, np.inf, -np.inf):
        spoiled = X.copy()
        spoiled[7, 3] = value
        yield spoiled, ("row 7", "column 3")
    yield X[0], ("[None, :]",)
    yield X[None], ("3-d",)
    yield X.astype(str), ()
    yield X.astype(object), ("dtype",)
    yield X.astype(np.complex64), ("dtype",)
    yield "rows.npy", ("str",)
    yield None, ("NoneType",)
    yield np.ma.MaskedArray(X, X > 1e-3), ("masked",)
    yield X.astype(np.float64) * 1e300, ("float32",)


def check_unfitted_objects_say_so(q: Quantizer, X: Array) -> None:
    """Every method that needs a fitted object raises NotFittedError before `fit`."""
    for call in (
        lambda: q.clone().encode(X),
        lambda: q.clone().decode(np.zeros((1, 1), np.uint8)),
        lambda: q.clone().scorer(X),
        lambda: q.clone().distortion(X),
        lambda: q.clone().state(),
        lambda: q.clone().rate,
        lambda: q.clone().model_bytes,
    ):
        expect(NotFittedError, call, type(q).__name__)


# Exactness


def check_same_data_gives_the_same_bytes(q: Quantizer, X: Array) -> None:
    """Codebook and codes are the same for 1, 2 and 7 threads, for every instruction set, one row or all at a time, array or blocks."""
    fitted = q.clone().fit(X)
    codes = fitted.encode(X)
    assert q.clone().fit(iter([X[:100], X[100:101], X[101:]])) == fitted, "iterable of blocks"
    assert np.concatenate([fitted.encode(X[i : i + 1]) for i in range(50)]).tobytes() == codes[:50].tobytes(), "row by row"
    for setting in settings():
        with setting as name:
            again = q.clone().fit(X)
            assert again == fitted, name
            assert fitted.encode(X).tobytes() == codes.tobytes(), name
            assert np.array_equal(again.decode(codes), fitted.decode(codes)), name


def check_a_cap_on_memory_changes_nothing(q: Quantizer, X: Array) -> None:
    """fit with max_memory learns the same from an array, from blocks and from blocks that come once; a tiny cap is refused."""
    fitted = q.clone().fit(X)
    blocks = [X[:100], X[100:101], X[101:]]
    for form, data in {"array": X, "blocks": blocks, "iterator": iter(blocks)}.items():
        assert q.clone().fit(data, max_memory="512MB") == fitted, form
    expect(ValueError, lambda: q.clone().fit(X, max_memory="1kB"), "max_memory", "expected at least", "1000 bytes")


def settings() -> Iterator[Any]:
    """Context managers that set the thread count or the instruction set and put it back."""
    for n in (1, 2, 7):
        yield _setting(f"{n} threads", runtime.set_threads, n, runtime.threads())
    for isa in runtime.available_isas():
        yield _setting(f"ISA {isa}", _native.set_isa, isa, runtime.isa())


@contextmanager
def _setting(name: str, change: Callable[[Any], None], value: Any, before: Any) -> Iterator[str]:
    change(value)
    try:
        yield name
    finally:
        change(before)


def check_weights_count_rows(q: Quantizer, X: Array) -> None:
    """Rows of weight 0 do not count: the fit does not see what they hold."""
    spoiled = X.copy()
    weight = np.ones(len(X), np.float32)
    weight[::8] = 0
    spoiled[::8] += 100
    fitted = q.clone().fit(spoiled, weight)
    kept = X[weight > 0]
    error = float(np.mean((kept.astype(np.float64) - fitted.decode(fitted.encode(kept))) ** 2))
    assert error < kept.var(), "rows of weight 0 spoil the fit"


def check_partial_fit_works_or_says_it_cannot(q: Quantizer, X: Array) -> None:
    """partial_fit learns from blocks of any size, or raises TypeError that names fit."""
    twin = q.clone()
    try:
        twin.partial_fit(X[:7])
    except TypeError as e:
        assert "fit" in str(e)
        return
    for start in range(7, len(X), 50):
        assert twin.partial_fit(X[start : start + 50]) is twin
    assert twin.distortion(X).relative < 1


# Scores


def check_scores_are_distances_to_decoded_rows(q: Quantizer, X: Array) -> None:
    """scorer(queries).scores(codes) is float32 (q, n) and close to the distance from each query to each decoded row."""
    fitted = q.clone().fit(X)
    codes = fitted.encode(X)
    queries, rows = X[:5].astype(np.float64), fitted.decode(codes).astype(np.float64)
    for metric in METRICS:
        scores = fitted.scorer(X[:5], metric).scores(codes)
        assert scores.dtype == np.float32 and scores.shape == (5, len(X)), metric
        wanted = distances(queries, rows, metric)
        assert np.abs(scores - wanted).max() <= 2e-3 * np.abs(wanted).max(), metric
        for setting in settings():
            with setting as name:
                assert np.array_equal(fitted.scorer(X[:5], metric).scores(codes), scores), (metric, name)


def distances(queries: Array, rows: Array, metric: str) -> Array:
    """Distances float64 (q, n) by the definition."""
    ip = queries @ rows.T
    if metric == "ip":
        return -ip
    if metric == "l2":
        return np.asarray(((queries[:, None] - rows[None]) ** 2).sum(-1))
    lengths = np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(rows, axis=1)
    return np.asarray(1 - np.divide(ip, lengths, out=np.zeros_like(ip), where=lengths > 0))


def expect(error: Any, call: Callable[[], object], *words: str) -> None:
    """`call` must raise `error` with a message that holds all of `words`."""
    try:
        call()
    except error as e:
        missing = [w for w in words if w not in str(e)]
        assert not missing, f"the message {str(e)!r} does not say {missing}"
        return
    raise AssertionError(f"expected {error}, nothing was raised")
