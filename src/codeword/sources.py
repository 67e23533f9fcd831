"""Rows that do not fit in memory: read block by block, as often as a training asks for them, within a cap.

    array | memory map | blocks | Arrow stream --open_rows--> Rows --read(step)--> (first row, block (<= step, d)), one block ahead

Arrays and memory maps are read where they lie; an iterable of blocks is iterated once a pass; what can be iterated only once (a
generator, an Arrow stream) is first written to a temporary file, in the directory that `tempfile.gettempdir` names, which
disappears with the program whatever happens. The first pass checks every row and measures the columns.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from codeword import checks, runtime
from codeword._native import column_range, crc32c

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Block = NDArray[Any]
T = TypeVar("T")
_PAGE = mmap.PAGESIZE
_LARGEST_BLOCK = 1 << 25
_LEAST_ROWS = 16
_MAPPING = 32 << 20  # transforms work in blocks of their own, some in float64


@dataclass(frozen=True, eq=False)
class Measured:
    """What the first pass found."""

    n: int
    used: int
    """Rows of weight above 0."""
    low: F64
    """(d,) lowest entry of each column, of the used rows."""
    high: F64
    heaviest: float | None
    """Largest weight; None without weights."""
    wide: bool
    """Whether some entries have more precision than float32."""


class Rows:
    """Rows (n, d) of numbers that are checked and are read in blocks."""

    def __init__(self, source: Parts | Again, weight: Any, cap: int) -> None:
        self._source = source
        self.cap = cap
        """Bytes that whatever is done with the rows may take."""
        self.d = source.d
        self.weight: Any = weight
        """(n,) array-like as given, or None; `read` gives checked float32."""
        self.overhead = 0
        """Bytes that reading takes whatever the size of a block."""
        self._maps: list[Callable[[Block], Block]] = []
        self._bytes_a_row = source.bytes_a_row
        self.measured = self._measure()

    @property
    def n(self) -> int:
        """Number of rows."""
        return self.measured.n

    @property
    def spread(self) -> F32:
        """Range of each column of the used rows, float32 (d,)."""
        return (self.measured.high - self.measured.low).astype(np.float32)

    @property
    def bytes_a_row(self) -> int:
        """Bytes that a row of a block takes while it is read and the next one is read ahead."""
        return self._bytes_a_row

    @property
    def picks(self) -> bool:
        """Whether single rows can be read without going through all of them."""
        return isinstance(self._source, Parts)

    def mapped(self, function: Callable[[Block], Block], d: int) -> Rows:
        """The same rows, each block passed through `function`, whose results have `d` columns, and measured anew."""
        return self._with(function, d, 12 * self.d + 4 * d, None)

    def narrowed(self) -> Rows:
        """The same rows rounded to float32; ValueError where that would lose more than 2**-20 of a column's spread."""
        if not self.measured.wide:
            return self
        low, high = checks.narrow(np.stack([self.measured.low, self.measured.high]), "X")
        measured = replace(self.measured, low=low.astype(np.float64), high=high.astype(np.float64), wide=False)
        return self._with(lambda block: block.astype(np.float32), self.d, 8 * self.d, measured)

    def read(self, step: int, label: str) -> Iterator[tuple[int, Block, F32 | None]]:
        """Number of the first row, rows (at most `step`, d) and their weights, block by block, with progress."""
        n = self.measured.n
        with runtime.Progress(label, n) as progress:
            for first, block in self._source.read(step):
                if first + len(block) > n:
                    raise ValueError(f"X: expected the same {n} rows each time it is iterated, got more")
                yield first, self._through(block), self._weights(first, len(block))
                progress.advance(len(block))
                done = first + len(block)
        if done != n:
            raise ValueError(f"X: expected the same {n} rows each time it is iterated, got {done}")

    def pick(self, numbers: I64, columns: slice) -> F32:
        """The rows of rising `numbers`, without going through the others (where `picks`)."""
        assert isinstance(self._source, Parts)
        if not self._maps:
            return self._source.pick(numbers, columns)
        return np.ascontiguousarray(self._through(self._source.pick(numbers, slice(None)))[:, columns])

    def weights_at(self, numbers: I64) -> F32 | None:
        """Weights of the rows of these numbers."""
        return None if self.weight is None else np.ascontiguousarray(self.weight[numbers], np.float32)

    def step(self, room: int, extra: int = 0) -> int:
        """Rows of a block that fit in `room` bytes, with `extra` more bytes for each."""
        return max(_LEAST_ROWS, min(room // max(1, self._bytes_a_row + extra), _LARGEST_BLOCK // (4 * self.d)))

    def gather(self, step: int, label: str) -> tuple[Block, F32 | None]:
        """All rows (n, d) and weights (n,)."""
        out = np.empty((self.n, self.d), np.float64 if self.measured.wide else np.float32)
        weight = None if self.weight is None else np.empty(self.n, np.float32)
        for first, block, w in self.read(step, label):
            out[first : first + len(block)] = block
            if weight is not None and w is not None:
                weight[first : first + len(block)] = w
        return out, weight

    def _with(self, function: Callable[[Block], Block], d: int, bytes_a_row: int, measured: Measured | None) -> Rows:
        made = object.__new__(Rows)
        made.overhead = self.overhead if measured else _MAPPING
        made._source, made.cap, made.weight, made.d = self._source, self.cap, self.weight, d
        made._maps = [*self._maps, function]
        made._bytes_a_row = self._bytes_a_row + bytes_a_row
        made.measured = measured or made._measure()
        return made

    def _through(self, block: Block) -> Block:
        for function in self._maps:
            block = function(block)
        return block

    def _weights(self, first: int, n: int) -> F32 | None:
        return None if self.weight is None else np.ascontiguousarray(self.weight[first : first + n], np.float32)

    def _measure(self) -> Measured:
        """Go through all rows once, check them and find the range of each column."""
        n = used = 0
        low, high, heaviest, wide = np.full(self.d, np.inf), np.full(self.d, -np.inf), 0.0, False
        total = None if self.weight is None else len(self.weight)
        for first, raw in self._source.read(self.step(self.cap // 4, self._bytes_a_row), checked=not self._maps):
            block = self._through(raw)
            if block.dtype == np.float64 and len(block):
                wide = True
                checks.check_range(block, "X", first)
            n += len(block)
            if total is not None:
                if n > total:
                    break
                w = _checked_weights(self._weights(first, len(block)), first)
                heaviest = max(heaviest, float(w.max(initial=0)))
                if not w.all():
                    block = block[w > 0]
            used += len(block)
            if len(block):
                least, most = column_range(block) if block.dtype == np.float32 else (block.min(0), block.max(0))
                low, high = np.minimum(low, least), np.maximum(high, most)
        if total is not None and n != total:
            rows = f"{n} rows" if n < total else f"more than {total} rows"
            raise ValueError(f"sample_weight: expected one weight a row, got {total} for {rows}")
        if not n:
            raise ValueError("X: expected at least one row, got none")
        if not used:
            raise ValueError("sample_weight: expected at least one weight above 0, got only zeros")
        return Measured(n, used, low, high, None if total is None else heaviest, wide)


class Parts:
    """Arrays (n_i, d) one below the other, in memory or mapped."""

    def __init__(self, parts: list[Block], name: str = "X") -> None:
        self._parts = parts
        self._name = name
        for i, part in enumerate(parts):
            checks.check_shape(
                part, name if len(parts) == 1 else f"{name}: block {i}", parts[0].shape[1] if i else None, len(parts) > 1
            )
        self.d = int(parts[0].shape[1])
        plain = all(p.dtype == np.float32 and p.dtype.isnative and p.flags.c_contiguous for p in parts)
        wide = any(not checks.fits_float32(p.dtype) for p in parts)
        self.bytes_a_row = 0 if plain else self.d * (16 if wide else 8)

    def read(self, step: int, checked: bool = False) -> Iterator[tuple[int, Block]]:
        """Blocks of at most `step` rows as float32 or float64, read one block ahead."""
        return ahead(self._blocks(step, checked))

    def pick(self, numbers: I64, columns: slice) -> Block:
        """Rows of rising `numbers`, some columns of them, as float32 or float64."""
        out = []
        start = 0
        for part in self._parts:
            inside = numbers[np.searchsorted(numbers, start) : np.searchsorted(numbers, start + len(part))] - start
            if len(inside):
                out.append(_floats(part[inside, columns]))
                release(part)
            start += len(part)
        return np.concatenate(out)

    def _blocks(self, step: int, checked: bool) -> Iterator[tuple[int, Block]]:
        first = 0
        last: Block | None = None
        for part in self._parts:
            for start in range(0, len(part), step):
                piece = part[start : start + step]
                block = checks.rows(piece, self._name, wide=True, first=first) if checked else _floats(piece)
                if np.may_share_memory(block, piece):
                    touch(block)
                yield first, block
                if last is not None:
                    release(last)
                first, last = first + len(piece), piece
        if last is not None:
            release(last)


class Again:
    """An iterable of blocks (n_i, d) that can be iterated any number of times, in the thread of the caller."""

    def __init__(self, blocks: Iterable[Any]) -> None:
        self._iterable = blocks
        shape = next((np.shape(block) for block in blocks), None)
        if shape is None:
            raise ValueError("X: expected at least one block of rows, got an empty iterable")
        self.d = int(shape[1]) if len(shape) == 2 else 1
        self.bytes_a_row = 16 * self.d
        self._seen: int | None = None

    def read(self, step: int, checked: bool = False) -> Iterator[tuple[int, Block]]:
        """Blocks of at most `step` rows as float32 or float64, always checked: they may be others than last time."""
        first = 0
        for block in _of_size(self._recognised(), step):
            yield first, block
            first += len(block)

    def _recognised(self) -> Iterator[Block]:
        """The blocks; ValueError at their end where the outermost rows of the blocks are others than the first time."""
        seen = 0
        for block in checked_blocks(self._iterable):
            for row in (block[:1], block[-1:]):
                seen = crc32c(row.reshape(-1).view(np.uint8), seen)
            yield block
        if self._seen not in (None, seen):
            raise ValueError("X: expected the same rows in the same order each time it is iterated, got others (shuffled, say)")
        self._seen = seen


@contextmanager
def open_rows(X: Any, sample_weight: Any, max_memory: Any) -> Iterator[Rows]:
    """Rows of `X`, of any form that `fit` takes, under a cap; temporary files are gone afterwards.

    Raises
    ------
    TypeError, ValueError
        As `codeword.checks.training_rows`, and if `max_memory` is no amount of memory.
    """
    import tempfile

    cap = checks.memory(max_memory, "max_memory")
    weight = None if sample_weight is None else checks.to_array(sample_weight, "sample_weight")
    if weight is not None and weight.ndim != 1:
        raise ValueError(f"sample_weight: expected shape (n,), one weight a row, got {weight.shape}")
    blocks = checks.blocks_of(X)
    with tempfile.TemporaryFile(prefix="codeword-") as file:
        if blocks is None:
            source: Parts | Again = Parts([checks.to_array(X, "X")])
        elif isinstance(blocks, (list, tuple)):
            source = Parts([checks.to_array(block, f"X: block {i}") for i, block in enumerate(blocks)])
        elif iter(blocks) is not blocks:
            source = Again(blocks)
        else:
            source = Parts(spill(checked_blocks(blocks), file))
        yield Rows(source, weight, cap)


def spill(blocks: Iterable[Block], file: Any) -> list[Block]:
    """Write blocks to an open file and map them: as few arrays (n_i, d) as there are changes between float32 and float64."""
    runs: list[tuple[int, int, Any]] = []
    width, at = 0, 0
    for block in blocks:
        width = block.shape[1]
        file.write(block.data if block.size else b"")
        if runs and runs[-1][2] == block.dtype:
            runs[-1] = (runs[-1][0], runs[-1][1] + len(block), block.dtype)
        else:
            runs.append((at, len(block), block.dtype))
        at += block.nbytes
    file.flush()
    mapped = [np.memmap(file, dtype, "r", offset, (n, width)) for offset, n, dtype in runs if n]
    if not mapped:
        raise ValueError(
            "X: expected at least one row, got an empty iterable" if not runs else "X: expected at least one row, got empty blocks"
        )
    return list(mapped)


def checked_blocks(blocks: Iterable[Any]) -> Iterator[Block]:
    """Each block as checked float32 or float64 rows; errors name the block."""
    width = None
    for i, block in enumerate(blocks):
        A = checks.rows(block, f"X: block {i}", d=width, wide=True, empty=True)
        width = A.shape[1]
        yield A


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, the next of which is made by another thread meanwhile.

    Examples
    --------
    >>> list(ahead(iter([1, 2, 3])))
    [1, 2, 3]
    """
    end: Any = object()
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1, "codeword-reader") as reader:
        coming = reader.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = reader.submit(next, items, end)
            yield item
            del item


def touch(block: Block) -> None:
    """Have the pages of a mapped block read now."""
    if block.nbytes >= _PAGE:
        block.reshape(-1).view(np.uint8)[::_PAGE].max()


def release(block: Block) -> None:
    """Let go of the pages of a block of a shared file mapping: they stay in the page cache, but not in this process."""
    whole: Any = block
    while whole is not None and not isinstance(getattr(whole, "_mmap", None), mmap.mmap):
        whole = getattr(whole, "base", None)
    if whole is None or whole.mode == "c" or not hasattr(mmap, "MADV_DONTNEED"):
        return
    mapping: mmap.mmap = whole._mmap
    start = block.__array_interface__["data"][0] - np.frombuffer(mapping, np.uint8).__array_interface__["data"][0]
    aligned = start // _PAGE * _PAGE
    with suppress(ValueError, OSError):
        mapping.madvise(mmap.MADV_DONTNEED, aligned, min(len(mapping) - aligned, start - aligned + block.nbytes))


def _of_size(blocks: Iterable[Block], step: int) -> Iterator[Block]:
    """Blocks of at most `step` rows; small ones are put together."""
    held: list[Block] = []
    rows = 0
    for block in blocks:
        for start in range(0, len(block), step):
            piece = block[start : start + step]
            if held and rows + len(piece) > step:
                yield _joined(held)
                held, rows = [], 0
            held.append(piece)
            rows += len(piece)
    if held:
        yield _joined(held)


def _joined(blocks: list[Block]) -> Block:
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def _floats(A: Block) -> Block:
    return np.ascontiguousarray(A, np.float32 if checks.fits_float32(A.dtype) else np.float64)


def _checked_weights(w: F32 | None, first: int) -> F32:
    assert w is not None
    bad = ~np.isfinite(w) | (w < 0)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(f"sample_weight: expected finite weights of at least 0, got {w[row]} in row {first + row}")
    return w
