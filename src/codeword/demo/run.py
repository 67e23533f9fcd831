"""What the demo does: several quantizers at several sizes on one set of vectors, measured on rows held out.

vectors --hold out queries--> fit, encode, search, compare with exact search --> one Measured a quantizer
"""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import codeword as cw
from codeword import files, keys, metrics, text
from codeword.base import Quantizer
from codeword.demo import photos

K = 10
_QUERIES = 1000
_SEARCHES = 3  # of which the middle one counts: they are short, and machines have other work
_TRAINING_ROWS = 50_000  # about 200 for each of 256 codewords: more gain nothing here
_BASE_ROWS = 500_000  # of one's own file: the demo is to end soon
_PICTURE_BYTES = (24, 12)  # for each square of 192
_PICTURE_ROWS = 20_000
_STREAM = 0x64656D6F  # which use of the seed holding out rows is (see codeword.keys)
Say = Callable[[str], None]
Pictures = list[tuple[str, NDArray[np.uint8]]]


@dataclasses.dataclass
class Vectors:
    """What is searched, and with what."""

    what: str
    base: NDArray[Any]
    queries: NDArray[Any]


@dataclasses.dataclass
class Measured:
    """One method on the demo's vectors; what exact search has no use for is None there."""

    name: str
    bytes: int
    compression: float
    recall: float
    queries_per_second: float
    snr_db: float | None = None
    gap_db: float | None = None
    fit_seconds: float | None = None
    encode_seconds: float | None = None
    model_bytes: int = 0


