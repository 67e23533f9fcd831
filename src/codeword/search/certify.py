"""Whether what a search returned is what an exhaustive comparison of the vectors themselves would have: proven, likely, or not known.

Every row keeps ``e >= |x - x̂|``, the length of what its code leaves, rounded up. With ``r = |q - x̂|``, computed from the decoded code,
    r - e  <=  |q - x|  <=  r + e         (triangle inequality)
so the k returned are the k nearest if no other row's lower end is below the largest upper end among them; for inner products the ends
are ``<q, x̂> ± |q| e`` (Cauchy-Schwarz), and cosines are those of rows of length 1. Where that proves nothing but the index is
calibrated, the error bars take the place of the ends: then each pair is as told with the bars' confidence.

Source: Gao & Long 2024, "RaBitQ" (bounds on estimated distances decide what is compared again); the names are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from codeword import _native
from codeword.base import F32
from codeword.lanes import lane_dot
from codeword.search.bars import Calibration
from codeword.search.scan import Nearest
from codeword.search.segment import I64
from codeword.search.view import View

if TYPE_CHECKING:
    from codeword.search.model import Model

F64 = NDArray[np.float64]
PROVEN, LIKELY, UNKNOWN = "proven", "95 %", "not known"
COLUMN, BYTES = "left", 2
_ROUNDING = 2.0**-20  # of |q| + |x̂|: float32 reconstructions, sums in float64
_ROWS_A_BLOCK = 4096


def left(X: F32, decoded: F32) -> NDArray[np.float16]:
    """Lengths (n,) of ``x - x̂``, rounded up to float16.

    Raises
    ------
    ValueError
        If one is beyond float16.
    """
    error = X.astype(np.float64) - decoded
    exact = np.sqrt(lane_dot(error, error)) * (1 + _ROUNDING)
    with np.errstate(over="ignore"):
        up = exact.astype(np.float16)
    up = np.where(up.astype(np.float64) < exact, np.nextafter(up, np.float16(np.inf)), up)
    if not np.isfinite(up).all():
        raise ValueError(
            f"X: what the code leaves of row {int(np.argmin(np.isfinite(up)))} is too long to certify; scale rows down"
        )
    return up


def proven(
    decode: Callable[..., F32], columns: Sequence[str], metric: str, view: View, queries: F32, ids: I64, exact: F64 | None
) -> NDArray[np.bool_]:
    """For which queries (q,) the rows with `ids` (q, k) are proven to be the nearest of the view, whatever their order.

    Parameters
    ----------
    decode : callable
        Rows (n, d) float32 of `columns`.
    exact : ndarray (q,) float64, optional
        The largest exact distance among them, where it is known.

    Notes
    -----
    All rows are decoded: this takes about as long as comparing all of them exactly.
    """
    worst_inside, best_outside = np.full(len(queries), -np.inf), np.full(len(queries), np.inf)
    for pieces in view.blocks(_ROWS_A_BLOCK):
        *parts, error = view.columns((*columns, COLUMN), pieces)
        low, high = _ends(metric, queries, decode(*parts), error.astype(np.float64))
        out = view.out(pieces)
        if out is not None:
            low[:, out] = np.inf
        inside = _members(ids, view.ids(pieces))
        worst_inside = np.maximum(worst_inside, np.where(inside, high, -np.inf).max(axis=1))
        best_outside = np.minimum(best_outside, np.where(inside, np.inf, low).min(axis=1))
    if exact is not None:
        farthest = np.sqrt(exact) if metric == "l2" else exact
        worst_inside = np.minimum(worst_inside, farthest + np.abs(farthest) * _ROUNDING)
    return np.asarray(worst_inside <= best_outside)


def _members(ids: I64, names: I64) -> NDArray[np.bool_]:
    """Which of `names` (n,) are in each row of `ids` (q, k)."""
    out = np.zeros((len(ids), len(names)), np.bool_)
    order = np.argsort(names)
    at = np.minimum(np.searchsorted(names[order], ids), len(names) - 1)
    query, place = np.nonzero(names[order][at] == ids)
    out[query, order[at[query, place]]] = True
    return out


def _ends(metric: str, queries: F32, rows: F32, error: F64) -> tuple[F64, F64]:
    """Least and largest distances (q, n), those of l2 not squared, of vectors within `error` (n,) of `rows` (n, d)."""
    wide_q, wide = queries.astype(np.float64), rows.astype(np.float64)
    q, x = np.sqrt(lane_dot(wide_q, wide_q))[:, None], np.sqrt(lane_dot(wide, wide))[None]
    slack = error[None] + _ROUNDING * (q + x)
    if metric == "l2":
        away = np.sqrt(_native.pairwise_sqdist(np.ascontiguousarray(queries), np.ascontiguousarray(rows)))
        return np.maximum(away - slack, 0.0), away + slack
    product = _native.pairwise_dot(np.ascontiguousarray(queries), np.ascontiguousarray(rows))
    if metric == "ip":
        slack = q * slack + _ROUNDING * q * x
        return -product - slack, -product + slack
    # The angle between x and x̂ is at most asin(e / |x̂|), and angles obey the triangle inequality.
    size = q * x
    cosine = np.clip(np.divide(product, size, out=np.zeros_like(product), where=size > 0), -1.0, 1.0)
    ratio = np.divide(slack, x, out=np.ones_like(slack), where=x > slack)
    turn = np.where(ratio < 1.0, np.arcsin(np.minimum(ratio, 1.0)), np.pi) + 2.0**-16
    angle = np.arccos(cosine)
    low, high = 1.0 - np.cos(np.maximum(angle - turn, 0.0)), 1.0 - np.cos(np.minimum(angle + turn, np.pi))
    low = np.where(q > 0, low, 1.0)
    return np.where(ratio < 1.0, low, 0.0), np.where(q > 0, np.where(ratio < 1.0, high, 2.0), 1.0)


def guarantees(
    model: Model, calibration: Calibration | None, view: View, Q: NDArray[Any], found: Nearest, lists: int | None
) -> NDArray[Any]:
    """The guarantee of each query's result (q,): proven, else likely where its error bars and those of others lie apart.

    Raises
    ------
    ValueError
        If the index keeps nothing to tell it from.
    """
    k = found.names.shape[1]
    if not model.certified and calibration is None:
        raise ValueError("certify: expected an index made with certify=True, or calibrated, got neither")
    sure, likely = np.zeros(len(Q), np.bool_), np.zeros(len(Q), np.bool_)
    if model.certified:
        sure = model.proven(view, Q, found)
    if calibration is not None and model.refiner is None:
        more, _ = model.search(view, Q, 2 * k + 10, lists)
        ends = calibration.bars(Q, more.distances, model.score)
        likely = ends.high[:, :k].max(axis=1) <= ends.low[:, k:].min(axis=1, initial=np.inf)
    return np.where(sure, PROVEN, np.where(likely, LIKELY, UNKNOWN)).astype(object)
