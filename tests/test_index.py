"""Index: ids, changes in any order, files, and distances estimated from two bytes beside each code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import codeword as cw
from codeword import _native
from codeword.exact import exact_search
from codeword.io import write
from codeword.search.estimator import Estimator, worthwhile
from codeword.testing import distances
from codeword.training.side_levels import linear_levels, log_levels
from data import load

METRICS = ["l2", "ip", "cosine"]


def rows(n: int, seed: int = 0, d: int = 16) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (random.standard_normal((n, d)) * 0.85 ** np.arange(d) + 0.5).astype(np.float32)


X = rows(3000)
PQ = cw.ProductQuantizer(4, bits=5).fit(X)


def by_brute_force(index: cw.Index, data: dict[int, np.ndarray], queries: np.ndarray, k: int) -> np.ndarray:
    """Ids of the k nearest codes, by the quantizer's own scores."""
    ids = np.array(sorted(data))
    scores = index.quantizer.scorer(queries, index.metric).scores(index.quantizer.encode(np.array([data[i] for i in ids])))
    return ids[np.argsort(scores, axis=1, kind="stable")[:, :k]]


# Searching


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("factors", [True, False])
def test_search_finds_what_brute_force_finds(metric: str, factors: bool) -> None:
    index = cw.Index(PQ, metric, factors=factors).fit(X).add(X)
    found = index.search(X[:20], k=7)
    codes = PQ.encode(X)
    if index.estimator is None:
        scores = PQ.scorer(X[:20], metric).scores(codes)
    else:
        scores = index.estimator.scorer(X[:20].astype(float)).scores(codes, index.estimator.side(X, codes))
    order = np.argsort(scores, axis=1, kind="stable")[:, :7]
    assert np.array_equal(found.ids, order)
    assert np.array_equal(found.distances, np.take_along_axis(scores, order, 1))


def test_result_says_what_its_numbers_are() -> None:
    for metric in METRICS:
        found = cw.Index(PQ, metric, factors=False).add(X).search(X[:3], 5)
        ids, gaps = found
        assert ids is found.ids and gaps is found.distances and found.metric == metric
        assert ids.dtype == np.int64 and gaps.dtype == np.float32 and (np.diff(gaps, axis=1) >= 0).all()
        decoded = PQ.decode(PQ.encode(X))[ids[0, 0]].astype(float)
        exact = distances(X[:1].astype(float), decoded[None], metric)[0, 0]
        assert gaps[0, 0] == pytest.approx(exact, abs=2e-3)
        similarity = {"l2": -exact, "ip": -exact, "cosine": 1 - exact}[metric]
        assert found.scores[0, 0] == pytest.approx(similarity, abs=2e-3)
        assert found.scores.dtype == np.float32


def test_fewer_vectors_than_k_give_all_of_them() -> None:
    index = cw.Index(PQ, factors=False)
    assert [a.shape for a in index.search(X[:4], 3)] == [(4, 0), (4, 0)]
    index.add(X[:2])
    assert [a.shape for a in index.search(X[:4], 3)] == [(4, 2), (4, 2)]
    assert [a.shape for a in index.search(X[:0], 3)] == [(0, 2), (0, 2)]
    index.remove([0, 1])
    assert index.search(X[:4], 3).ids.shape == (4, 0)


def test_equal_distances_go_to_the_lower_id() -> None:
    index = cw.Index(PQ, factors=False).add(np.repeat(X[:1], 6, axis=0), ids=[5, 3, 9, 1, 7, 2])
    assert index.search(X[:1], 4).ids.tolist() == [[1, 2, 3, 5]]


@pytest.mark.parametrize("factors", [True, False])
def test_results_ignore_isa_threads_and_the_size_of_batches(isa: str, factors: bool, keep_threads: None) -> None:
    expected = None
    for threads in (1, 2, 7):
        _native.set_threads(threads)
        index = cw.Index(PQ, "cosine", factors=factors).fit(X)
        for start in range(0, 3000, 700):
            index.add(X[start : start + 700])
        whole = index.search(X[:40], 9)
        single = [index.search(X[i : i + 1], 9) for i in range(40)]
        assert np.array_equal(np.concatenate([s.ids for s in single]), whole.ids)
        assert np.array_equal(np.concatenate([s.distances for s in single]), whole.distances)
        expected = expected or (whole.ids.tobytes(), whole.distances.tobytes())
        assert (whole.ids.tobytes(), whole.distances.tobytes()) == expected


