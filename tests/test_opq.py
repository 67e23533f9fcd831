"""OPQ finds a rotation for product codes and never ends worse than it started, on rows it has not seen."""

from __future__ import annotations

import numpy as np
import pytest

import codeword as cw
from codeword import set_threads
from codeword.training import pieces
from codeword.transforms.linear import cross_products
from codeword.transforms.opq import allocated, procrustes
from data import load

RNG = np.random.default_rng(6)
SCALES = np.geomspace(8, 0.5, 12)
MIX = np.linalg.qr(RNG.standard_normal((12, 12)))[0]
X = (RNG.standard_normal((4000, 12)) * SCALES @ MIX + 3).astype(np.float32)
NEW = (RNG.standard_normal((1000, 12)) * SCALES @ MIX + 3).astype(np.float32)


def relative(transforms: list, m: int, bits: int, train: np.ndarray = X, held: np.ndarray = NEW) -> float:
    return cw.Pipeline(transforms, cw.ProductQuantizer(m, bits)).fit(train).distortion(held).relative


@pytest.mark.parametrize("m", [3, 5])
@pytest.mark.parametrize("effort", ["fast", "default", "best"])
def test_product_codes_behind_it_lose_less(m: int, effort: str) -> None:
    assert relative([cw.OPQ(m, bits=5, effort=effort)], m, 5) < 0.8 * relative([cw.Center()], m, 5)


@pytest.mark.parametrize("effort", ["fast", "default", "best"])
def test_what_is_kept_lost_least_on_held_out_rows(effort: str) -> None:
    opq = cw.OPQ(4, bits=4, effort=effort).fit(X)
    losses = opq.history_
    assert {"principal axes", "columns"} <= set(losses)
    assert len(losses) == {"fast": 2, "default": 3, "best": 4}[effort]
    best = min(losses, key=lambda name: losses[name])
    if best == "columns":
        assert np.array_equal(opq.rotation, np.eye(12, dtype=np.float32))
    assert min(losses.values()) <= losses["principal axes"]


def test_columns_that_belong_together_stay_together() -> None:
    """Two independent pairs on circles: the principal axes say nothing, the columns everything."""
    angles = RNG.uniform(0, 2 * np.pi, (4000, 2))
    rows = np.stack([np.cos(angles[:, 0]), np.sin(angles[:, 0]), np.cos(angles[:, 1]), np.sin(angles[:, 1])], axis=1)
    opq = cw.OPQ(2, bits=4).fit(rows)
    own = relative([cw.Center()], 2, 4, rows[:3000], rows[3000:])
    assert relative([opq.clone()], 2, 4, rows[:3000], rows[3000:]) < 1.1 * own


def test_the_rotation_is_orthonormal_with_fixed_signs() -> None:
    R = cw.OPQ(5, bits=4).fit(X).rotation.astype(np.float64)
    assert abs(R @ R.T - np.eye(12)).max() < 1e-6
    assert (R[np.arange(12), abs(R).argmax(axis=1)] > 0).all()


def test_pieces_get_equal_products_of_eigenvalues_and_uneven_widths() -> None:
    values = np.array([64.0, 32, 16, 8, 4, 2, 1])
    cut = pieces.cut(7, 3)
    order = allocated(values, cut)
    assert sorted(order) == list(range(7)) and [b - a for a, b in cut] == [3, 2, 2]
    products = [values[order[a:b]].prod() for a, b in cut]
    assert max(products) / min(products) <= 64
    assert sorted(allocated(np.zeros(7), cut)) == list(range(7))


def test_procrustes_finds_the_rotation_between_two_sets_of_rows() -> None:
    Y = RNG.standard_normal((50, 12))
    R = procrustes(cross_products(Y @ MIX, Y), np.eye(12, dtype=np.float32))
    assert np.allclose(R, MIX, atol=1e-5)
    kept = procrustes(np.zeros((12, 12)), MIX.astype(np.float32))
    assert np.allclose(kept, MIX, atol=1e-6)


def test_cross_products_do_not_depend_on_the_order_of_rows() -> None:
    A, B = RNG.standard_normal((20_000, 3)) * [1, 1e6, 1e-9], RNG.standard_normal((20_000, 2))
    order = RNG.permutation(len(A))
    once = cross_products(A, B)
    assert once.tobytes() == cross_products(A[order], B[order]).tobytes()
    assert np.allclose(once / len(A), A.T @ B / len(A), atol=1e-5 * A.std(0)[:, None])


def test_the_fit_ignores_threads(keep_threads: None) -> None:
    fits = []
    for threads in (1, 3):
        set_threads(threads)
        fits.append(cw.OPQ(4, bits=4).fit(X))
    assert fits[0] == fits[1]


def test_weights_count() -> None:
    """Rows of weight 0 change nothing; heavy rows pull the rotation towards themselves."""
    spoiled, weight = np.concatenate([X, X[:500] * 50]), np.ones(len(X) + 500)
    weight[len(X) :] = 0
    opq = cw.OPQ(4, bits=4, effort="best").fit(spoiled, weight)
    assert abs(opq.mean - X.mean(0)).max() < 1e-5
    assert relative([opq], 4, 4) <= 1.05 * relative([cw.OPQ(4, bits=4, effort="best")], 4, 4)
    few = RNG.permutation(len(X))[:2000]
    weight = np.ones(len(X))
    weight[few] = 3
    assert cw.OPQ(4, bits=4, effort="best").fit(X, weight).history_.keys() == opq.history_.keys()


@pytest.mark.parametrize("n", [1, 2, 4, 9, 40])
def test_few_rows_are_enough(n: int) -> None:
    opq = cw.OPQ(3, bits=4).fit(X[:n])
    R = opq.rotation.astype(np.float64)
    assert abs(R @ R.T - np.eye(12)).max() < 1e-6
    assert np.isfinite(opq.transform(X)).all()


@pytest.mark.parametrize(("data", "m"), [("sift-kodak", 16), ("minilm-wordnet", 48)])
def test_real_rows_lose_no_more_than_with_either_start(data: str, m: int) -> None:
    rows = load(data)[::5].astype(np.float32)
    train, held = rows[: len(rows) * 3 // 4], rows[len(rows) * 3 // 4 :]
    losses = {type(t).__name__: relative([t], m, 6, train, held) for t in (cw.Center(), cw.OPQ(m, bits=6, effort="fast"))}
    assert losses["OPQ"] <= 1.02 * losses["Center"]
    if data == "minilm-wordnet":
        assert losses["OPQ"] < 0.75 * losses["Center"]
