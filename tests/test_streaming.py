"""Training under a cap of memory learns what a training in memory learns, and keeps to the cap."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import codeword as cw
from codeword import checks, sources
from codeword.training import kmeans

rng = np.random.default_rng(21)
BLOBS = (rng.normal(size=(30, 8)) * 3)[rng.integers(0, 30, 9000)] + rng.normal(size=(9000, 8))
ROWS = BLOBS.astype(np.float32)
FAR = ROWS.copy()
FAR[::600] *= 40  # outliers, left out
WEIGHT = rng.choice([0, 0.5, 1, 7], len(ROWS)).astype(np.float32)
FEW = ROWS[rng.integers(0, 40, 9000)]  # forty different rows: codewords stay unused, cells are repaired
MAKERS: dict[str, Callable[[], Any]] = {
    "vector": lambda: cw.VectorQuantizer(40),
    "vector, random rows": lambda: cw.VectorQuantizer(50, seeding="random", max_iter=25, tol=0.0),
    "vector, split": lambda: cw.VectorQuantizer(20, seeding="lbg", max_iter=4, trim=False),
    "vector, little effort": lambda: cw.VectorQuantizer(30, effort="fast"),
    "product": lambda: cw.ProductQuantizer(3, bits=5),
    "centred": lambda: cw.Pipeline([cw.Center()], cw.VectorQuantizer(30)),
    "principal axes": lambda: cw.Pipeline([cw.KLT(5)], cw.ProductQuantizer(2, bits=4)),
    "rotated units": lambda: cw.Pipeline([cw.Normalize(), cw.Rotation()], cw.ProductQuantizer(2, bits=4)),
    "trellis": lambda: cw.Pipeline([cw.KLT()], cw.TrellisQuantizer(2.0, allocation="waterfill")),
    "binary": lambda: cw.BinaryQuantizer(2),
    "lattice": cw.LatticeQuantizer,
    "scalar": lambda: cw.ScalarQuantizer(4),
}


class Blocks:
    """Row blocks of odd sizes that can be iterated again."""

    def __init__(self, X: np.ndarray) -> None:
        self.X, self.passes = X, 0

    def __iter__(self) -> Iterator[np.ndarray]:
        self.passes += 1
        yield from np.split(self.X, [0, 1, 5, 1700, 1701, 6000])


def trainings(quantizer: Any) -> list[kmeans.Training]:
    inner = getattr(quantizer, "quantizer", quantizer)
    found = getattr(inner, "training_", [])
    return found if isinstance(found, list) else [found]


def assert_same(a: Any, b: Any) -> None:
    assert a == b
    for one, other in zip(trainings(a), trainings(b), strict=True):
        assert np.array_equal(one.counts, other.counts)
        for name in ("history", "levels", "trimmed", "not_seeded", "repaired", "converged"):
            assert getattr(one, name) == getattr(other, name), name


@pytest.fixture(autouse=True)
def little_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 700 rows, and only the seeds in memory: every level of training goes through the rows in passes."""
    from codeword.training.streaming import Budget

    monkeypatch.setattr(Budget, "of", classmethod(lambda cls, rows, settings, widths: cls(700, 16 * settings.k)))


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("data", ["rows", "outliers", "few different rows"])
def test_passes_learn_what_memory_learns(maker: str, weighted: bool, data: str) -> None:
    X = {"rows": ROWS, "outliers": FAR, "few different rows": FEW}[data]
    weight = WEIGHT if weighted else None
    in_memory = MAKERS[maker]().fit(X, weight)
    assert_same(MAKERS[maker]().fit(X, weight, max_memory="400MB"), in_memory)
    if data == "outliers":
        assert maker not in ("vector", "product") or all(t.trimmed for t in trainings(in_memory))