def test_more_rows_than_a_block() -> None:
    many = rows(9000, seed=3)
    index = cw.Index(PQ, factors=False).add(many)
    ids = index.search(many[:300], 1).ids
    scores = PQ.scorer(many[:300]).scores(PQ.encode(many))
    assert np.array_equal(ids[:, 0], scores.argmin(1))


def test_bad_queries_are_refused_by_name() -> None:
    index = cw.Index(PQ, factors=False).add(X[:10])
    spoiled = X[:3].copy()
    spoiled[1, 2] = np.nan
    for bad, words in ((spoiled, "queries.*row 1"), (X[:2, :5], r"queries.*\(n, 16\)"), (X[0], r"queries\[None")):
        with pytest.raises(ValueError, match=words):
            index.search(bad)
    for k in (0, -1):
        with pytest.raises(ValueError, match="k: "):
            index.search(X[:1], k)
    with pytest.raises(TypeError, match="k: "):
        index.search(X[:1], 2.5)


# Ids


def test_default_ids_go_on_from_the_largest_ever() -> None:
    index = cw.Index(PQ, factors=False).add(X[:3]).add(X[3:5], ids=[10, 7]).add(X[5:6])
    assert sorted(index.ids.tolist()) == [0, 1, 2, 7, 10, 11]
    index.remove([11, 10]).add(X[:1])
    assert 12 in index and 10 not in index and 11 not in index


@pytest.mark.parametrize(
    ("ids", "error", "words"),
    [
        ([1, 1], ValueError, "1 twice"),
        ([-1, 5], ValueError, "-1 in row 0"),
        ([3, 50], ValueError, "3 is in the index"),
        ([50], ValueError, r"\(2,\)"),
        ([[50, 51]], ValueError, "shape"),
        (np.array([50, 2**63], np.uint64), ValueError, "2\\*\\*63"),
        ([50.0, 51.0], TypeError, "integers"),
        (["a", "b"], TypeError, "integers"),
        ([True, False], TypeError, "integers"),
    ],
)
def test_bad_ids_are_refused_and_change_nothing(ids: Any, error: type[Exception], words: str) -> None:
    index = cw.Index(PQ, factors=False).add(X[:5])
    with pytest.raises(error, match=words):
        index.add(X[:2], ids=ids)
    assert sorted(index.ids.tolist()) == [0, 1, 2, 3, 4]


def test_bad_rows_change_nothing() -> None:
    index = cw.Index(PQ, factors=True).fit(X).add(X[:5])
    spoiled = X[:8].copy()
    spoiled[6, 0] = np.inf
    for call in (lambda: index.add(spoiled), lambda: index.upsert(spoiled, range(8))):
        with pytest.raises(ValueError, match="row 6"):
            call()
    assert len(index) == 5 and np.array_equal(index.search(X[3:4], 1).ids, [[3]])


def test_removing_what_is_not_there_changes_nothing() -> None:
    index = cw.Index(PQ, factors=False).add(X[:5])
    for ids, words in (([2, 99], "99 is not in the index"), ([1, 1], "1 twice"), (-1, "-1")):
        with pytest.raises(ValueError, match=words):
            index.remove(ids)
    assert len(index) == 5
    with pytest.raises(ValueError, match="not in the index"):
        cw.Index(PQ).remove(0)


def test_membership_takes_one_id_or_several() -> None:
    index = cw.Index(PQ, factors=False).add(X[:3], ids=[4, 2**62, 0])
    assert 4 in index and np.int64(2**62) in index and [0, 4] in index
    assert 1 not in index and [0, 1] not in index and -1 not in index and "4" not in index
    assert 0 not in cw.Index(PQ)


