"""Make src/codeword/trellis_tables.npz, the tables of the bitshift trellis code. A few minutes on one core.

    python tools/trellis_tables.py [--output FILE] [--windows 10 12] [--bytes]

For each window the columns of the linear hash are given: they were found by a random search and hill climbing on the distortion of
Gaussian rows, all rates together. The values are trained here by Lloyd's rule: code random rows, replace each value by the mean of
what it stood for. Then the weight of the metric is chosen.

`--bytes` makes the tables of `trellis.byte_tables` from those of window 12: the same training, but values stay multiples of one step that fit a
byte, and equal under the periods of their kind.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from codeword import trellis

# Column k: what the k-th newest bit of a window adds to the rank of its value among the 256 Gaussian quantiles.
HASHES = {
    8: (128, 64, 32, 240, 156, 253, 198, 73),
    9: (128, 64, 96, 85, 143, 246, 82, 119, 180),
    10: (128, 64, 32, 80, 120, 124, 250, 103, 138, 65),
    12: (128, 64, 32, 80, 152, 4, 66, 81, 117, 245, 214, 145),
    16: (128, 64, 32, 144, 200, 92, 50, 123, 21, 57, 219, 171, 220, 139, 224, 169),
}
DIMENSIONS = 384
ROUNDS = 12
ROWS = {8: 3000, 9: 3000, 10: 3000, 12: 2500, 16: 400}
PERIODS = (17, 66)  # exclusive ors of an index under which the tables of window 12 change least
BYTE_KINDS = {(1, 1): 2, (3, 2): 2, (2, 1): 2, (5, 2): 0, (3, 1): 1, (4, 1): 0}  # how many of them each kind has
WEIGHTS = (0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


def folds_and_ranks(hash_: tuple[int, ...]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The same hash with the newest 8 bits as they are: columns (8,) of the others, and the rank (256,) of each index."""
    ranks = np.zeros(256, np.int64)
    for k, column in enumerate(hash_[:8]):
        ranks ^= np.where(np.arange(256) >> (7 - k) & 1, column, 0)
    index = np.argsort(ranks)
    if len(set(ranks)) != 256:
        raise ValueError(f"the first 8 columns of {hash_} are not independent")
    return np.array([index[c] for c in hash_[8:]] + [0] * (16 - len(hash_)), np.uint8), ranks