@pytest.mark.parametrize("maker", ["vector", "product", "centred"])
def test_every_form_of_rows_learns_the_same(maker: str, tmp_path: Path) -> None:
    make = MAKERS[maker]
    expected = make().fit(FAR, WEIGHT)
    np.save(tmp_path / "rows.npy", FAR)
    np.save(tmp_path / "rows64.npy", FAR.astype(">f8"))
    again = Blocks(FAR)
    forms: dict[str, Any] = {
        "memory map": np.load(tmp_path / "rows.npy", mmap_mode="r"),
        "copy-on-write map": np.load(tmp_path / "rows.npy", mmap_mode="c"),
        "big-endian float64 map": np.load(tmp_path / "rows64.npy", mmap_mode="r"),
        "Fortran order": np.asfortranarray(FAR),
        "columns of a wider array": np.repeat(FAR, 2, axis=1)[:, ::2],
        "list of maps": list(np.array_split(np.load(tmp_path / "rows.npy", mmap_mode="r"), 4)),
        "blocks, again": again,
        "blocks, once": iter(Blocks(FAR)),
        "blocks, once, of two types": (b.astype("f8" if i % 2 else "f4") for i, b in enumerate(Blocks(FAR))),
    }
    for form, X in forms.items():
        assert make().fit(X, WEIGHT, max_memory="400MB") == expected, form
    assert again.passes > 3


def test_arrow_streams_are_read_batch_by_batch() -> None:
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed (extra arrow)")
    lists = pa.FixedSizeListArray.from_arrays(pa.array(FAR.ravel()), 8)
    table = pa.table({"vector": pa.chunked_array([lists[:100], lists[100:7001], lists[7001:]])})
    columns = pa.table({f"c{j}": FAR[:, j] for j in range(8)})
    expected = MAKERS["product"]().fit(FAR)
    for form in (table, columns, table["vector"], table.to_reader(500), columns.to_reader(500)):
        assert MAKERS["product"]().fit(form, max_memory="400MB") == expected
    for form in (table, columns.to_reader(500)):
        assert MAKERS["product"]().fit(form) == expected
    nulls = pa.table({"vector": pa.array([[1.0, 2.0], None], pa.list_(pa.float32(), 2))})
    with pytest.raises(ValueError, match="no list in row 1"):
        MAKERS["product"]().fit(nulls, max_memory="400MB")


def test_passes_go_on_from_a_codebook() -> None:
    old = cw.VectorQuantizer(40, max_iter=1).fit(FAR)
    expected = cw.VectorQuantizer(40).fit(FAR, WEIGHT, start=old)
    assert_same(cw.VectorQuantizer(40).fit(FAR, WEIGHT, start=old, max_memory="400MB"), expected)


@pytest.mark.parametrize("parameters", [{"assignment": "hierarchical"}, {"balance": 1.1}])
def test_what_remembers_where_each_row_was_asks_for_room_for_all_rows(parameters: dict[str, Any]) -> None:
    vq = cw.VectorQuantizer(100, **parameters)
    assert vq.clone().fit(ROWS, max_memory="400MB") == vq.clone().fit(ROWS)
    with pytest.raises(ValueError, match=r"VectorQuantizer\.fit, which needs all rows in memory"):
        vq.fit(ROWS, max_memory="1MB")


def test_threads_do_not_matter(keep_threads: None) -> None:
    expected = MAKERS["product"]().fit(FAR, WEIGHT)
    for threads in (1, 2, 5):
        cw.set_threads(threads)
        assert MAKERS["product"]().fit(FAR, WEIGHT, max_memory="400MB") == expected


