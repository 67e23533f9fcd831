"""Which layer gets how many bits: greedy descent of the expected error by what a byte gains.

    (cost of a unit of distortion, weights) of each layer, a budget of bytes --> a rate for each layer

Source: Shoham & Gersho 1988, "Efficient bit allocation for an arbitrary set of quantizers" (convex hulls); that errors of layers add:
Malinovskii et al. 2024, "HIGGS" (linearity theorem).
"""

from __future__ import annotations

import heapq
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from codeword.nn.codecs import codec
from codeword.nn.feedback import Tiling
from codeword.nn.matrix import DAMPING, Importance

F32 = NDArray[np.float32]


class Candidate(NamedTuple):
    """A layer to give bits to: its shape as a matrix, and what a distortion of 1 in units of its entries costs."""

    shape: tuple[int, int]
    cost: float


def unit_cost(W: F32, importance: Importance | None, *, lookup: bool) -> float:
    """The weighted error of a matrix whose entries are coded with a distortion of 1, expected from its moments.

    With feedback an error costs what remains of an input's variance once the others are known. Random rotations make these
    equal, so all are their geometric mean, the root of the determinant. Rows that are looked up are needed one at a time. Without
    moments all weights cost the same.
    """
    if importance is None:
        return float(W.size)
    squares = np.einsum("ij,ij->i", W, W, dtype=np.float64)
    matter = np.ones(len(W)) if importance.outputs is None else importance.outputs
    spread = float(squares.mean()) if lookup else float(np.sqrt(matter * squares).sum()) ** 2 / len(W)
    H = importance.inputs
    if H is None:
        return spread
    damped = H + (DAMPING * float(np.trace(H)) / len(H) + 1e-30) * np.eye(len(H))
    return spread * float(np.exp(np.linalg.slogdet(damped)[1] / len(H)))


def code_bytes(shape: tuple[int, int], method: str, rate: float) -> int:
    """Bytes of the codes of a matrix."""
    tiling = Tiling.of(*shape)
    return tiling.bands * tiling.blocks * codec(method, rate).code_size(tiling.width)


def allocate(layers: dict[str, Candidate], method: str, budget: float, least: float, most: float) -> dict[str, float]:
    """A rate from `least` to `most` for each layer, codes of at most `budget` bytes in all.

    Raises
    ------
    ValueError
        If the lowest rates take more.

    Examples
    --------
    >>> layers = {"a": Candidate((512, 512), 1.0), "b": Candidate((512, 512), 30.0)}
    >>> allocate(layers, "trellis", 2 * 512 * 512 * 2 / 8, 1, 6)
    {'a': 1.0, 'b': 3.0}
    """
    hulls = {name: _hull(layer, method, least, most) for name, layer in layers.items()}
    chosen = dict.fromkeys(hulls, 0)
    left = budget - sum(hull[0][1] for hull in hulls.values())
    if left < 0:
        raise ValueError(f"bits, target: the lowest rate takes {-left:,.0f} bytes more than there are")
    queue = [entry for name in hulls for entry in _next(name, 0, hulls[name])]
    heapq.heapify(queue)
    while queue:
        _, name, step, size = heapq.heappop(queue)
        if size <= left:
            left -= size
            chosen[name] = step
            for entry in _next(name, step, hulls[name]):
                heapq.heappush(queue, entry)
    return {name: hulls[name][step][0] for name, step in chosen.items()}


_Point = tuple[float, int, float]  # rate, bytes, expected error


def _hull(layer: Candidate, method: str, least: float, most: float) -> list[_Point]:
    """The rates whose errors lie on the lower convex hull."""
    rates = [r for r in codec(method, 2.0).rates if least <= r <= most]
    points: list[_Point] = [(r, code_bytes(layer.shape, method, r), layer.cost * codec(method, r).distortion) for r in rates]
    hull: list[_Point] = []
    for point in points:
        while len(hull) > 1 and _slope(hull[-2], hull[-1]) <= _slope(hull[-1], point):
            hull.pop()
        hull.append(point)
    return hull


def _slope(a: _Point, b: _Point) -> float:
    return (a[2] - b[2]) / (b[1] - a[1])


def _next(name: str, step: int, hull: list[_Point]) -> list[tuple[float, str, int, int]]:
    if step + 1 == len(hull):
        return []
    return [(-_slope(hull[step], hull[step + 1]), name, step + 1, hull[step + 1][1] - hull[step][1])]
