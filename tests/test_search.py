"""Searching: lists, filters, ranges, the last stage, string ids, and searches beside changes."""

from __future__ import annotations

import ctypes
import doctest
import importlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import codeword as cw
from codeword import _native
from codeword.exact import exact_search
from codeword.search import scan
from data import load

METRICS = ["l2", "ip", "cosine"]


def rows(n: int, seed: int = 0, d: int = 24) -> np.ndarray:
    """Rows in clusters, so that lists differ."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((20, d)) * 2
    return (centres[random.integers(0, 20, n)] + random.standard_normal((n, d)) * 0.9 ** np.arange(d)).astype(np.float32)


X, QUERIES = rows(4000), rows(60, seed=1)
SQ = cw.ScalarQuantizer(4).fit(X)
TRELLIS = cw.TrellisQuantizer(2.0, effort="fast").fit(X)
PQ = cw.ProductQuantizer(8, bits=4).fit(X)
QUANTIZERS = {"scalar": SQ, "trellis": TRELLIS, "product": PQ}
IDS = np.random.default_rng(3).permutation(40_000)[:4000]


def made(quantizer: Any = SQ, metric: str = "l2", **options: Any) -> cw.Index:
    return cw.Index(quantizer, metric, **{"factors": False, **options}).add(X, ids=IDS)


@pytest.mark.parametrize("module", ["ann_benchmarks", "estimator", "flat", "index", "names", "plan", "store"])
def test_examples_run(module: str) -> None:
    assert doctest.testmod(importlib.import_module(f"codeword.search.{module}")).failed == 0


# Lists


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", QUANTIZERS)
def test_all_lists_find_what_no_lists_do(name: str, metric: str) -> None:
    plain, divided = made(QUANTIZERS[name], metric), made(QUANTIZERS[name], metric, lists=16)
    one, two = plain.search(QUERIES, 10), divided.search(QUERIES, 10, effort=16)
    assert np.array_equal(one.ids, two.ids) and np.array_equal(one.distances, two.distances)
    assert two.expected_recall is None and two.counters is not None and (two.counters.codes == 4000).all()


@pytest.mark.parametrize("metric", METRICS)
def test_more_effort_finds_more_and_looks_at_more(metric: str) -> None:
    index = made(SQ, metric, lists=32)
    truth = index.search(QUERIES, 10, recall=1).ids
    found = [index.search(QUERIES, 10, effort=effort) for effort in (1, 4, 16, 32)]
    shares = [cw.recall(f.ids, truth, 10) for f in found]
    assert shares == sorted(shares) and shares[0] < 1 and shares[-1] == 1
    looked = [int(f.counters.codes.sum()) for f in found if f.counters is not None]
    assert looked == sorted(looked) and looked[0] < looked[-1] / 4


@pytest.mark.parametrize("metric", METRICS)
def test_a_recall_that_is_asked_for_is_reached_on_other_queries(metric: str) -> None:
    index = made(SQ, metric, lists=32)
    others = rows(500, seed=7)
    truth = index.search(others, 10, recall=1).ids
    for wanted in (0.8, 0.95, 0.99):
        found = index.search(others, 10, recall=wanted)
        assert found.expected_recall is not None and found.expected_recall >= wanted
        assert cw.recall(found.ids, truth, 10) > wanted - 0.03
    default = index.search(others, 10)
    assert np.array_equal(default.ids, index.search(others, 10, recall=0.95).ids)


@pytest.mark.parametrize("name", QUANTIZERS)
def test_results_of_lists_ignore_batches_threads_isa_and_segments(name: str, isa: str, keep_threads: None) -> None:
    whole = made(QUANTIZERS[name], lists=16).search(QUERIES, 10, effort=3)
    for threads in (1, 5):
        _native.set_threads(threads)
        index = cw.Index(QUANTIZERS[name], factors=False, lists=16).fit(X)
        for start in range(0, 4000, 900):
            index.add(X[start : start + 900], ids=IDS[start : start + 900])
        parts = [index.search(QUERIES[i : i + 7], 10, effort=3) for i in range(0, 60, 7)]
        assert np.array_equal(np.concatenate([p.ids for p in parts]), whole.ids)
        assert np.array_equal(np.concatenate([p.distances for p in parts]), whole.distances)


def test_lists_are_chosen_from_the_number_of_rows() -> None:
    from codeword.search.partition import default_lists

    assert [default_lists(n) for n in (10, 19_999, 40_000, 1_000_000)] == [1, 1, 512, 2048]
    assert made(lists="auto").stats()["lists"] is None
    about = made(lists=8).tune().stats()["lists"]
    assert about["count"] == 8 and about["effort"]["0.8"] <= about["effort"]["0.99"] <= 8


def test_more_neighbours_than_the_lists_hold_are_found_in_others() -> None:
    index = made(lists=32)
    found = index.search(QUERIES, 1000, effort=1)
    assert found.ids.shape == (60, 1000) and (found.ids >= 0).all()


# Filters


def filters(ids: np.ndarray) -> dict[str, Any]:
    bitmap = np.zeros(40_000, np.bool_)
    bitmap[ids] = True
    return {
        "array": ids,
        "set": set(ids.tolist()),
        "bitmap": bitmap,
        "callable": lambda asked: np.isin(asked, ids),
        "with strangers": [*ids.tolist(), 40_001, 2**60],
    }


@pytest.mark.parametrize("lists", [None, 16])
@pytest.mark.parametrize("kind", ["array", "set", "bitmap", "callable", "with strangers"])
@pytest.mark.parametrize("name", QUANTIZERS)
@pytest.mark.parametrize("matching", [0, 1, 4, 9, 400, 3900])
def test_filters_return_what_matches_and_no_fewer(name: str, matching: int, kind: str, lists: int | None) -> None:
    """0, 1, 0.1 % and k - 1 of the rows, a tenth and nearly all."""
    index = made(QUANTIZERS[name], lists=lists)
    allowed = np.random.default_rng(matching).permutation(IDS)[:matching]
    found = index.search(QUERIES, 10, recall=1, where=filters(allowed)[kind])
    order = np.argsort(IDS)
    data = X[order][np.searchsorted(IDS[order], np.sort(allowed))]
    truth = cw.Index(QUANTIZERS[name], factors=False)
    expected = truth.add(data, ids=np.sort(allowed)).search(QUERIES, 10) if matching else None
    assert found.ids.shape == (60, min(10, matching))
    if expected is not None:
        assert np.array_equal(found.ids, expected.ids) and np.array_equal(found.distances, expected.distances)


@pytest.mark.parametrize("matching", [1, 9, 400])
def test_filters_fill_k_with_little_effort_too(matching: int) -> None:
    index = made(TRELLIS, lists=16)
    allowed = np.random.default_rng(matching).permutation(IDS)[:matching]
    found = index.search(QUERIES, 10, effort=1, where=allowed)
    assert found.ids.shape == (60, min(10, matching)) and np.isin(found.ids, allowed).all()
    assert all(len(set(row)) == len(row) for row in found.ids.tolist())


def test_what_a_filter_excludes_is_not_scanned() -> None:
    found = made(TRELLIS).search(QUERIES, 10, where=IDS[:400])
    assert found.counters is not None and (found.counters.codes == 400).all()


def test_removed_vectors_are_not_found_even_where_a_filter_names_them() -> None:
    for lists in (None, 16):
        index = made(TRELLIS, lists=lists).remove(IDS[:300])
        for where in (None, IDS, lambda ids: np.ones(len(ids), np.bool_), np.ones(40_000, np.bool_)):
            found = index.search(X[:50], 10, where=where)
            assert not np.isin(found.ids, IDS[:300]).any() and found.ids.shape == (50, 10)


@pytest.mark.parametrize(
    ("where", "error", "words"),
    [
        ([0.5], TypeError, "ids, bools or a callable"),
        ("a", TypeError, "where"),
        (np.zeros((2, 2), np.bool_), TypeError, "shape"),
        (lambda ids: ids, ValueError, "expected bools"),
        (lambda ids: np.ones(3, np.bool_), ValueError, "shape"),
    ],
)
def test_bad_filters_are_refused(where: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        made().search(QUERIES, where=where)


# Ranges


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("lists", [None, 16])
def test_a_range_holds_all_within_the_radius(metric: str, lists: int | None) -> None:
    index = made(TRELLIS, metric, lists=lists).remove(IDS[:10])
    everything = index.search(QUERIES, 4000, recall=1)
    radius = np.median(everything.distances[:, :200], axis=1)
    found = index.range_search(QUERIES, radius, recall=1)
    assert len(found) == 60
    for i in range(60):
        ids, distances = found[i]
        inside = everything.distances[i] <= radius[i]
        assert np.array_equal(ids, everything.ids[i][inside])
        assert np.array_equal(distances, everything.distances[i][inside])
    assert found[-1][0].tolist() == found[59][0].tolist()
    with pytest.raises(IndexError):
        found[60]


@pytest.mark.parametrize("where", [None, np.arange(0, 4000, 2), np.arange(4000) % 16 > 0])
@pytest.mark.parametrize("effort", [None, 3])
def test_ranges_and_searches_count_the_same_lists_and_codes(where: Any, effort: int | None) -> None:
    index = made(lists=8)
    index.remove(np.sort(index.ids)[::50])
    how = {"effort": effort} if effort else {"recall": 1}
    near, found = index.range_search(QUERIES, 1.0, where=where, **how), index.search(QUERIES, 1, where=where, **how)
    assert near.counters is not None and found.counters is not None
    assert np.array_equal(near.counters.lists, found.counters.lists) and np.array_equal(near.counters.codes, found.counters.codes)
    assert (near.counters.codes > 0).all()


def test_ranges_of_nothing() -> None:
    index = made()
    assert len(index.range_search(QUERIES, -1.0).ids) == 0
    assert index.range_search(QUERIES[:0], 1.0).bounds.tolist() == [0]
    assert index.range_search(QUERIES, 1e9, where=[]).bounds.tolist() == [0] * 61
    assert cw.Index(SQ).range_search(QUERIES, 1.0).bounds.tolist() == [0] * 61
    for bad in (np.nan, np.inf, [1.0, 2.0]):
        with pytest.raises(ValueError, match="radius"):
            index.range_search(QUERIES, bad)


# The last stage


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", ["float32", "float16", "int8"])
def test_vectors_that_are_kept_decide(metric: str, kind: str) -> None:
    index = made(TRELLIS, metric, refine=kind)
    found = index.search(QUERIES, 10)
    truth, exact = exact_search(X, QUERIES, 10, metric)
    assert cw.recall(found.ids, IDS[truth], 10) > {"float32": 0.995, "float16": 0.995, "int8": 0.95}[kind]
    if kind == "float32":
        same = found.ids == IDS[truth]
        assert np.array_equal(found.distances[same], exact.astype(np.float32)[same])
    assert found.estimated is (kind != "float32") and found.units.startswith("estimated") is found.estimated
    wanted = {"float32": 96, "float16": 48, "int8": 28}[kind]
    assert index.code_size == TRELLIS.code_size + wanted


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("second", [cw.TrellisQuantizer(4.0, effort="fast"), cw.ScalarQuantizer(4)], ids=repr)
def test_a_second_code_finds_more_than_one(metric: str, second: Any) -> None:
    base, queries = (
        np.random.default_rng(seed).standard_normal((n, 24)) * 0.9 ** np.arange(24) for seed, n in ((0, 4000), (1, 60))
    )
    first = cw.TrellisQuantizer(2.0, effort="fast").fit(base)
    truth, _ = exact_search(base, queries, 10, metric)
    one = cw.Index(first, metric, factors=True).add(base)
    two = cw.Index(first, metric, factors=True, refine=second.clone(), lists=8).add(base)
    found = two.search(queries, 10, recall=1)
    assert cw.recall(found.ids, truth, 10) > max(0.92, cw.recall(one.search(queries, 10).ids, truth, 10) + 0.05)
    assert found.counters is not None and found.counters.again.mean() <= 16 * 10 + 64
    side = 0 if metric == "ip" else 2
    assert two.code_size == one.code_size + second.clone().fit(base).code_size + side
    assert [s["stage"] for s in two.stats()["stages"]][-1] == "second code"


def test_the_last_stage_looks_at_few_where_codes_are_fine() -> None:
    coarse, fine = (
        made(q, refine="float32").search(QUERIES, 10) for q in (cw.ScalarQuantizer(1).fit(X), cw.ScalarQuantizer(8).fit(X))
    )
    assert coarse.counters is not None and fine.counters is not None
    assert fine.counters.again.mean() < 20 < 2 * fine.counters.again.mean() < coarse.counters.again.mean()


def test_error_free_codes_are_found_through_a_first_pass() -> None:
    """A 16-bit query and table after an 8-bit first pass lose at most one neighbour in a thousand."""
    data = load("minilm-wordnet")[:8000].astype(np.float32)
    queries = load("minilm-wordnet", "queries")[:200].astype(np.float32)
    q = cw.Pipeline([cw.KLT()], cw.TrellisQuantizer(1.0, allocation="waterfill", effort="fast")).fit(data[:3000])
    held = q.decode(q.encode(data))  # rows that their codes give back exactly
    truth, _ = exact_search(held, queries, 10)
    assert cw.recall(cw.Index(q, factors=False).add(data).search(queries, 10).ids, truth, 10) >= 0.999


# Guarantees


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("refine", [None, "float32", cw.ScalarQuantizer(8)], ids=repr)
def test_what_is_proven_is_true_and_fine_codes_prove_much(metric: str, refine: Any) -> None:
    second = refine.clone() if isinstance(refine, cw.ScalarQuantizer) else refine
    index = (
        cw.Index(cw.ScalarQuantizer(8).fit(X), metric, factors=False, refine=second, certify=True, lists=8).add(X).remove(range(40))
    )
    proofs = 0
    for k in (1, 5):
        found = index.search(QUERIES, k, effort=2, certify=True)
        truth, _ = exact_search(X[40:], QUERIES, k, metric)
        assert found.guarantees is not None
        for ids, true, said in zip(found.ids, truth + 40, found.guarantees, strict=True):
            assert said in ("proven", "not known")
            assert said == "not known" or set(ids) == set(true)
            proofs += said == "proven"
    assert proofs > (15 if refine is None else 30)
    everything = index.search(QUERIES, 5000, certify=True).guarantees
    assert everything is not None and (everything == "proven").all()


def test_bars_that_lie_apart_make_a_result_likely() -> None:
    index = cw.Index(SQ, factors=False).fit(X).calibrate(X).add(X)
    found = index.search(X[:200], 1, certify=True)
    assert found.guarantees is not None and set(found.guarantees) <= {"95 %", "not known"}
    likely = found.guarantees == "95 %"
    assert likely.any() and (found.ids[likely, 0] == np.flatnonzero(likely)).mean() > 0.95
    with pytest.raises(ValueError, match="certify"):
        made().search(QUERIES, certify=True)


def test_lengths_are_kept_rounded_up(tmp_path: Path) -> None:
    index = made(TRELLIS, certify=True)
    columns = index._table.snapshot.segments[0].columns
    error = X - TRELLIS.decode(columns["codes"])
    assert (columns["left"].astype(float) >= np.sqrt((error.astype(float) ** 2).sum(1))).all()
    assert index.code_size == TRELLIS.code_size + 2
    index.save(tmp_path / "a")
    found = cw.open_index(tmp_path / "a").search(QUERIES, 5000, certify=True)
    assert found.guarantees is not None and (found.guarantees == "proven").all()


# Strings


def test_ids_may_be_strings() -> None:
    words = np.array([f"é{i}" for i in range(4000)])
    index = cw.Index(SQ, factors=False, lists=8).add(X, ids=words)
    numbers = cw.Index(SQ, factors=False, lists=8).add(X)
    found, other = index.search(QUERIES, 5, recall=1), numbers.search(QUERIES, 5, recall=1)
    assert found.ids.dtype == object and found.ids.tolist() == words[other.ids].tolist()
    assert "é7" in index and "7" not in index and ["é7", "é8"] in index
    index.remove("é7").remove(["é8", "é9"]).upsert(X[:2], ["é10", "neu"])
    assert len(index) == 3998 and "é7" not in index and index.search(X[1:2], 2, recall=1).ids[0].tolist() == ["é1", "neu"]
    assert set(index.search(X[:3], 2, where=["é0", "é1", "fremd"]).ids.ravel()) == {"é0", "é1"}
    assert set(index.search(X[:3], 9, where=lambda ids: ids == "neu").ids.ravel()) == {"neu"}
    assert set(index.range_search(X[:1], 1e9, where=["neu"]).ids) == {"neu"}
    assert index.add(X[:1], ids=["é7"]).search(X[:1], 3, recall=1).ids[0].tolist() == ["é0", "é7", "é10"]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda index: index.add(X[:1]), TypeError, "expected strings"),
        (lambda index: index.add(X[:1], ids=[3]), TypeError, "expected strings"),
        (lambda index: index.add(X[:2], ids=["x", "x"]), ValueError, "'x' twice"),
        (lambda index: index.add(X[:1], ids=["a"]), ValueError, "'a' is in the index"),
        (lambda index: index.add(X[:1], ids=["\ud800"]), ValueError, "surrogate"),
        (lambda index: index.remove("z"), ValueError, "'z' is not in the index"),
        (lambda index: index.add(X[:1], ids=["c"]).remove("c").remove("c"), ValueError, "'c' is not in the index"),
        (lambda index: index.update(X[:2], ["a", "z"]), ValueError, "'z' is not in the index"),
        (lambda index: index.search(X[:1], where=np.ones(3, np.bool_)), TypeError, "strings"),
    ],
)
def test_bad_strings_are_refused_and_change_nothing(call: Callable[[cw.Index], Any], error: type[Exception], words: str) -> None:
    index = cw.Index(SQ, factors=False).add(X[:2], ids=["a", "b"])
    with pytest.raises(error, match=words):
        call(index)
    assert sorted(index.ids.tolist()) == ["a", "b"]
    with pytest.raises(TypeError, match="expected integers"):
        cw.Index(SQ, factors=False).add(X[:1], ids=[1]).add(X[:1], ids=["a"])


# Changes


def test_updating_replaces_only_what_is_there() -> None:
    index = made().update(X[:5] + 100, IDS[:5])
    assert len(index) == 4000 and set(index.search(X[:1] + 100, 5).ids[0]) == set(IDS[:5])
    with pytest.raises(ValueError, match="is not in the index"):
        index.update(X[:2], [int(IDS[0]), 40_001])


def test_vacuum_gives_back_what_removed_vectors_took() -> None:
    index = made(TRELLIS, lists=8).remove(IDS[:900])
    before, size = index.search(QUERIES, 10, effort=3), index.stats()["nbytes"]
    assert index.stats()["deleted"] == 900
    after = index.vacuum().search(QUERIES, 10, effort=3)
    assert np.array_equal(before.ids, after.ids) and np.array_equal(before.distances, after.distances)
    assert index.stats()["deleted"] == 0 and index.stats()["segments"] == 1 and index.stats()["nbytes"] < 0.85 * size
    assert len(index.remove(index.ids).vacuum()) == 0 and index.stats()["segments"] == 0


def test_rows_that_are_added_one_by_one_stay_in_few_segments() -> None:
    index = made(lists=4)
    for i in range(70):
        index.add(X[i : i + 1], ids=[50_000 + i])
    assert index.stats()["segments"] <= 8 and len(index) == 4070


def test_a_search_sees_the_index_as_it_was_when_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    index = made(lists=16)
    expected = index.search(QUERIES, 10, effort=4)
    changed = threading.Event()
    offer = scan.Task.offer_all

    def change_then_offer(self: scan.Task, *args: Any, **options: Any) -> None:
        if not changed.is_set():
            changed.set()
            index.remove(IDS[:2000]).upsert(X[::-1][:1500], IDS[-1500:]).vacuum()
        offer(self, *args, **options)

    monkeypatch.setattr(scan.Task, "offer_all", change_then_offer)
    found = index.search(QUERIES, 10, effort=4)
    assert changed.is_set() and np.array_equal(found.ids, expected.ids) and len(index) == 2000


def test_threads_may_search_while_others_change() -> None:
    """Rows 0 to 1,999 stay; others come and go. No stranger is found, none of those that stay is lost."""
    index = cw.Index(TRELLIS, factors=False, lists=8).fit(X).add(X[:2000])
    stop, wrong = threading.Event(), []

    def change(first: int) -> None:
        for round in range(12):
            ids = np.arange(first, first + 300)
            index.add(X[2000:2300] + 50, ids=ids)
            index.upsert(X[2300:2400] + 50, ids[:100])
            index.remove(ids)
            if round % 5 == 0:
                index.vacuum()

    def look() -> None:
        while not stop.is_set():
            found = index.search(X[:40], 1, recall=1)
            if found.ids[:, 0].tolist() != list(range(40)) and not (found.distances <= TRUE.distances + 1e-3).all():
                wrong.append(found.ids)

    TRUE = index.search(X[:40], 1, recall=1)
    writers = [threading.Thread(target=change, args=(first,)) for first in (10_000, 20_000)]
    readers = [threading.Thread(target=look) for _ in range(2)]
    for thread in writers + readers:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in readers:
        thread.join()
    assert not wrong and sorted(index.ids.tolist()) == list(range(2000))


def test_rows_that_the_codes_were_not_made_for_are_noticed() -> None:
    """What a KLT leaves out of rows of another kind is seen per segment."""
    flat = np.random.default_rng(0).standard_normal((2000, 24)).astype(np.float32)
    flat[:, 12:] *= 0.01
    klt = cw.Pipeline([cw.KLT(d_out=12)], cw.ScalarQuantizer(4)).fit(flat)
    index = cw.Index(klt, factors=False).add(flat)
    assert 0.8 < index.stats()["distortion"]["worst"] < 1.2
    about = index.add(flat[:1000, ::-1]).stats()["distortion"]
    assert about["worst"] > 20 and len(about["segments"]) == 2


GROWN = """
import ctypes, sys, numpy as np, codeword as cw
def resident():
    ctypes.CDLL(None).malloc_trim(0)  # what malloc keeps of arrays that are gone is no index's
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
kind = sys.argv[1]
X = np.random.default_rng(0).standard_normal((4096, 128)).astype("f4")
second = cw.ScalarQuantizer(4) if kind == "second code" else None
index = cw.Index(cw.ScalarQuantizer(8).fit(X), factors=False, lists=16, refine=second, certify=kind == "second code")
words = kind == "strings"
index.add(X, [f"x{i}" for i in range(4096)] if words else None).search(X[:1000])
many = np.tile(X, (100, 1))
ids = [f"identity {i}" for i in range(409_600)] if words else 10_000 + 3 * np.arange(409_600)
before, held = resident(), index.stats()["nbytes"]
index.add(many, ids).remove(ids[:1000]).search(X[:1000])
print((resident() - before) / (index.stats()["nbytes"] - held))
"""


@pytest.mark.parametrize("kind", ["numbers", "strings", "second code"])
def test_bytes_are_those_the_process_takes(kind: str) -> None:
    """In a process of its own: what the index says it holds, and how much the process grows by it."""
    if not os.path.exists("/proc/self/statm") or not hasattr(ctypes.CDLL(None), "malloc_trim"):
        pytest.skip("what a process takes is read from /proc after malloc_trim: Linux with glibc only")
    run = subprocess.run([sys.executable, "-c", GROWN, kind], capture_output=True, text=True, check=True)
    assert 0.95 < float(run.stdout) < 1.05


# From elsewhere


def test_rows_of_arrow_tables_become_an_index() -> None:
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"word": [f"w{i}" for i in range(4000)], "vector": pa.FixedSizeListArray.from_arrays(X.ravel(), 24)})
    index = cw.Index.from_arrow(table, SQ, ids="word", factors=False)
    assert index.search(X[5:6], 1).ids.tolist() == [["w5"]] and len(index) == 4000
    same = cw.Index.from_numpy(X, SQ, factors=False, lists=4, metric="ip")
    assert np.array_equal(same.search(QUERIES, 3, recall=1).ids, cw.Index(SQ, "ip", factors=False).add(X).search(QUERIES, 3).ids)
    assert cw.Index.from_numpy(X[:500]).code_size < 24
    with pytest.raises(ValueError, match="null in row 1"):
        cw.Index.from_arrow(pa.table({"id": [1, None], "vector": X[:2].tolist()}), SQ, ids="id")


def test_vectors_of_faiss_indexes_become_an_index() -> None:
    faiss = pytest.importorskip("faiss")
    flat = faiss.IndexFlatIP(24)
    flat.add(X)
    named = faiss.IndexIDMap2(faiss.IndexFlatL2(24))
    named.add_with_ids(X, IDS)
    lists = faiss.index_factory(24, "IVF8,Flat")
    lists.train(X)
    lists.add_with_ids(X, IDS)
    for made, metric, ids in ((flat, "ip", np.arange(4000)), (named, "l2", IDS), (lists, "l2", IDS)):
        index = cw.Index.from_faiss(made, SQ, factors=False)
        expected = cw.Index(SQ, metric, factors=False).add(X, ids)
        assert index.metric == metric and np.array_equal(index.search(QUERIES, 5).ids, expected.search(QUERIES, 5).ids)
    with pytest.raises(ValueError, match="none"):
        cw.Index.from_faiss(faiss.IndexFlatL2(24))


# Bad and odd input


@pytest.mark.parametrize("lists", [None, 8])
@pytest.mark.parametrize("metric", METRICS)
def test_queries_of_length_zero_are_answered(metric: str, lists: int | None) -> None:
    found = made(SQ, metric, lists=lists).search(np.zeros((3, 24)), 5)
    assert found.ids.shape == (3, 5) and np.isfinite(found.distances).all()
    assert metric != "cosine" or (found.distances == 1).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"effort": 2, "recall": 0.5}, "one of them"),
        ({"effort": 0}, "effort"),
        ({"recall": 0.0}, "recall"),
        ({"recall": 1.5}, "recall"),
        ({"recall": True}, "recall"),
    ],
)
def test_bad_efforts_are_refused(options: dict[str, Any], words: str) -> None:
    for lists in (None, 8):
        with pytest.raises(ValueError, match=words):
            made(lists=lists).search(QUERIES, **options)


def test_bad_options_are_refused_by_name() -> None:
    for options, error in (({"lists": 0}, ValueError), ({"lists": "many"}, TypeError), ({"refine": "float64"}, ValueError)):
        with pytest.raises(error, match=next(iter(options))):
            cw.Index(SQ, **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="refine"):
        cw.Index(SQ, refine=cw.ScalarQuantizer(2).fit(X[:, :5]), factors=False).add(X)
    with pytest.raises(ValueError, match="too large for float16"):
        cw.Index(cw.ScalarQuantizer(2).fit(X * 1e6), refine="float16", factors=False).add(X * 1e6)