def test_bad_rows_and_weights_are_named() -> None:
    bad = ROWS.copy()
    bad[4321, 3] = np.nan
    for form, where in ((bad, "row 4321, column 3"), (iter(np.split(bad, 3)), "block 1.*row 1321, column 3")):
        with pytest.raises(ValueError, match=where):
            cw.VectorQuantizer(4).fit(form, max_memory="400MB")
    weight = WEIGHT.copy()
    weight[77] = -1
    with pytest.raises(ValueError, match=r"sample_weight: .*-1.0 in row 77"):
        cw.VectorQuantizer(4).fit(ROWS, weight, max_memory="400MB")
    for n in (len(ROWS) - 1, len(ROWS) + 1):
        with pytest.raises(ValueError, match=f"sample_weight: expected one weight a row, got {n}"):
            cw.VectorQuantizer(4).fit(ROWS, np.ones(n), max_memory="400MB")
    with pytest.raises(ValueError, match="only zeros"):
        cw.VectorQuantizer(4).fit(ROWS, np.zeros(len(ROWS)), max_memory="400MB")
    with pytest.raises(ValueError, match="k = 9001 rows, got 9000"):
        cw.VectorQuantizer(9001).fit(ROWS, max_memory="400MB")
    with pytest.raises(ValueError, match=r"block 1.*width 7 instead of 8"):
        cw.VectorQuantizer(4).fit(iter([ROWS, ROWS[:, :7]]), max_memory="400MB")
    with pytest.raises(ValueError, match=r"column 0 .*Center"):
        cw.VectorQuantizer(4).fit(1e9 + BLOBS, max_memory="400MB")
    for empty in (iter([]), iter([ROWS[:0]])):
        with pytest.raises(ValueError, match="at least one row"):
            cw.VectorQuantizer(4).fit(empty, max_memory="400MB")


def test_blocks_that_change_from_pass_to_pass_are_refused() -> None:
    class Shrinking(Blocks):
        def __iter__(self) -> Iterator[np.ndarray]:
            self.passes += 1
            yield self.X[: len(self.X) - self.passes]

    class Shuffled(Blocks):
        def __iter__(self) -> Iterator[np.ndarray]:
            self.passes += 1
            yield np.random.default_rng(self.passes).permutation(self.X)

    with pytest.raises(ValueError, match=r"the same rows in the same order each time|the same 8998 rows"):
        cw.VectorQuantizer(4).fit(Shrinking(ROWS), max_memory="400MB")
    with pytest.raises(ValueError, match="the same rows in the same order each time"):
        cw.VectorQuantizer(4).fit(Shuffled(ROWS), max_memory="400MB")


@pytest.mark.parametrize("fails", [False, True])
def test_the_temporary_file_is_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def blocks() -> Iterator[np.ndarray]:
        yield ROWS
        if fails:
            raise KeyboardInterrupt
        yield ROWS

    if fails:
        with pytest.raises(KeyboardInterrupt):
            cw.VectorQuantizer(4).fit(blocks(), max_memory="400MB")
    else:
        cw.VectorQuantizer(4).fit(blocks(), max_memory="400MB")
    assert not list(tmp_path.iterdir())


def test_the_next_item_is_made_while_the_last_one_is_used() -> None:
    made = [threading.Event() for _ in range(4)]

    def items() -> Iterator[int]:
        for i, event in enumerate(made):
            event.set()
            yield i

    for i in sources.ahead(items()):
        assert i == 3 or made[i + 1].wait(10)
        assert i > 1 or not made[i + 2].is_set()


def test_errors_of_the_reader_reach_the_caller() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        list(sources.ahead(items()))


@pytest.mark.parametrize(
    ("text", "amount"),
    [("1GB", 10**9), ("1 gb", 10**9), ("1.5MiB", 3 << 19), ("64kB", 64_000), (".5K", 500), ("77", 77), (123, 123)],
)
def test_amounts_of_memory_are_read(text: Any, amount: int) -> None:
    assert checks.memory(text, "max_memory") == amount


@pytest.mark.parametrize("bad", ["1 GBB", "GB", "-1GB", "1e9", "0", 0, "", 1.5, None, True])
def test_other_amounts_of_memory_are_refused(bad: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="max_memory: expected bytes, or a number and a unit"):
        checks.memory(bad, "max_memory")