def run(
    data: str | None = None,
    *,
    output: str = "out",
    seed: int = 0,
    reading: Mapping[str, Any] | None = None,
    quick: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Run the demo: print the table, write the page, the picture and the best model into the folder `output`.

    Parameters
    ----------
    data : str, optional
        A vector file; by default descriptors of two photographs (extra ``codeword[demo]``).
    output : str
    seed : int
    reading : mapping, optional
        Arguments of `files.read`.
    quick : bool
        Few photograph vectors, for tests.
    quiet : bool
        Print nothing.

    Returns
    -------
    dict
        The figures of the table and the paths of the files, as JSON.
    """
    from codeword.demo import show

    say = _silent if quiet else _progress
    start = time.perf_counter()
    vectors = photo_vectors(quick) if data is None else file_vectors(data, seed, **dict(reading or {}))
    say(show.title(vectors))
    truth, exact = _exact(vectors)
    say(f"  exact search: {text.seconds(len(vectors.queries) / exact.queries_per_second)}")
    found = [exact]
    n, d = _training(vectors, seed).shape
    quantizers = plan(n, d, seed)
    for name, quantizer in quantizers:
        found.append(_measure(name, quantizer, vectors, truth, seed))
        say(f"  {name}, {text.plural(found[-1].bytes, 'byte')}: fitted in {text.seconds(found[-1].fit_seconds or 0)}")
    best = found[1], quantizers[0][1]
    for measured, (_, quantizer) in zip(found[1:], quantizers, strict=True):
        best = (measured, quantizer) if show.better(measured, best[0]) else best
    pictures = coded_pictures(seed, say) if data is None and not quick else []
    paths = show.write(output, vectors, found, pictures, best)
    seconds = time.perf_counter() - start
    if not quiet:
        show.terminal(vectors, found, best[0], paths, data, seconds)
    return show.facts(vectors, found, paths, seconds)


def photo_vectors(quick: bool = False) -> Vectors:
    """Descriptors of the two photographs; the queries lie between the places that the base has."""
    images = photos.load()
    stride = 16 if quick else 2
    base = photos.descriptors(images, stride, 0)
    between = photos.descriptors(images, stride, stride // 2)
    n = min(_QUERIES, len(between) // 4)
    return Vectors("local descriptors of two photographs", base, between[keys.sample(0, _STREAM, len(between), n)])


def file_vectors(path: str, seed: int, **reading: Any) -> Vectors:
    """Vectors of a file, of which some are held out as queries and at most half a million are kept."""
    X = files.read(path, **reading)
    if len(X) < 10 * K:
        raise ValueError(f"{path}: the demo needs at least {10 * K} rows, the file has {len(X)}")
    kept = keys.sample(seed, _STREAM, len(X), _BASE_ROWS + _QUERIES)
    is_query = np.zeros(len(kept), bool)
    is_query[keys.sample(seed, _STREAM + 1, len(kept), min(_QUERIES, len(kept) // 10))] = True
    return Vectors(f"vectors of {os.path.basename(path)}", np.ascontiguousarray(X[kept[~is_query]]), X[kept[is_query]])


def plan(n: int, d: int, seed: int) -> list[tuple[str, Quantizer]]:
    """Quantizers worth comparing for `n` training rows of width `d`; the codes of one name grow."""
    bits = 8 if n >= 1024 else 4  # 2**bits codewords need rows to learn from
    made: list[tuple[str, Quantizer]] = [("vector", cw.VectorQuantizer(max(2, min(1024, n // 40)), seed=seed))]
    shares = (16, 8, 4, 2)  # of the bytes of one a coordinate
    sizes = sorted({min(d, max(1, d * 8 // (bits * share))) for share in shares})
    made += [("product", cw.ProductQuantizer(m, bits, seed=seed)) for m in sizes]
    for share in shares:
        trellis = cw.TrellisQuantizer(8 / share, allocation="waterfill")
        made.append(("KLT + trellis", cw.Pipeline([cw.KLT(seed=seed)], trellis)))
    made += [("rotation + scalar", cw.Pipeline([cw.Rotation(seed=seed)], cw.ScalarQuantizer(b))) for b in (4, 8)]
    return made


def coded_pictures(seed: int, say: Say, rows: int = _PICTURE_ROWS) -> Pictures:
    """Both photographs, and what is left of them in codes of ever fewer bytes for each square of 8 x 8 pixels."""
    images = photos.load()
    squares = np.concatenate([photos.patches(image, 3) for image in images])
    train = squares[keys.sample(seed, _STREAM + 3, len(squares), rows)]
    quantizers = [(m, cw.Pipeline([cw.KLT(d_out=3 * m, seed=seed)], cw.ProductQuantizer(m, seed=seed))) for m in _PICTURE_BYTES]
    for m, quantizer in quantizers:
        _, seconds = _timed(partial(quantizer.fit, train))
        say(f"  picture, {m} bytes a square: fitted in {text.seconds(seconds)}")
    made: Pictures = []
    for image in images:
        height, width = (side // photos.PATCH * photos.PATCH for side in image.shape[:2])
        original, tiles = image[:height, :width], photos.patches(image)
        made.append((f"Original: {tiles.shape[1]} bytes a square.", original))
        for m, quantizer in quantizers:
            picture = photos.picture(quantizer.decode(quantizer.encode(tiles)), height, width)
            psnr = photos.psnr(original, picture)
            made.append((f"{m} bytes a square, {text.digits(tiles.shape[1] / m)} times smaller; PSNR {psnr:.1f} dB.", picture))
    return made


def _training(vectors: Vectors, seed: int) -> NDArray[Any]:
    rows = keys.sample(seed, _STREAM + 2, len(vectors.base), _TRAINING_ROWS)
    return np.ascontiguousarray(vectors.base[rows])


def _exact(vectors: Vectors) -> tuple[NDArray[np.int64], Measured]:
    (truth, _), seconds = _timed(lambda: metrics.exact_search(vectors.base, vectors.queries, K))
    row = vectors.base.shape[1] * vectors.base.dtype.itemsize
    return truth, Measured("exact search", row, 1.0, 1.0, len(vectors.queries) / seconds)


def _measure(name: str, quantizer: Quantizer, vectors: Vectors, truth: NDArray[np.int64], seed: int) -> Measured:
    """Fit on a sample, encode the base, search the codes; distortion on the queries, which nothing was fitted on."""
    index = cw.Index(quantizer)
    _, fit = _timed(lambda: index.fit(_training(vectors, seed)))
    _, encode = _timed(lambda: index.add(vectors.base))
    searches = [_timed(lambda: index.search(vectors.queries, K)) for _ in range(_SEARCHES)]
    found, search = searches[0][0], sorted(seconds for _, seconds in searches)[_SEARCHES // 2]
    lost = quantizer.distortion(vectors.queries)
    return Measured(
        name,
        index.code_size,
        vectors.base.shape[1] * vectors.base.dtype.itemsize / index.code_size,
        metrics.recall(found.ids, truth, K),
        len(vectors.queries) / search,
        lost.snr_db,
        lost.gaussian_gap_db,
        fit,
        encode,
        index.model_bytes,
    )


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    result = work()
    return result, max(1e-9, time.perf_counter() - start)


def _silent(line: str) -> None:
    pass


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