class Model(RuleBasedStateMachine):
    """Any order of add, upsert and remove, against a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.index = cw.Index(PQ, factors=False)
        self.data: dict[int, np.ndarray] = {}
        self.next = 0
        self.seed = 0

    def fresh(self, n: int) -> np.ndarray:
        self.seed += 1
        return rows(n, self.seed)

    @rule(n=st.integers(0, 5))
    def add(self, n: int) -> None:
        new = self.fresh(n)
        self.index.add(new)
        self.data.update({self.next + i: row for i, row in enumerate(new)})
        self.next += n

    @rule(ids=st.lists(st.integers(0, 40), unique=True, max_size=6))
    def add_with_ids(self, ids: list[int]) -> None:
        new = self.fresh(len(ids))
        if any(i in self.data for i in ids):
            with pytest.raises(ValueError, match="is in the index"):
                self.index.add(new, ids=ids)
            return
        self.index.add(new, ids=ids)
        self.update(ids, new)

    @rule(ids=st.lists(st.integers(0, 40), unique=True, max_size=6))
    def upsert(self, ids: list[int]) -> None:
        new = self.fresh(len(ids))
        self.index.upsert(new, ids)
        self.update(ids, new)

    def update(self, ids: list[int], new: np.ndarray) -> None:
        self.data.update(dict(zip(ids, new, strict=True)))
        self.next = max([self.next, *(i + 1 for i in ids)])

    @precondition(lambda self: self.data)
    @rule(choice=st.data())
    def remove(self, choice: st.DataObject) -> None:
        ids = choice.draw(st.lists(st.sampled_from(sorted(self.data)), unique=True, max_size=8))
        self.index.remove(ids)
        for i in ids:
            del self.data[i]

    @invariant()
    def same(self) -> None:
        assert len(self.index) == len(self.data)
        assert sorted(self.index.ids.tolist()) == sorted(self.data)
        assert all(i in self.index for i in self.data)
        if self.data:
            queries = X[:2]
            assert np.array_equal(self.index.search(queries, 3).ids, by_brute_force(self.index, self.data, queries, 3))


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def test_removing_and_replacing_many_keeps_the_rest() -> None:
    random = np.random.default_rng(5)
    ids = random.choice(2**62, 3000, replace=False)
    index = cw.Index(PQ, factors=False).add(X, ids=ids)
    gone = random.permutation(3000)[:1700]
    for part in np.array_split(gone, 13):
        index.remove(ids[part])
    left = np.setdiff1d(np.arange(3000), gone)
    assert set(index.ids.tolist()) == set(ids[left].tolist())
    index.upsert(X[gone[:50]], ids[left[:50]])
    scores = PQ.scorer(X[:5]).scores(PQ.encode(np.concatenate([X[gone[:50]], X[left[50:]]])))
    expected = np.stack([ids[left][np.lexsort((ids[left], row))[:9]] for row in scores])
    assert np.array_equal(index.search(X[:5], 9).ids, expected)


# Fitting and sizes


def test_an_unfitted_quantizer_says_so() -> None:
    index = cw.Index(cw.ProductQuantizer(2))
    for call in (lambda: index.add(X), lambda: index.search(X), lambda: index.upsert(X, [1]), lambda: index.save("x")):
        with pytest.raises(cw.NotFittedError, match="ProductQuantizer"):
            call()


def test_fit_fits_the_quantizer_and_refuses_to_once_there_are_vectors() -> None:
    index = cw.Index(cw.ProductQuantizer(2, bits=4)).fit(iter([X[:500], X[500:]]))
    assert index.quantizer == cw.ProductQuantizer(2, bits=4).fit(X)
    assert len(index) == 0
    with pytest.raises(ValueError, match="empty index"):
        index.add(X[:3]).fit(X)


def test_bad_arguments_are_refused_by_name() -> None:
    with pytest.raises(TypeError, match="quantizer"):
        cw.Index("PQ4")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="metric"):
        cw.Index(PQ, "manhattan")
    for factors in ("yes", 1, None):
        with pytest.raises(ValueError, match="factors"):
            cw.Index(PQ, factors=factors)  # type: ignore[arg-type]


def test_every_byte_is_counted() -> None:
    plain, estimated = (cw.Index(PQ, factors=f).fit(X).add(X, ids=np.arange(3000)[::-1]) for f in (False, True))
    assert (plain.code_size, estimated.code_size) == (PQ.code_size, PQ.code_size + 2)
    assert plain.model_bytes == PQ.model_bytes < estimated.model_bytes
    stats = estimated.stats()
    assert stats["nbytes"] == 3000 * (PQ.code_size + 2 + 8) + 16  # and where its only list begins and ends
    assert (stats["n"], stats["d"], stats["side_bytes"], stats["factors"], stats["rate"]) == (3000, 16, 2, True, 8 * 5 / 16)
    in_order = cw.Index(PQ, factors=False).add(X)
    assert in_order.stats()["nbytes"] == 3000 * PQ.code_size + 16


# Files


@pytest.mark.parametrize("factors", [True, False])
@pytest.mark.parametrize("ids", [None, np.arange(3000)[::-1] * 7])
def test_an_opened_index_goes_on_where_the_saved_one_stopped(tmp_path: Path, factors: bool, ids: Any) -> None:
    path = tmp_path / "vectors.cw"
    index = cw.Index(PQ, "ip", factors=factors).fit(X).add(X, ids=ids)
    index.save(path)
    opened = cw.open_index(path)
    assert opened.stats()["memory_mapped"] and len(opened) == 3000
    assert (opened.metric, opened.wanted, opened.code_size) == (index.metric, index.wanted, index.code_size)
    assert opened.quantizer == index.quantizer
    for one, two in ((index, opened), (index.add(X[:5]), opened.add(X[:5])), (index.remove(7), opened.remove(7))):
        first, second = one.search(X[:9]), two.search(X[:9])
        assert np.array_equal(first.ids, second.ids) and np.array_equal(first.distances, second.distances)
    opened.save()  # where it came from
    assert np.array_equal(cw.open_index(path, verify="open").search(X[:9]).ids, index.search(X[:9]).ids)


def test_empty_and_undecided_indexes_are_saved_too(tmp_path: Path) -> None:
    cw.Index(PQ).save(tmp_path / "new.cw")
    opened = cw.open_index(tmp_path / "new.cw")
    assert len(opened) == 0 and opened.search(X[:2]).ids.shape == (2, 0)
    opened.add(X)
    opened.remove(opened.ids).save(tmp_path / "empty.cw")
    again = cw.open_index(tmp_path / "empty.cw")
    assert len(again) == 0
    assert again.add(X[:1]).ids.tolist() == [3000]


def test_files_of_other_kinds_are_told_apart(tmp_path: Path) -> None:
    cw.save(PQ, tmp_path / "model.cw")
    cw.Index(PQ).save(tmp_path / "index")
    with pytest.raises(cw.FormatError, match=r"codeword\.load"):
        cw.open_index(tmp_path / "model.cw")
    with pytest.raises(cw.FormatError, match="open_index"):
        cw.load(tmp_path / "index" / "manifest.cw")
    with pytest.raises(ValueError, match="is a file"):
        cw.Index(PQ).save(tmp_path / "model.cw")


HOSTILE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"n": 2999}, {}),
    ({"n": -1}, {}),
    ({"metric": "hamming"}, {}),
    ({"factors": "maybe"}, {}),
    ({"next_id": 5}, {}),
    ({"estimated": True}, {}),
    ({"n": True}, {}),
    ({}, {"codes": np.zeros((3000, 2), np.uint8)}),
    ({}, {"codes": np.zeros((3000, 3), np.int8)}),
    ({}, {"ids": np.zeros(3000, np.int32)}),
    ({}, {"ids": np.zeros(3000, np.int64)}),
    ({}, {"ids": np.arange(3000) - 1}),
    ({}, {"ids": np.arange(3000) + 1}),
]


@pytest.mark.parametrize(("about", "arrays"), HOSTILE, ids=str)
def test_files_that_contradict_themselves_are_refused(tmp_path: Path, about: dict[str, Any], arrays: dict[str, Any]) -> None:
    """The one-file format of earlier releases."""
    path = tmp_path / "vectors.cw"
    header = {"metric": "l2", "factors": False, "n": 3000, "next_id": 3000, "decided": True, "estimated": False}
    held = {f"quantizer.{name}": a for name, a in PQ.state().items()}
    held |= {"codes": PQ.encode(X), "ids": np.random.default_rng(0).permutation(3000)}
    write(path, "index", {"config": PQ.config(), "index": header}, held)
    assert 5 in cw.open_index(path)
    write(path, "index", {"config": PQ.config(), "index": {**header, **about}}, {**held, **arrays})
    with pytest.raises(cw.FormatError):
        cw.open_index(path).remove(5)


# The estimator


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("quantizer", [cw.ScalarQuantizer(1), cw.ScalarQuantizer(2), cw.ProductQuantizer(48)], ids=repr)
def test_estimated_distances_find_more_neighbours(metric: str, quantizer: Any) -> None:
    base, queries = load("minilm-wordnet")[:12_000], load("minilm-wordnet", "queries")[:400]
    quantizer.fit(base[:6000])
    truth, _ = exact_search(base, queries, 10, metric)
    plain, estimated = (cw.Index(quantizer, metric, factors=f).fit(base[:6000]).add(base) for f in (False, True))
    with_code, with_factors = (cw.recall(i.search(queries).ids, truth, 10) for i in (plain, estimated))
    assert with_factors > with_code + (0.001 if metric == "cosine" else 0.004)


def test_inner_products_gain_most() -> None:
    base, queries = load("sift-kodak")[:12_000], load("sift-kodak", "queries")[:400]
    pq = cw.ProductQuantizer(32).fit(base[:6000])
    truth, _ = exact_search(base, queries, 10, "ip")
    found = {
        f: cw.recall(cw.Index(pq, "ip", factors=f).fit(base[:6000]).add(base).search(queries).ids, truth, 10) for f in (False, True)
    }
    assert found[True] > found[False] + 0.1


def test_auto_takes_side_data_where_they_pay() -> None:
    base = load("minilm-wordnet")[:12_000]
    for quantizer, wanted in ((cw.ScalarQuantizer(2), True), (cw.ScalarQuantizer(8), False), (cw.ProductQuantizer(12), False)):
        index = cw.Index(quantizer.fit(base[:6000])).add(base)
        assert (index.estimator is not None) is wanted, quantizer
        assert index.stats()["factors"] is wanted
    assert cw.Index(cw.ScalarQuantizer(2).fit(base)).add(base[:500]).estimator is None


@pytest.mark.parametrize("metric", METRICS)
def test_estimates_are_close_and_unbiased(metric: str) -> None:
    queries = rows(30, seed=9)
    sq = cw.ScalarQuantizer(3).fit(X)
    estimator = Estimator.fit(sq, metric, X)
    codes = sq.encode(X)
    estimates = estimator.scorer(queries.astype(float)).scores(codes, estimator.side(X, codes))
    exact = distances(queries.astype(float), X.astype(float), metric)
    error = (estimates - exact) / exact.std()
    assert abs(error.mean()) < 0.01 and error.std() < 0.2


def test_rows_unlike_the_training_rows_have_side_data_too() -> None:
    for metric in METRICS:
        estimator = Estimator.fit(PQ, metric, X)
        odd = np.concatenate([X[:2] * 50, X[:2] / 50, np.zeros((1, 16), np.float32), estimator._mean.astype(np.float32)[None]])
        codes = PQ.encode(odd)
        scores = estimator.scorer(np.concatenate([odd, X[:2]]).astype(float)).scores(codes, estimator.side(odd, codes))
        assert np.isfinite(scores).all()


def test_cosine_of_a_query_of_length_zero_is_zero() -> None:
    index = cw.Index(PQ, "cosine", factors=True).fit(X).add(X[:20])
    assert (index.search(np.zeros((1, 16)), 3).distances == 1).all()


@pytest.mark.parametrize("metric", METRICS)
def test_side_data_and_decision_ignore_isa_and_threads(isa: str, metric: str, keep_threads: None) -> None:
    seen = set()
    for threads in (1, 7):
        _native.set_threads(threads)
        estimator = Estimator.fit(PQ, metric, X)
        state = b"".join(a.tobytes() for a in estimator.state().values())
        seen.add((state, estimator.side(X, PQ.encode(X)).tobytes(), worthwhile(estimator, X)))
    _native.set_isa(_native.available_isas()[0])
    estimator = Estimator.fit(PQ, metric, X)
    state = b"".join(a.tobytes() for a in estimator.state().values())
    seen.add((state, estimator.side(X, PQ.encode(X)).tobytes(), worthwhile(estimator, X)))
    assert len(seen) == 1


@pytest.mark.parametrize(
    "values", [np.ones(5), np.zeros(5), np.array([1e-18, 1e18]), np.arange(5000.0)], ids=["ones", "zeros", "wide", "range"]
)
def test_levels_rise_and_cover(values: np.ndarray) -> None:
    for levels in (linear_levels(values), log_levels(values)):
        assert levels.dtype == np.float32 and levels.shape == (256,) and (np.diff(levels) >= 0).all()
        assert levels[0] <= max(values.min(), 0) and levels[-1] >= values.max() * (1 - 1e-3)


def test_wide_input_far_from_zero_is_searched_through_a_centred_pipeline() -> None:
    far = 1e9 + rows(2000).astype(np.float64)
    index = cw.Index(cw.Pipeline([cw.Center()], cw.ScalarQuantizer(8)).fit(far)).add(far)
    assert index.estimator is None
    assert np.array_equal(index.search(far[:50], 1).ids[:, 0], np.arange(50))


@pytest.mark.parametrize("quantizer", [cw.BinaryQuantizer(), cw.Pipeline([cw.Center()], cw.BinaryQuantizer(2))], ids=repr)
def test_quantizers_that_estimate_rows_get_no_side_data(quantizer: cw.BinaryQuantizer | cw.Pipeline) -> None:
    with pytest.raises(ValueError, match=r"factors: .*BinaryQuantizer.* keeps side data in its codes"):
        cw.Index(quantizer.clone(), factors=True).fit(X)
    assert cw.Index(quantizer.clone()).fit(X).estimator is None
