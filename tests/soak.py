"""Threads that change, search, save and reopen one index at once, each step compared with a brute-force model. A test and a benchmark.

Ids are the threads' own, ``id % THREADS``: a thread knows exactly which vectors its ids have, whatever the others do meanwhile, and so
which of them every search must return.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import codeword as cw
from codeword.exact import exact_search
from codeword.search.store import verify_folder

THREADS = 4
K = 10
_MOST = 40  # rows of one change
_SAMPLE_SECONDS = 0.5
# What is done how often; a thread has about as many rows in the index as it aims at, so memory must stay as it is.
WEIGHTS = {
    "add": 5,
    "upsert": 4,
    "update": 2,
    "remove": 5,
    "search": 8,
    "filtered": 6,
    "wrong": 1,
    "save": 2,
    "vacuum": 0.3,
    "reopen": 0.3,
}


class Gate:
    """Any number of threads work, or one alone."""

    def __init__(self) -> None:
        self._changed, self._inside = threading.Condition(), 0

    @contextmanager
    def shared(self) -> Iterator[None]:
        with self._changed:
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._inside)
            yield


@dataclass
class Soak:
    """What the threads share.

    Attributes
    ----------
    pool : ndarray (m, d) float32
        What vectors are taken from.
    quantizer : Quantizer
        Fitted.
    folder : Path
    aim : int
        Rows that each thread has in the index, about.
    """

    pool: Any
    quantizer: Any
    folder: Path
    aim: int
    lists: int = 32
    index: Any = None
    errors: list[BaseException] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    memory: list[int] = field(default_factory=list)
    held: list[dict[int, int]] = field(default_factory=lambda: [{} for _ in range(THREADS)])

    def __post_init__(self) -> None:
        self.gate, self.codes, self.stop = Gate(), self.quantizer.encode(self.pool), threading.Event()
        self.index = cw.Index(self.quantizer, factors=False, lists=self.lists).fit(self.pool)
        self.index.save(self.folder)

    def run(self, seconds: float, seed: int = 0) -> None:
        """Let the threads work; raises what the first of them met."""
        workers = [
            threading.Thread(target=Worker(self, number, random.Random(seed * THREADS + number)).run) for number in range(THREADS)
        ]
        for worker in workers:
            worker.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.stop.is_set():
            self.memory.append(_resident())
            self.stop.wait(_SAMPLE_SECONDS)
        self.stop.set()
        for worker in workers:
            worker.join()
        if self.errors:
            raise self.errors[0]
        self.check_all()

    def check_all(self) -> None:
        """The index, and what is saved, hold exactly what the model does."""
        rows = {id_: row for held in self.held for id_, row in held.items()}
        self.index.save(self.folder)
        verify_folder(self.folder)
        for index in (self.index, cw.open_index(self.folder)):
            assert sorted(index.ids.tolist()) == sorted(rows), "ids were lost, duplicated or have come back"
            ids = np.array(sorted(rows))
            found = index.search(self.pool[[rows[i] for i in ids[:500].tolist()]], K, recall=1)
            best = self.distances(self.pool[[rows[i] for i in ids[:500].tolist()]], [rows[i] for i in ids.tolist()])
            assert np.array_equal(found.distances, np.sort(best, axis=1)[:, :K])

    def distances(self, queries: Any, rows: list[int]) -> Any:
        """Distances (q, rows) to rows of the pool, from their codes."""
        return np.asarray(self.quantizer.scorer(queries, "l2").scores(np.ascontiguousarray(self.codes[rows])), np.float32)

    def recalls(self, queries: Any) -> tuple[float, float]:
        """Recall@10 of the true neighbours: of the index, and of a fresh one of the same vectors."""
        rows = {id_: row for held in self.held for id_, row in held.items()}
        ids = np.array(sorted(rows))
        vectors = self.pool[[rows[i] for i in ids.tolist()]]
        truth = ids[exact_search(vectors, queries, K)[0]]
        fresh = cw.Index(self.quantizer, factors=False, lists=self.lists).fit(self.pool).add(vectors, ids)
        found = [float(cw.recall(index.tune().search(queries, K).ids, truth, K)) for index in (self.index, fresh)]
        return found[0], found[1]

    def growth(self) -> float:
        """Most memory in the last third of the time over most in the third before, minus 1."""
        third = len(self.memory) // 3
        return max(self.memory[2 * third :]) / max(self.memory[third : 2 * third]) - 1.0


@dataclass
class Worker:
    """One thread: does things at random and compares."""

    soak: Soak
    number: int
    dice: random.Random

    def __post_init__(self) -> None:
        self.mine, self.next = self.soak.held[self.number], 0
        self.removed: list[int] = []

    def run(self) -> None:
        try:
            with self.soak.gate.shared():
                while len(self.mine) < self.soak.aim:
                    self.add()
            while not self.soak.stop.is_set():
                (what,) = self.dice.choices(list(WEIGHTS), list(WEIGHTS.values()))
                with self.soak.gate.alone() if what == "reopen" else self.soak.gate.shared():
                    getattr(self, what)()
                self.soak.done[what] += 1
        except BaseException as e:
            self.soak.errors.append(e)
            self.soak.stop.set()

    def add(self) -> None:
        if len(self.mine) > 1.5 * self.soak.aim:
            return self.remove()
        ids, rows = self._new_ids(), self._rows()
        ids = ids[: len(rows)]
        self.soak.index.add(self.soak.pool[rows], ids)
        self.mine.update(zip(ids, rows, strict=True))
        return None

    def upsert(self) -> None:
        ids = list(dict.fromkeys(self._some() + self._new_ids()[:3]))
        rows = self._rows(len(ids))
        self.soak.index.upsert(self.soak.pool[rows], ids)
        self.mine.update(zip(ids, rows, strict=True))

    def update(self) -> None:
        ids = self._some()
        rows = self._rows(len(ids))
        self.soak.index.update(self.soak.pool[rows].reshape(len(ids), -1) if ids else self.soak.pool[:0], ids)
        self.mine.update(zip(ids, rows, strict=True))

    def remove(self) -> None:
        if len(self.mine) < self.soak.aim // 2:
            return
        ids = self._some()
        self.soak.index.remove(ids)
        for id_ in ids:
            del self.mine[id_]
        self.removed = (self.removed + ids)[-1000:]

    def search(self) -> None:
        """Among the nearest of everything there are the nearest of mine, each once and as far as the model says."""
        queries = self._queries()
        found = self.soak.index.search(queries, K, recall=1)
        ids, rows = list(self.mine), list(self.mine.values())
        assert all(len(set(line)) == len(line) for line in found.ids.tolist()), "an id was returned twice"
        if not ids:
            return
        expected = self.soak.distances(queries, rows)
        for line, distances, mine in zip(found.ids.tolist(), found.distances, expected, strict=True):
            known = dict(zip(ids, mine.tolist(), strict=True))
            theirs = {i: x for i, x in zip(line, distances.tolist(), strict=True) if i % THREADS == self.number}
            assert theirs.items() <= known.items(), "an id was returned that was removed, or with another vector"
            near = {i for i, x in known.items() if x < distances[-1]}
            assert near <= theirs.keys(), f"lost: {near - theirs.keys()}"

    def filtered(self) -> None:
        """The nearest of mine are exactly what brute force finds, by all lists; by some, each is where it should be."""
        queries, number = self._queries(), self.number
        exhaustive = self.dice.random() < 0.7
        how = {"recall": 1} if exhaustive else {"effort": 4}
        found = self.soak.index.search(queries, K, where=lambda ids: ids % THREADS == number, **how)
        ids, rows = np.array(list(self.mine), np.int64), list(self.mine.values())
        assert found.ids.shape[1] == min(K, len(ids)), "fewer were returned than there are"
        if not len(ids):
            return
        expected = self.soak.distances(queries, rows)
        for line, distances, mine in zip(found.ids, found.distances, expected, strict=True):
            order = np.lexsort((ids, mine))[:K]
            if exhaustive:
                assert np.array_equal(line, ids[order]) and np.array_equal(distances, mine[order])
            known = dict(zip(ids.tolist(), mine.tolist(), strict=True))
            assert all(known[i] == x for i, x in zip(line.tolist(), distances.tolist(), strict=True))

    def wrong(self) -> None:
        """What cannot be done is refused, and nothing is changed by it."""
        index, gone = self.soak.index, [i for i in self.removed if i not in self.mine]
        there = self._some()[:1]
        if there:
            _refused(lambda: index.add(self.soak.pool[:2], [*self._new_ids()[:1], *there]))
        if gone:
            assert gone[-1] not in index, "a removed id has come back"
            _refused(lambda: index.remove([*there, gone[-1]]))
            _refused(lambda: index.update(self.soak.pool[:1], gone[-1:]))
        assert all(i in index for i in there)

    def save(self) -> None:
        """What is opened after a save has exactly mine, whoever saved since."""
        self.soak.index.save(self.soak.folder)
        if self.dice.random() < 0.3:
            ids = cw.open_index(self.soak.folder).ids
            assert sorted(ids[ids % THREADS == self.number].tolist()) == sorted(self.mine), "what was saved is not what there was"

    def vacuum(self) -> None:
        self.soak.index.vacuum()

    def reopen(self) -> None:
        self.soak.index.save(self.soak.folder)
        self.soak.index = cw.open_index(self.soak.folder)

    def _new_ids(self) -> list[int]:
        ids = [(self.next + i) * THREADS + self.number for i in range(_MOST)]
        self.next += _MOST
        again = [i for i in self.removed[-3:] if i not in self.mine]  # ids that come again, on purpose
        return again + ids if self.dice.random() < 0.3 else ids

    def _some(self) -> list[int]:
        ids = list(self.mine)
        return self.dice.sample(ids, min(len(ids), self.dice.randint(1, _MOST)))

    def _rows(self, count: int | None = None) -> list[int]:
        return [self.dice.randrange(len(self.soak.pool)) for _ in range(self.dice.randint(1, _MOST) if count is None else count)]

    def _queries(self) -> Any:
        return self.soak.pool[self._rows(self.dice.randint(1, 6))] + np.float32(0.01)


def _refused(change: Any) -> None:
    try:
        change()
    except ValueError:
        return
    raise AssertionError("a change was made that cannot be")


def _resident() -> int:
    """Bytes of memory that the process has of its own: pages of files, which the system takes back, do not count."""
    with open("/proc/self/statm") as file:
        _, resident, shared, *_ = (int(x) for x in file.read().split())
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE")