CHILD = """
import os, sys
if {group!r}:
    with open({group!r} + "/cgroup.procs", "w") as procs:
        procs.write(str(os.getpid()))
import threading, time, resource, numpy as np, codeword as cw
def status(key):
    return next(int(l.split()[1]) << 10 for l in open("/proc/self/status") if l.startswith(key))
cw.set_threads(2)
make = lambda: {make}
make().fit(np.random.default_rng(0).normal(size=(3000, {d})).astype("f4"), max_memory="400MB")  # imports, thread pool, scratch
X = np.load(sys.argv[1], mmap_mode="r")
if {once}:
    X = iter([X[i : i + 999] for i in range(0, len(X), 999)])
before, peak, done = status("RssAnon"), 0, False
def watch():
    global peak
    while not done:
        peak = max(peak, status("RssAnon"))
        time.sleep(0.001)
if {limited}:
    threading.Thread(target=lambda: None).start()
    resource.setrlimit(resource.RLIMIT_DATA, (status("VmData") + {cap} + (16 << 20),) * 2)  # and the stacks of two threads
thread = threading.Thread(target=watch)
thread.start()
try:
    fitted = make().fit(X, max_memory={cap})
finally:
    done = True
    thread.join()
cw.save(fitted, sys.argv[2])
print(peak - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status")
@pytest.mark.parametrize(
    ("make", "cap", "once", "limited"),
    [
        ("cw.VectorQuantizer(64, max_iter=2)", 27_000_000, False, False),
        ("cw.VectorQuantizer(64, max_iter=2)", 27_000_000, True, True),
        ("cw.ProductQuantizer(16, bits=6, max_iter=2)", 30_000_000, False, True),
        ("cw.ProductQuantizer(16, bits=6, max_iter=2)", 45_000_000, True, False),
        ("cw.Pipeline([cw.Center()], cw.VectorQuantizer(32, max_iter=2))", 66_000_000, False, False),
    ],
)
def test_memory_grows_by_no_more_than_the_cap(make: str, cap: int, once: bool, limited: bool, tmp_path: Path) -> None:
    d = 256
    X = rng.random((70_000, d), np.float32)  # 72 MB
    np.save(tmp_path / "rows.npy", X)
    code = CHILD.format(make=make, d=d, cap=cap, once=once, limited=limited, group="")
    arguments = [sys.executable, "-c", code, str(tmp_path / "rows.npy"), str(tmp_path / "model.cw")]
    ran = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert 0 < int(ran.stdout) <= cap
    assert cw.load(tmp_path / "model.cw").d == d


@contextmanager
def control_group(limit: int) -> Iterator[Path]:
    """A control group whose processes share `limit` bytes of memory, page cache included."""
    for root, name in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        group = Path(root) / f"codeword-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / name).write_text(str(limit))
        except OSError:
            group.rmdir()
            continue
        try:
            yield group
        finally:
            group.rmdir()
        return
    pytest.skip("no control group with a limit of memory can be made here (root and a memory controller are needed)")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="control groups are Linux's")
@pytest.mark.parametrize("make", ["cw.VectorQuantizer(64, max_iter=2)", "cw.ProductQuantizer(16, bits=6, max_iter=2)"])
def test_a_training_lives_in_a_control_group_of_one_and_a_half_caps(make: str, tmp_path: Path) -> None:
    cap, d = 120_000_000, 256
    np.save(tmp_path / "rows.npy", rng.random((200_000, d), np.float32))  # 205 MB
    with control_group(cap * 3 // 2) as group:
        code = CHILD.format(make=make, d=d, cap=cap, once=False, limited=False, group=str(group))
        arguments = [sys.executable, "-c", code, str(tmp_path / "rows.npy"), str(tmp_path / "model.cw")]
        ran = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert cw.load(tmp_path / "model.cw").d == d


def test_the_least_cap_is_named_and_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    X = rng.normal(size=(5000, 64)).astype(np.float32)
    for make in (lambda: cw.VectorQuantizer(128), lambda: cw.ProductQuantizer(8, bits=6), lambda: cw.ScalarQuantizer(3)):
        with pytest.raises(ValueError, match=r"max_memory: expected at least \d+MB for .*5000 rows of 64 columns") as refused:
            make().fit(X, max_memory="4MB")
        least = str(refused.value).split("at least ")[1].split(" ")[0]
        assert make().fit(X, max_memory=least) == make().fit(X)
