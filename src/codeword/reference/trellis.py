"""Slow NumPy twins of the trellis kernels. Their arguments are the fields of a TrellisCode (native/kernels.h), by name."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_LEVELS = 1024


def trellis_decode(codes: ArrayLike, code: dict[str, Any]) -> NDArray[np.float32]:
    """Rows (n, d) float32 of bitshift trellis codes (n, code_size) uint8.

    Examples
    --------
    One step of 8 bits' window for each of 8 coordinates of 1 bit; the value is the index.

    >>> code = dict(folds=np.zeros(256, int), widths=[1] * 8, firsts=range(9), columns=range(8), tables=[0] * 8,
    ...             means=np.zeros(8), scales=np.ones(8), fill=np.zeros(8), values=np.arange(256))
    >>> trellis_decode([[0b00000001]], code)
    array([[128.,  64.,  32.,  16.,   8.,   4.,   2.,   1.]], dtype=float32)
    """
    C = np.asarray(codes, dtype=np.uint8)
    out = np.tile(np.asarray(code["fill"], dtype=np.float32), (len(C), 1))
    means, scales = (np.asarray(code[name], dtype=np.float32) for name in ("means", "scales"))
    out[:, np.asarray(code["columns"], dtype=np.int64)] = _looked_up(C, code, code["values"]).astype(np.float32) * scales + means
    return out


def _looked_up(codes: NDArray[np.uint8], code: dict[str, Any], values: ArrayLike) -> NDArray[np.int64]:
    """What the coordinates (n, coordinates) of codes select of `values` (tables * 256)."""
    bits = np.unpackbits(codes, axis=1, bitorder="little").astype(np.int64)
    V = np.asarray(values, dtype=np.int64).ravel()
    out = np.zeros((len(codes), len(code["columns"])), np.int64)
    for j, end in enumerate(trellis_prepare(code)):
        newest = [bits[:, (end - 8 + b) % bits.shape[1]] << b for b in range(8)]
        older = [bits[:, (end - 16 + b) % bits.shape[1]] << b for b in range(8)]
        index = sum(newest) ^ np.asarray(code["folds"], dtype=np.int64)[sum(older)]
        out[:, j] = V[256 * int(code["tables"][j]) + index]
    return out


def trellis_prepare(code: dict[str, Any]) -> NDArray[np.int64]:
    """Where in a code the bits end (coordinates,) that each coordinate is looked up by: the 16 before that, around the front.

    Examples
    --------
    >>> trellis_prepare(dict(widths=[2, 3], firsts=[0, 1, 3]))
    array([2, 5, 5])
    """
    return np.repeat(np.cumsum(code["widths"], dtype=np.int64), np.diff(code["firsts"]))


def trellis_scan(
    codes: ArrayLike, code: dict[str, Any], values: ArrayLike, weights: ArrayLike, rise: ArrayLike
) -> NDArray[np.int32]:
    """Sums (n, q) of ``(value - 128) * weight * 2**rise`` of the block of 64 coordinates, modulo 2**32.

    `values` (tables * 256) uint8, `weights` (q, coordinates) int8, `rise` (blocks).
    """
    looked_up = _looked_up(np.asarray(codes, np.uint8), code, trellis_scan_prepare(values))
    sums = looked_up @ trellis_scan_weights(weights, rise).T
    return np.asarray(sums.astype(np.uint64).astype(np.uint32).view(np.int32))


def trellis_scan_prepare(values: ArrayLike) -> NDArray[np.int64]:
    """What 8-bit `values` of tables stand for.

    Examples
    --------
    >>> trellis_scan_prepare([0, 128, 255])
    array([-128,    0,  127])
    """
    return np.asarray(values, np.int64) - 128


def trellis_scan_weights(weights: ArrayLike, rise: ArrayLike) -> NDArray[np.int64]:
    """Weights (q, coordinates) times the power of two of their block.

    Examples
    --------
    >>> trellis_scan_weights([[3] * 65], [2, 0])[0, 62:]
    array([12, 12,  3])
    """
    W = np.asarray(weights, np.int64)
    return np.asarray(W << np.asarray(rise, np.int64)[np.arange(W.shape[1]) // 64])


def trellis_scan_choose(weights: ArrayLike, which: ArrayLike) -> NDArray[np.int64]:
    """The weights of the queries `which`.

    Examples
    --------
    >>> trellis_scan_choose([[1, 2], [3, 4], [5, 6]], [2, 0])
    array([[5, 6],
           [1, 2]])
    """
    return np.asarray(np.asarray(weights, np.int64)[np.asarray(which)])


def trellis_multiply_prepare(codes: ArrayLike, code: dict[str, Any], values: ArrayLike) -> NDArray[np.int64]:
    """Levels (bands * height, 4 * blocks), ``value - 128``, of the pieces of codes (bands, blocks, code_size), `values` uint8."""
    C = np.asarray(codes, np.uint8)
    bands, blocks, size = C.shape
    pieces = _looked_up(C.reshape(-1, size), code, values) - 128
    height = pieces.shape[1] // 4
    return np.asarray(pieces.reshape(bands, blocks, height, 4).transpose(0, 2, 1, 3).reshape(bands * height, 4 * blocks))


def trellis_multiply(levels: ArrayLike, x: ArrayLike) -> NDArray[np.int32]:
    """int8 `x` (n, columns) times `levels` (rows, columns), transposed, modulo 2**32: (n, rows)."""
    sums = np.asarray(x, np.int64) @ np.asarray(levels, np.int64).T
    return np.asarray(sums.astype(np.uint64).astype(np.uint32).view(np.int32))


def trellis_dot(codes: ArrayLike, code: dict[str, Any], weights: ArrayLike) -> NDArray[np.int64]:
    """Inner products (q, n) of int16 `weights` (q, coordinates) with the values of codes, exact."""
    return np.asarray(np.asarray(weights, np.int64) @ _looked_up(np.asarray(codes, np.uint8), code, code["values"]).T)


def trellis_encode(x: ArrayLike, code: dict[str, Any]) -> NDArray[np.uint8]:
    """Codes (n, code_size) uint8 of rows `x` (n, d): two Viterbi searches in byte metrics, or one for each first state.

    A window is written with its newest bit lowest, as the search counts; codes have the oldest bit first.
    """
    return np.array([_encode_row(row, code) for row in np.asarray(x, dtype=np.float32)], dtype=np.uint8)


def _encode_row(x: NDArray[np.float32], code: dict[str, Any]) -> NDArray[np.uint8]:
    widths, steps, warm = [int(w) for w in code["widths"]], len(code["widths"]), int(code["warm"])
    states = 1 << (code["window"] - widths[0])
    costs = _step_costs(x, code)

    def around(state: int) -> tuple[list[NDArray[np.int64]], int]:
        start = np.full(states, 255)
        start[state] = 0
        return _forward(start, range(steps), costs, code)

    if warm:
        near = [(t - warm) % steps for t in range(2 * warm)]
        metrics, _ = _forward(np.zeros(1 << (code["window"] - widths[near[0]]), np.int64), near, costs, code)
        state, _ = _back(int(np.argmin(metrics[-1])), metrics, near, warm, costs, code)
    else:
        state = int(np.argmin([lowered + metrics[-1][s] for s, (metrics, lowered) in enumerate(map(around, range(states)))]))
    _, emitted = _back(state, around(state)[0], range(steps), steps, costs, code)
    bits = [e >> (width - 1 - b) & 1 for e, width in zip(emitted, widths, strict=True) for b in range(width)]
    return np.packbits(bits, bitorder="little")


def _step_costs(x: NDArray[np.float32], code: dict[str, Any]) -> list[NDArray[np.int64]]:
    """The costs (256,) of each step, saturated; indices have their bits reversed."""
    costs = np.asarray(code["costs"], dtype=np.int64).reshape(-1, _LEVELS, 256)
    means, inverses = (np.asarray(code[name], dtype=np.float32) for name in ("means", "inverses"))
    scaled = np.fmax((x[code["columns"]] - means) * inverses, np.float32(-512))  # a NaN (infinity times 0) becomes -512
    levels = np.rint(np.minimum(scaled, np.float32(511))).astype(int) + 512
    rows = [costs[grid, level] for grid, level in zip(code["grids"], levels, strict=True)]
    firsts = code["firsts"]
    return [np.minimum(sum(rows[firsts[t] : firsts[t + 1]], np.zeros(256, np.int64)), 255) for t in range(len(firsts) - 1)]


def _index(windows: NDArray[np.int64], code: dict[str, Any]) -> NDArray[np.int64]:
    """Index, bits reversed, of windows whose newest bit is the lowest."""
    reverse = np.array([int(f"{b:08b}"[::-1], 2) for b in range(256)])
    older = reverse[np.asarray(code["folds"], dtype=np.int64)[reverse]]
    return np.asarray((windows & 255) ^ older[windows >> 8])


def _forward(
    start: NDArray[np.int64], order: Any, costs: list[NDArray[np.int64]], code: dict[str, Any]
) -> tuple[list[NDArray[np.int64]], int]:
    """Metrics before and after each step of `order`, and what was subtracted from them."""
    widths, window, steps = code["widths"], int(code["window"]), len(code["widths"])
    w = np.arange(1 << window)
    index, metrics, lowered = _index(w, code), [start], 0
    for t, step in enumerate(order):
        m = int(widths[(step + 1) % steps])
        sums = np.minimum(metrics[-1][w >> int(widths[step])] + costs[step][index], 255)
        least = sums.reshape(1 << m, -1).min(axis=0)
        if t % 8 == 7:
            lowered += int(least.min())
            least = least - least.min()
        metrics.append(least)
    return metrics, lowered


def _back(
    state: int, metrics: list[NDArray[np.int64]], order: Any, count: int, costs: list[NDArray[np.int64]], code: dict[str, Any]
) -> tuple[int, list[int]]:
    """The state before the last `count` steps of the path to `state`, and the bits of those steps."""
    widths, window, steps = code["widths"], int(code["window"]), len(code["widths"])
    emitted = []
    for t in range(len(order) - 1, len(order) - 1 - count, -1):
        m, e = int(widths[(order[t] + 1) % steps]), int(widths[order[t]])
        w = np.arange(1 << m) << (window - m) | state
        best = int(w[np.argmin(metrics[t][w >> e] + costs[order[t]][_index(w, code)])])
        emitted.append(best & ((1 << e) - 1))
        state = best >> e
    return state, emitted[::-1]
