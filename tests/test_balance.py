"""Cells of limited size: the limit holds, the cost is what is stated, encode stays exact."""

import numpy as np
import pytest

import codeword as cw

rng = np.random.default_rng(5)
# Clusters of very different sizes, some rows many times.
SIZES = rng.integers(5, 400, 60)
ROWS = rng.permutation(np.repeat(rng.normal(size=(60, 7)) * 4, SIZES, axis=0) + rng.normal(size=(int(SIZES.sum()), 7)))
ROWS = np.concatenate([ROWS, np.repeat(ROWS[:3], 150, axis=0)]).astype(np.float32)


@pytest.mark.parametrize("k", [1, 7, 60, 500])
@pytest.mark.parametrize("balance", [1.0, 1.2, 3.0])
@pytest.mark.parametrize("assignment", ["exact", "hierarchical"])
def test_no_cell_has_more_rows_than_the_limit(k: int, balance: float, assignment: str) -> None:
    vq = cw.VectorQuantizer(k, balance=balance, max_iter=6, assignment=assignment).fit(ROWS)
    made = vq.training_.balance
    counts = np.bincount(made.labels[made.labels >= 0], minlength=k)
    kept = len(ROWS) - vq.training_.trimmed
    assert np.array_equal(counts, vq.counts) and counts.sum() == kept == (made.labels >= 0).sum()
    assert counts.max() == made.largest <= made.limit == max(int(balance * kept / k), -(-kept // k))


def test_the_cost_is_that_of_the_limited_cells_against_the_unlimited_codebook() -> None:
    plain, limited = cw.VectorQuantizer(150).fit(ROWS), cw.VectorQuantizer(150, balance=1.2).fit(ROWS)
    made = limited.training_.balance
    error = ROWS.astype(float) - limited.codebook[made.labels]
    assert (error**2).mean() / plain.distortion(ROWS).mse - 1 == pytest.approx(made.cost, rel=1e-3)
    assert 0 < made.cost < 0.15
    assert limited.training_.history[-1] == pytest.approx((error**2).mean(), rel=1e-6)
    report = limited.report()
    assert report.cell_limit == made.limit and report.limit_cost == made.cost and "largest cell" in str(report)


def test_encode_stays_exact_and_its_cells_become_more_even() -> None:
    plain, limited = (cw.VectorQuantizer(150, balance=b).fit(ROWS) for b in (None, 1.2))
    exact = cw.VectorQuantizer.from_codebook(limited.codebook)
    assert np.array_equal(limited.encode(ROWS), exact.encode(ROWS))
    cells = [np.bincount(vq.indices(vq.encode(ROWS))[:, 0], minlength=150) for vq in (plain, limited)]
    assert cells[1].std() < 0.8 * cells[0].std()
    assert cells[1].max() == limited.training_.balance.largest_nearest


def test_rows_of_a_limited_cell_that_stay_are_those_that_would_lose_most() -> None:
    X = np.array([[0.0], [0.1], [0.3], [0.5], [2.0], [2.1]], np.float32)
    made = cw.VectorQuantizer(2, balance=1.0, max_iter=0, tol=1.0, trim=False).fit(X, start=[[0.2], [2.0]]).training_.balance
    assert made.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_limits_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="balance"):
        cw.VectorQuantizer(4, balance=0.9).fit(ROWS)
    with pytest.raises(ValueError, match="sample_weight"):
        cw.VectorQuantizer(4, balance=1.5).fit(ROWS, np.ones(len(ROWS)))


def test_a_cap_of_memory_does_not_lift_the_limit() -> None:
    made = cw.VectorQuantizer(20, balance=1.0).fit(ROWS, max_memory="64MB").training_.balance
    assert made is not None and made.largest <= made.limit