def layout(width: int, group: int) -> trellis.Layout:
    """Steps of one kind for rows of DIMENSIONS columns."""
    steps = np.tile(np.array([width, group, group], np.int32), (DIMENSIONS // group, 1))
    return trellis.Layout(steps, np.arange(DIMENSIONS, dtype=np.int32))


def decoded(tables: trellis.Tables, plan: trellis.Layout, X: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows after coding, with a warm-up that is not the limit."""
    coder = trellis.coder(tables, plan, np.zeros(DIMENSIONS), np.ones(DIMENSIONS), 48)
    return coder.decode(coder.encode(X))


def rows(n: int, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(n, DIMENSIONS)).astype(np.float32)


def gap(X: NDArray[np.float32], Y: NDArray[np.float32], rate: float) -> float:
    """dB above the distortion-rate function of a Gaussian."""
    return float(10 * np.log10(np.mean((X.astype(np.float64) - Y) ** 2) * 4.0**rate))


def lloyd(tables: trellis.Tables, plan: trellis.Layout, X: NDArray[np.float32]) -> NDArray[np.int16]:
    """Values after one round; rarely used ones move little."""
    values = tables.values.copy()
    # Rows that are decoded with the index as value tell which index each coordinate has.
    names = trellis.Tables(
        tables.window,
        tables.columns,
        np.tile(np.arange(256, dtype=np.int16), (len(tables.values), 1)),
        tables.weights,
        tables.distortions,
    )
    zeros, ones = np.zeros(DIMENSIONS), np.ones(DIMENSIONS)
    codes = trellis.coder(tables, plan, zeros, ones, 48).encode(X)
    index = np.rint(trellis.coder(names, plan, zeros, ones, 1).decode(codes) * trellis.UNIT).astype(np.int64)
    for table in np.unique(plan.tables):
        used = plan.tables == table
        count = np.bincount(index[:, used].ravel(), minlength=256)
        total = np.bincount(index[:, used].ravel(), X[:, used].ravel().astype(np.float64) * trellis.UNIT, minlength=256)
        values[table] = np.rint(np.clip((total + 3.0 * values[table]) / (count + 3), -32000, 32000))
    return values


def train(window: int) -> trellis.Tables:
    """Tables of one window."""
    columns, ranks = folds_and_ranks(HASHES[window])
    quantiles = np.array([NormalDist().inv_cdf((i + 0.5) / 256) for i in range(256)])
    rates, random = trellis.table_rates(), np.random.default_rng(window)
    start = [quantiles[ranks] if r >= 1 else random.permutation(quantiles) for r in rates]
    values = np.rint(np.array(start) * np.sqrt(1 - 4.0**-rates)[:, None] * trellis.UNIT).astype(np.int16)
    weights = np.where(rates < 2.75, 3.0, np.where(rates < 3.5, 2.0, np.where(rates < 4.5, 1.0, 0.5))).astype(np.float32)
    distortions = np.zeros(len(rates), np.float32)
    tables = trellis.Tables(window, columns, values, weights, distortions)
    for width, group in trellis.KINDS:
        plan, rate = layout(width, group), width / group
        for seed in range(ROUNDS):
            values[:] = lloyd(tables, plan, rows(ROWS[window], seed))
        X = rows(ROWS[window] // 2, 1000)
        found = []
        for weight in WEIGHTS:
            weights[np.unique(plan.tables)] = weight
            found.append((gap(X, decoded(tables, plan, X), rate), weight))
        weights[np.unique(plan.tables)] = min(found)[1]
        distortions[np.unique(plan.tables)] = 4.0**-rate * 10 ** (min(found)[0] / 10)
        print(f"window {window}, {rate} bits: {min(found)[0]:.3f} dB above the bound, weight {min(found)[1]}", flush=True)
    return tables


def merged(values: NDArray[np.int16], periods: tuple[int, ...]) -> NDArray[np.int16]:
    """Tables (tables, 256) equal under each period, of levels from -127 to 127 times one step."""
    means = values.astype(np.float64)
    for period in periods:
        means = (means + means[:, np.arange(256) ^ period]) / 2
    step = np.ceil(np.abs(means).max() / 127)
    return np.asarray(np.rint(means / step) * step, np.int16)


def train_bytes() -> trellis.Tables:
    """Tables of window 12 for byte arithmetic. Kinds that are not in BYTE_KINDS stay as they are."""
    made = trellis.shipped(12)
    tables = trellis.Tables(12, made.columns, made.values.copy(), made.weights.copy(), made.distortions.copy())
    for (width, group), count in BYTE_KINDS.items():
        plan, rate, used = layout(width, group), width / group, list(trellis.table_numbers(width, group))
        tables.values[used] = merged(tables.values[used], PERIODS[:count])
        for seed in range(ROUNDS):
            tables.values[used] = merged(lloyd(tables, plan, rows(ROWS[12], seed))[used], PERIODS[:count])
        X = rows(ROWS[12] // 2, 1000)
        before, after = (gap(X, decoded(t, plan, X), rate) for t in (made, tables))
        tables.distortions[used] = 4.0**-rate * 10 ** (after / 10)
        print(f"bytes, {rate} bits: {after:.3f} dB above the bound, {before:.3f} of the other tables", flush=True)
    return tables


def named(made: trellis.Tables, suffix: str) -> dict[str, NDArray[np.generic]]:
    return {f"{name}_{suffix}": getattr(made, name) for name in ("columns", "values", "weights", "distortions")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path(trellis.__file__).with_name("trellis_tables.npz"))
    parser.add_argument("--windows", type=int, nargs="*", default=list(HASHES))
    parser.add_argument("--bytes", action="store_true")
    arguments = parser.parse_args()
    arrays: dict[str, NDArray[np.generic]] = {}
    if arguments.output.exists():
        arrays.update(np.load(arguments.output))
    for window in [] if arguments.bytes else arguments.windows:
        arrays.update(named(train(window), str(window)))
    if arguments.bytes:
        arrays.update(named(train_bytes(), "bytes"))
    np.savez_compressed(arguments.output, **{name: arrays[name] for name in sorted(arrays)})  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
