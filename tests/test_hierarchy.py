"""Hierarchical assignment: the loss is measured and small, no cell is empty, nothing depends on threads; effort; warm starts."""

import numpy as np
import pytest

import codeword as cw
from codeword import _native
from codeword.training import hierarchy, kmeans, nearest
from codeword.training.lloyd import exactly

rng = np.random.default_rng(11)
CENTRES = rng.normal(size=(300, 12)) * 2
ROWS = (CENTRES[rng.integers(0, 300, 12_000)] + rng.normal(size=(12_000, 12))).astype(np.float32)
K = 1500


def distinct(A: np.ndarray) -> int:
    return len(np.unique(A, axis=0))


def test_the_stated_loss_is_that_of_the_sample_and_at_most_the_limit() -> None:
    codebook = ROWS[:K]
    for limit in (0.01, 0.001):
        find = hierarchy.Grouped(ROWS, None, 5, limit)
        labels, squares = find(codebook)
        _, exact = exactly(ROWS)(codebook, None)
        sample = find._sample
        assert find.loss == pytest.approx(squares[sample].sum() / exact[sample].sum() - 1, abs=1e-12)
        assert find.loss <= limit
        assert squares.sum() / exact.sum() - 1 < 2 * limit  # of all rows
        np.testing.assert_allclose(squares, ((ROWS - codebook[labels]).astype(float) ** 2).sum(1), rtol=1e-6)


def test_rows_lose_nothing_from_look_to_look() -> None:
    find = hierarchy.Grouped(ROWS, None, 0, 0.0)
    before = np.full(len(ROWS), np.inf)
    for _ in range(4):
        find.labels, squares = find._look(ROWS[:K], 0.3)
        assert (squares <= before).all()
        before = squares
    assert find.looks == 4


def test_rows_that_no_look_finds_exactly_are_assigned_exactly_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hierarchy, "_MOST_LOOKS", 1)
    labels, squares = (find := hierarchy.Grouped(ROWS, None, 0, 0.0))(ROWS[:K])
    exact_labels, exact_squares = exactly(ROWS)(ROWS[:K], None)
    assert np.array_equal(labels, exact_labels) and np.array_equal(squares, exact_squares) and find.loss == 0


@pytest.mark.parametrize("seeding", kmeans.SEEDINGS)
def test_hierarchical_training_comes_close_to_exact_training_and_leaves_no_cell_empty(seeding: str) -> None:
    grouped, exact = (cw.VectorQuantizer(K, assignment=a, seeding=seeding).fit(ROWS) for a in ("hierarchical", "exact"))
    training = grouped.training_
    assert training.looks > 0 and exact.training_.looks == 0
    assert training.assignment_loss <= 0.01
    assert grouped.distortion(ROWS).mse < 1.03 * exact.distortion(ROWS).mse
    assert distinct(grouped.encode(ROWS)) == K and (grouped.counts > 0).all()
    assert grouped.counts.sum() == len(ROWS) - training.trimmed
    assert training.history[-1] == pytest.approx(grouped.distortion(ROWS).mse, rel=0.01)


@pytest.mark.parametrize("k", [700, 800, 1000])
def test_there_are_as_many_different_codewords_as_different_rows_where_rows_are_repeated(k: int) -> None:
    some = ROWS[:800]
    X = np.concatenate([some, some[rng.integers(0, 800, 5000)]])
    vq = cw.VectorQuantizer(k, assignment="hierarchical").fit(X)
    assert distinct(vq.encode(X)) == min(k, 800)
    assert (vq.counts == 0).sum() == max(0, k - 800)
    assert k < 800 or vq.distortion(X).mse == 0


@pytest.fixture(scope="module")
def plainest_codebook() -> np.ndarray:
    before = cw.isa()
    _native.set_isa(_native.available_isas()[0])
    codebook = cw.VectorQuantizer(600, assignment="hierarchical", max_iter=3).fit(ROWS).codebook
    _native.set_isa(before)
    return codebook


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_and_instruction_sets_do_not_change_a_hierarchical_codebook(
    plainest_codebook: np.ndarray, isa: str, threads: int, keep_threads: None
) -> None:
    cw.set_threads(threads)
    assert np.array_equal(cw.VectorQuantizer(600, assignment="hierarchical", max_iter=3).fit(ROWS).codebook, plainest_codebook)


def test_row_blocks_do_not_change_a_hierarchical_codebook(plainest_codebook: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "_OPERATIONS_A_CALL", 1 << 20)
    assert np.array_equal(cw.VectorQuantizer(600, assignment="hierarchical", max_iter=3).fit(ROWS).codebook, plainest_codebook)


