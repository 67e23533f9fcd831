"""What other libraries get wrong in search, each line of it, and what an `Index` does instead.

The lines are measurements of released libraries: NaN that is added without a word, ids that four vectors share, files with a flipped byte
that load, inner products that int8 ruins, codebooks that go stale unseen, errors that do not say what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import codeword as cw
from codeword import _native
from codeword.exact import exact_search

RNG = np.random.default_rng(0)
X = RNG.standard_normal((1500, 32)).astype(np.float32)
QUERIES = X[:40] + np.float32(0.05)
SQ = cw.ScalarQuantizer(8).fit(X)


def index(metric: str = "l2", **options: Any) -> cw.Index:
    return cw.Index(SQ, metric, factors=False, **options).fit(X).add(X)


def found(made: cw.Index, queries: Any = QUERIES, k: int = 10) -> tuple[Any, Any]:
    result = made.search(queries, k)
    return result.ids.tolist(), result.distances.tolist()


# What is taken without a conversion by hand

GOOD: dict[str, Callable[[Any], Any]] = {
    "float64": lambda A: A.astype(np.float64),
    "list": lambda A: A.tolist(),
    "columns": np.asfortranarray,
    "every other": lambda A: np.repeat(A, 2, axis=0)[::2],
    "big-endian": lambda A: A.astype(">f4"),
    "read-only": lambda A: np.frombuffer(A.tobytes(), np.float32).reshape(A.shape),
}


@pytest.mark.parametrize("kind", GOOD)
def test_rows_and_queries_come_as_they_are(kind: str) -> None:
    convert = GOOD[kind]
    assert found(cw.Index(SQ, factors=False).add(convert(X)), convert(QUERIES)) == found(index())


@pytest.mark.parametrize("dtype", ["float16", "int8", "uint8", "int64"])
def test_few_bits_are_taken_as_numbers(dtype: str) -> None:
    rows = np.clip(X * 30, 0 if dtype == "uint8" else -128, 127).astype(dtype)
    plain = rows.astype(np.float32)
    sq = cw.ScalarQuantizer(8).fit(plain)
    assert found(cw.Index(sq, factors=False).add(rows), rows[:20]) == found(cw.Index(sq, factors=False).add(plain), plain[:20])


def test_numbers_may_be_of_numpy() -> None:
    made = index(lists=np.int64(8))
    assert found(made, k=np.int64(5)) == found(made, k=5)
    assert len(made.remove(np.int64(3))) == 1499 and np.uint8(3) not in made


# What is refused, and how


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("what", ["fit", "add", "upsert", "search", "range_search", "calibrate"])
def test_numbers_that_are_none_are_refused_by_row_and_column(what: str, value: float) -> None:
    made, bad = index(), X[:1200].copy()
    bad[1100, 7] = value
    calls: dict[str, Callable[[], Any]] = {
        "fit": lambda: cw.Index(cw.ScalarQuantizer(8)).fit(bad),
        "add": lambda: made.add(bad),
        "upsert": lambda: made.upsert(bad, range(1200)),
        "search": lambda: made.search(bad),
        "range_search": lambda: made.range_search(bad, 1.0),
        "calibrate": lambda: made.calibrate(bad),
    }
    with pytest.raises(ValueError, match=r"row 1100.*column 7"):
        calls[what]()
    assert found(made) == found(index())


def test_errors_name_the_argument_and_what_was_expected() -> None:
    made = index()
    for call, words in (
        (lambda: made.add(X[:, :31]), r"X: expected .*32.*31"),
        (lambda: made.search(X[:, :31]), r"queries: expected .*32.*31"),
        (lambda: made.search(X[0]), r"queries\[None"),
        (lambda: made.add(X[0]), r"X\[None"),
        (lambda: made.search(QUERIES, 0), "k: "),
        (lambda: cw.Index(cw.ProductQuantizer(4)).fit(X[:100]), "100.*256|256.*100"),
        (lambda: cw.Index(cw.ScalarQuantizer(8)).fit(X[:0]), "X: "),
        (lambda: made.upsert(X[:2], None), "ids: "),
    ):
        with pytest.raises((ValueError, TypeError), match=words):
            call()
    with pytest.raises(cw.NotFittedError, match="fit"):
        cw.Index(cw.ProductQuantizer(4)).search(QUERIES)


def test_dimensions_need_not_divide() -> None:
    assert cw.recall(cw.Index(cw.ProductQuantizer(5)).fit(X).add(X).search(X[:50], 5).ids, np.arange(50)[:, None], 1) > 0.9


# Ids


def test_an_id_is_one_vector() -> None:
    made = index()
    for ids in ([7, 7, 7, 7], [9000, 9001, 9002, 7]):
        with pytest.raises(ValueError, match=r"ids: .*7"):
            made.add(X[:4], ids=ids)
    made.upsert(X[100:101] + 50, ids=[7])
    assert len(made) == 1500 and (np.sort(made.ids) == np.arange(1500)).all()
    assert made.search(X[100:101] + 50, 1).ids.tolist() == [[7]] and 7 not in made.search(X[7:8], 10).ids


@pytest.mark.parametrize("quantizer", [SQ, cw.ProductQuantizer(8, bits=6).fit(X), cw.BinaryQuantizer(2).fit(X)], ids=repr)
@pytest.mark.parametrize("lists", [None, 8])
def test_ids_stay_with_their_vectors_when_others_go(quantizer: Any, lists: int | None, tmp_path: Path) -> None:
    made = cw.Index(quantizer, factors=False, lists=lists).fit(X).add(X)
    left = np.delete(np.arange(1500), np.arange(0, 1500, 3))
    made.remove(np.arange(0, 1500, 3)).save(tmp_path / "a")
    opened = cw.open_index(tmp_path / "a").add(X[:1])
    fresh = cw.Index(quantizer, factors=False, lists=lists).fit(X).add(X[left], left).add(X[:1], [1500])
    everything = {"recall": 1, "k": 5}
    assert np.array_equal(opened.search(QUERIES, **everything).ids, fresh.search(QUERIES, **everything).ids)
    assert np.array_equal(opened.vacuum().search(QUERIES, **everything).ids, fresh.search(QUERIES, **everything).ids)


def test_more_neighbours_than_vectors_are_not_padded() -> None:
    few = cw.Index(SQ, factors=False).add(X[:3])
    assert few.search(QUERIES, 10).ids.shape == (40, 3) and few.search(QUERIES, 10).ids.min() == 0
    assert few.search(QUERIES, 10, where=[1]).ids.tolist() == [[1]] * 40
    assert cw.Index(SQ).search(QUERIES, 10).ids.shape == (40, 0)


def test_filters_return_as_many_as_match_in_one_search() -> None:
    made = index(lists=8)
    for matching in (0, 1, 9, 15):
        wanted = np.arange(matching) * 90
        ids = made.search(QUERIES, 10, where=wanted, effort=1).ids
        assert ids.shape == (40, min(10, matching)) and np.isin(ids, wanted).all()


# Files


def test_a_flipped_byte_is_noticed_wherever_it_is(tmp_path: Path) -> None:
    index(lists=4).remove([5]).save(tmp_path / "a")
    expected = found(cw.open_index(tmp_path / "a"))
    for path in (tmp_path / "a").glob("*.cw"):
        sound = path.read_bytes()
        for at in np.linspace(0, len(sound) - 1, 25).astype(int).tolist():
            path.write_bytes(sound[:at] + bytes([sound[at] ^ 0x10]) + sound[at + 1 :])
            with pytest.raises(cw.FormatError, match=str(tmp_path / "a")):
                cw.open_index(tmp_path / "a", verify="open")
        for size in (0, 7, len(sound) // 2, len(sound) - 1):
            path.write_bytes(sound[:size])
            with pytest.raises(cw.FormatError, match=str(tmp_path / "a")):
                cw.open_index(tmp_path / "a")
        path.write_bytes(sound)
    assert found(cw.open_index(tmp_path / "a", verify="open")) == expected


def test_what_an_index_was_made_with_is_there_after_reopening(tmp_path: Path) -> None:
    made = cw.Index(cw.ProductQuantizer(8, bits=6), "ip", lists=8, refine="int8", certify=True).fit(X).add(X).tune()
    made.save(tmp_path / "a")
    opened = cw.open_index(tmp_path / "a")
    assert (repr(opened), opened.wanted.lists, opened.metric) == (repr(made), made.wanted.lists, "ip")
    assert {**opened.stats(), "memory_mapped": False} == {**made.stats(), "memory_mapped": False}
    assert np.array_equal(opened.search(QUERIES).ids, made.search(QUERIES).ids)


# What is found


@pytest.mark.parametrize("bits", [4, 8])
def test_inner_products_of_rows_of_any_length_keep_their_recall(bits: int) -> None:
    """usearch's int8 finds .68 of the neighbours of such rows, without a warning."""
    rows = X * np.random.default_rng(1).lognormal(0, 1, (1500, 1)).astype(np.float32)
    truth, _ = exact_search(rows, QUERIES, 10, "ip")
    made = cw.Index(cw.ScaledQuantizer(cw.ScalarQuantizer(bits)), "ip").fit(rows).add(rows)
    assert cw.recall(made.search(QUERIES, 10).ids, truth, 10) > {4: 0.85, 8: 0.98}[bits]


