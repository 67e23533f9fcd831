"""Every transform: a map and its inverse, the same bits for any blocks, that can be stored and moves queries like rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import codeword as cw
from codeword import registry
from codeword.base import Transform

RNG = np.random.default_rng(1)
X = (RNG.standard_normal((200, 20)) @ RNG.standard_normal((20, 20)) + 3).astype(np.float32)
MAKE: dict[str, Callable[[], Any]] = {
    "Center": cw.Center,
    "Normalize": cw.Normalize,
    "Rotation": lambda: cw.Rotation(seed=5),
    "KLT": cw.KLT,
    "KLT(d_out=7)": lambda: cw.KLT(7, shrinkage=0.1, seed=2),
    "OPQ": lambda: cw.OPQ(6, bits=3),
}
all_transforms = pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)


def test_all_registered_transforms_are_covered() -> None:
    known = {type(make()) for make in MAKE.values()}
    registered = {registry.lookup(id) for id in ("center", "normalize", "rotation", "klt", "opq")}
    assert known == registered
    assert all(issubclass(t, Transform) for t in known)


@all_transforms
def test_inverse_undoes_what_keeps_all_dimensions(make: Callable[[], Transform]) -> None:
    t = make().fit(X)
    back = t.inverse_transform(t.transform(X))
    assert back.dtype == np.float32 and back.shape == X.shape
    if t.id == "normalize":
        assert np.allclose(back, X / np.linalg.norm(X, axis=1, keepdims=True), atol=1e-7)
    elif t.d_out == t.d:
        assert np.allclose(back, X, atol=1e-5)
    else:
        assert np.mean((back - X) ** 2) < X.var(0).mean() * 0.8


@all_transforms
def test_one_row_and_any_block_give_the_bytes_of_all_rows(make: Callable[[], Transform]) -> None:
    t = make().fit(X)
    Y = t.transform(X)
    assert Y.dtype == np.float32 and Y.shape == (len(X), t.d_out) and Y.flags.c_contiguous
    back = t.inverse_transform(Y)
    for start, stop in ((0, 1), (5, 6), (0, 57), (57, 200)):
        assert t.transform(X[start:stop]).tobytes() == Y[start:stop].tobytes()
        assert t.inverse_transform(Y[start:stop]).tobytes() == back[start:stop].tobytes()
    order = RNG.permutation(len(X))
    assert t.transform(X[order]).tobytes() == Y[order].tobytes()
    assert t.transform(X[:0]).shape == (0, t.d_out)


@all_transforms
def test_input_is_left_alone(make: Callable[[], Transform]) -> None:
    for dtype in (np.float32, np.float64):
        A = X.astype(dtype)
        A.flags.writeable = False
        t = make().fit(A)
        Y = t.transform(A)
        Y.flags.writeable = False
        t.inverse_transform(Y)
        assert (A == X).all()


@all_transforms
def test_configuration_and_state_rebuild_it(make: Callable[[], Transform]) -> None:
    t = make().fit(X)
    rebuilt = registry.from_config(json.loads(json.dumps(t.config())), t.state())
    assert rebuilt == t and rebuilt.d_out == t.d_out and rebuilt.d == t.d
    Y = t.transform(X)
    assert rebuilt.transform(X).tobytes() == Y.tobytes()
    assert rebuilt.inverse_transform(Y).tobytes() == t.inverse_transform(Y).tobytes()
    unfitted = registry.from_config(make().config(), {})
    assert unfitted.d is None and repr(unfitted) == repr(make())


@all_transforms
def test_a_clone_of_a_fitted_one_is_as_it_was_made(make: Callable[[], Transform]) -> None:
    t = make().fit(X)
    twin = t.clone()
    assert twin.d is None and twin.get_params() == make().get_params()
    narrow = X[:, :12]
    assert twin.fit(narrow).d == 12
    assert t.fit(narrow) == twin  # a second fit forgets the first
    with pytest.raises(cw.NotFittedError):
        make().transform(X)


@all_transforms
def test_inverse_is_affine_and_project_is_its_linear_part(make: Callable[[], Transform]) -> None:
    t = make().fit(X)
    Y = t.transform(X)
    offset = np.zeros(t.d) if t.offset is None else t.offset
    queries = RNG.standard_normal((5, 20))
    decoded = t.inverse_transform(Y).astype(np.float64)
    moved = t.project(queries)
    assert moved.shape == (5, t.d_out)
    assert np.allclose(queries @ decoded.T, moved @ Y.T.astype(np.float64) + (queries @ offset)[:, None], atol=1e-4)
    assert np.allclose(t.lift(Y.astype(np.float64)) + offset, decoded, atol=1e-5)


@all_transforms
def test_rows_of_weight_zero_do_not_count(make: Callable[[], Transform]) -> None:
    if make().id in ("klt", "opq"):
        make = lambda: cw.KLT(shrinkage=0.05)  # noqa: E731 - folds and held-out rows go by row number
    weight = np.ones(len(X))
    weight[::3] = 0
    spoiled = X.copy()
    spoiled[::3] *= 1000
    with_weights, without = make().fit(spoiled, weight), make().fit(X[weight > 0])
    assert with_weights.transform(X).tobytes() == without.transform(X).tobytes()


@all_transforms
def test_order_of_training_rows_does_not_matter(make: Callable[[], Transform]) -> None:
    if make().id in ("klt", "opq"):
        make = lambda: cw.KLT(shrinkage=0.05)  # noqa: E731 - folds and held-out rows go by row number
    assert make().fit(X) == make().fit(X[RNG.permutation(len(X))]) == make().fit([X[:50], X[50:]])


@pytest.mark.parametrize("make", [cw.Center, cw.KLT, lambda: cw.OPQ(2, bits=2)])
def test_an_offset_of_1e9_in_float64_costs_nothing(make: Callable[[], Transform]) -> None:
    small = RNG.standard_normal((500, 6))
    far = small + 1e9
    t = make().fit(far)
    small = far - 1e9  # what rounding to float64 left
    Y = t.transform(far)
    lengths = np.linalg.norm(small - small.mean(0), axis=1)
    assert np.allclose(np.linalg.norm(Y.astype(np.float64), axis=1), lengths, rtol=1e-5)
    assert np.allclose(t.offset, far.mean(0), rtol=1e-14)
    if isinstance(t, cw.Center):
        assert np.allclose(Y, small - small.mean(0), atol=2e-7)


def test_center_rounds_once() -> None:
    t = cw.Center().fit(X)
    Y = t.transform(X)
    assert Y.tobytes() == (X.astype(np.float64) - t.mean).astype(np.float32).tobytes()
    assert t.inverse_transform(Y).tobytes() == (Y.astype(np.float64) + t.mean).astype(np.float32).tobytes()
    assert np.allclose(t.mean, X.astype(np.float64).mean(0), atol=1e-7)


def test_normalize_gives_unit_rows_of_any_scale() -> None:
    for scale in (1e-30, 1e-44, 1.0, 1e30):
        Y = cw.Normalize().fit_transform(X[:20] * np.float32(scale))
        assert np.allclose(np.linalg.norm(Y.astype(np.float64), axis=1), 1, atol=1e-6)


def test_normalize_names_the_first_row_without_a_direction() -> None:
    spoiled = X.copy()
    spoiled[[150, 7]] = 0
    for call in (cw.Normalize().fit, cw.Normalize().fit(X).transform):
        with pytest.raises(ValueError, match="row 7"):
            call(spoiled)
    with pytest.raises(ValueError, match="row 150"):
        cw.Normalize().fit(X).transform(np.concatenate([X[:150], spoiled[150:]]).astype(np.float64))


@pytest.mark.parametrize("make", [cw.Center, cw.Normalize, cw.Rotation, cw.KLT, lambda: cw.OPQ(4)])
def test_numbers_beyond_float32_are_named(make: Callable[[], Transform]) -> None:
    huge = X.astype(np.float64)
    huge[3, 2] = 1e200
    for call in (make().fit, make().fit(X).transform):
        with pytest.raises(ValueError, match=r"^X: .*float32") as caught:
            call(huge)
        assert "row 3" in str(caught.value) and "column 2" in str(caught.value)


def test_rotation_refuses_an_offset_that_float32_cannot_carry() -> None:
    with pytest.raises(ValueError, match="Center"):
        cw.Rotation().fit(X.astype(np.float64) + 1e9)