def test_rows_of_no_weight_do_not_count_in_hierarchical_training() -> None:
    weight = rng.integers(0, 3, len(ROWS)).astype(np.float32)
    some, all_rows = (
        cw.VectorQuantizer(600, assignment="hierarchical", max_iter=4, trim=False).fit(*rows)
        for rows in ((ROWS[weight > 0], weight[weight > 0]), (ROWS, weight))
    )
    assert all_rows.counts.sum() == weight.sum() and (all_rows.counts > 0).all()
    assert all_rows.distortion(ROWS[weight > 0]).mse == pytest.approx(some.distortion(ROWS[weight > 0]).mse, rel=0.05)


def test_assignments_are_exact_below_2_to_the_15_codewords_unless_asked_for() -> None:
    settings = [kmeans.Settings(k, assignment=a).hierarchical for k in (1 << 15, (1 << 15) - 1) for a in kmeans.ASSIGNMENTS]
    assert settings == [True, False, True, False, False, True]


def test_more_effort_lowers_the_distortion_and_less_says_what_it_left_out() -> None:
    fits = [cw.VectorQuantizer(32, effort=word).fit(ROWS) for word in ("fast", "default", "best")]
    fast, default, best = (vq.distortion(ROWS).mse for vq in fits)
    assert best <= default <= fast < 1.1 * best
    assert [vq.training_.levels[-1][0] for vq in fits] == [128 * 32, len(ROWS), len(ROWS)]
    assert all(vq.training_.rows == len(ROWS) for vq in fits)
    assert fits[0].training_.unseen is not None and fits[0].training_.unseen.rows == 128 * 32


def test_default_effort_is_what_the_numbers_say() -> None:
    words, numbers = cw.VectorQuantizer(40), cw.VectorQuantizer(40, max_iter=16, tol=1e-4)
    assert np.array_equal(words.fit(ROWS).codebook, numbers.fit(ROWS).codebook)


def test_unseen_rows_are_measured_between_levels() -> None:
    training = cw.VectorQuantizer(64).fit(ROWS).training_
    assert [rows for rows, _ in training.levels] == [3000, 12_000]
    part = kmeans.train(ROWS[: 12_000 // 4], kmeans.Settings(64)).codebook
    vq = cw.VectorQuantizer.from_codebook(part)
    expected = vq.distortion(ROWS[3000:]).mse / vq.distortion(ROWS[:3000]).mse - 1
    assert training.unseen is not None and training.unseen.rows == 3000
    assert training.unseen.excess == pytest.approx(expected, rel=0.35)
    assert cw.VectorQuantizer(200).fit(ROWS).training_.unseen is None


def test_fit_goes_on_from_a_given_codebook() -> None:
    first = cw.VectorQuantizer(64, max_iter=3).fit(ROWS)
    goes_on = cw.VectorQuantizer(64, max_iter=5).fit(ROWS, start=first)
    assert goes_on.training_.levels == [(len(ROWS), 5)]
    assert goes_on.training_.history[0] == pytest.approx(first.distortion(ROWS).mse, rel=1e-6)
    assert goes_on.distortion(ROWS).mse < first.distortion(ROWS).mse
    again = cw.VectorQuantizer(64, max_iter=5).fit(ROWS, start=first.codebook.tolist())
    assert np.array_equal(again.codebook, goes_on.codebook)
    assert not np.array_equal(cw.VectorQuantizer(64, max_iter=5).fit(ROWS).codebook, goes_on.codebook)


def test_a_codebook_of_another_shape_cannot_be_gone_on_from() -> None:
    with pytest.raises(ValueError, match=r"start: expected k = 64 codewords, got 63"):
        cw.VectorQuantizer(64).fit(ROWS, start=ROWS[:63])
    with pytest.raises(ValueError, match=r"start: expected codewords of d = 12 .*got 5"):
        cw.VectorQuantizer(64).fit(ROWS, start=ROWS[:64, :5])
    with pytest.raises(ValueError, match="effort"):
        cw.VectorQuantizer(64, effort="hard").fit(ROWS)
    with pytest.raises(ValueError, match="assignment"):
        cw.VectorQuantizer(64, assignment="close").fit(ROWS)


def test_product_codebooks_know_the_same_words_and_go_on_from_given_codebooks() -> None:
    fast, default = (cw.ProductQuantizer(3, bits=5, effort=word).fit(ROWS) for word in ("fast", "default"))
    assert default.distortion(ROWS).mse < fast.distortion(ROWS).mse
    assert np.array_equal(default.codebooks, cw.ProductQuantizer(3, bits=5, max_iter=12, tol=1e-4).fit(ROWS).codebooks)
    goes_on = cw.ProductQuantizer(3, bits=5, max_iter=4).fit(ROWS, start=fast)
    assert goes_on.distortion(ROWS).mse < fast.distortion(ROWS).mse
    with pytest.raises(ValueError, match=r"start: expected codebooks of shapes \[\(32, 4\)"):
        cw.ProductQuantizer(3, bits=5).fit(ROWS, start=fast.codebooks[:2])