def test_cosine_does_not_depend_on_lengths() -> None:
    lengths = np.random.default_rng(1).uniform(0.1, 50, (1500, 1)).astype(np.float32)
    truth, exact = exact_search(X * lengths, QUERIES, 10, "cosine")
    result = cw.Index(cw.ScaledQuantizer(cw.ScalarQuantizer(8)), "cosine").fit(X * lengths).add(X * lengths).search(QUERIES * 7, 10)
    assert cw.recall(result.ids, truth, 10) > 0.97
    assert result.distances == pytest.approx(exact, abs=0.02) and "one minus cosine" in result.units
    assert result.scores == pytest.approx(1 - exact, abs=0.02)


@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
def test_smaller_is_closer_and_scores_are_larger(metric: str) -> None:
    result = index(metric).search(QUERIES, 10)
    assert (np.diff(result.distances, axis=1) >= 0).all() and (np.diff(result.scores, axis=1) <= 0).all()


def test_codes_that_do_not_fit_the_rows_any_more_are_seen() -> None:
    """faiss goes on at .36 of the recall that a codebook of the new rows has, and says nothing."""
    made = cw.Index(cw.ProductQuantizer(8, bits=6), factors=False).fit(X).add(X)
    assert made.stats()["distortion"]["worst"] < 1.3
    assert made.add(X[:400] + 3).stats()["distortion"]["worst"] > 3


def test_threads_change_nothing(keep_threads: None) -> None:
    made = []
    for threads in (1, 4):
        _native.set_threads(threads)
        made.append(found(cw.Index(cw.ProductQuantizer(8, bits=6), lists=8).fit(X).add(X)))
    assert made[0] == made[1]


def test_global_random_numbers_are_left_alone(capfd: pytest.CaptureFixture[str]) -> None:
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    cw.Index(cw.ProductQuantizer(8, bits=6), lists=8).fit(X).add(X).search(QUERIES)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
    assert capfd.readouterr() == ("", "")
