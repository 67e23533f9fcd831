"""One contender of rate_distortion.py on one data set at one size: rows, figures, and what is compared row by row."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from coders import Coder, Contender
from common import data_folder, rows
from rd_cells import Cell

from codeword.exact import exact_search

DATA = ("minilm-wordnet", "sift-kodak", "mnist784", "stream-reuters", "gauss", "laplace")
SIZES = (10_000, 4000, 250)
INNER_PRODUCTS = ("sift-kodak", "mnist784")
K = 10
ROWS_A_CODEWORD = 39
SYNTHETIC_ROWS, SYNTHETIC_D, QUERIES = 40_000, 128, 500
_PRODUCTS = 64  # queries whose inner products with all coded rows are looked at


def width(data: str) -> int:
    """Dimensions of a data set."""
    if data in ("gauss", "laplace"):
        return SYNTHETIC_D
    return int(np.load(data_folder() / data / f"{_part(data)}.npy", mmap_mode="r").shape[1])


def _part(data: str) -> str:
    return "vectors" if data == "stream-reuters" else "base"


def load(data: str, sizes: tuple[int, ...]) -> tuple[Any, Any, Any]:
    """Rows to fit, rows to code, queries: float32, at most `sizes` of them (0: all)."""
    random = np.random.default_rng(0)
    if data in ("gauss", "laplace"):
        draw = random.standard_normal if data == "gauss" else random.laplace
        X = draw(size=(SYNTHETIC_ROWS + QUERIES, SYNTHETIC_D)).astype(np.float32)
    else:
        X = rows(data, False, _part(data))
    X = X[random.permutation(len(X))]
    if data in ("gauss", "laplace", "stream-reuters"):
        Q, X = X[:QUERIES], X[QUERIES:]
    else:
        Q = rows(data, False, "queries")
    parts = X[: len(X) // 2], X[len(X) // 2 :], Q
    return tuple(np.ascontiguousarray(M[: size or len(M)]) for M, size in zip(parts, sizes, strict=True))  # type: ignore[return-value]


def measure(cell: Cell, contender: Contender) -> tuple[dict[str, Any], dict[str, Any]]:
    """Figures, and by kind what rows or queries have of them."""
    A, B, Q = load(cell.data, cell.rows)
    coder = contender.make(A.shape[1], cell.size)
    if coder is None:
        return {"cannot": "no code of this size"}, {}
    start = time.process_time()
    coder.fit(A)
    fit = time.process_time() - start
    start = time.process_time()
    codes = coder.encode(B)
    encode = time.process_time() - start
    figures: dict[str, Any] = {
        "bytes": int(coder.size),
        "model_bytes": int(coder.model_bytes),
        "fit_cpu_s": fit,
        "encode_us": encode / len(B) * 1e6,
        "starved": bool(len(A) < ROWS_A_CODEWORD * coder.codewords),
        "note": getattr(coder, "note", ""),
        "tried": getattr(coder, "tried", []),
        "rows": [len(A), len(B), len(Q)],
    }
    by_row: dict[str, Any] = {}
    X_hat = np.asarray(coder.decode(codes), np.float32) if coder.decodes else None
    if X_hat is not None:
        by_row["errors"] = ((B.astype(np.float64) - X_hat) ** 2).mean(1) / A.var(0, dtype=np.float64).mean()
        figures["distortion"] = float(by_row["errors"].mean())
    for metric in ("l2", "ip") if cell.data in INNER_PRODUCTS else ("l2",):
        recalls = recall_by_query(coder, B, X_hat, Q, metric)
        if recalls is not None:
            by_row[f"recalls_{metric}"] = recalls
            figures[f"recall_{metric}"] = float(recalls.mean())
    estimated = Q[:_PRODUCTS] @ X_hat.T if X_hat is not None else coder.products(B, Q[:_PRODUCTS])
    products_errors(estimated, B, Q[:_PRODUCTS], figures, by_row)
    return figures, by_row


def recall_by_query(coder: Coder, B: Any, X_hat: Any, Q: Any, metric: str) -> Any:
    """Share of the true ten nearest that are found, for each query; None where the coder does not know the metric."""
    truth, _ = exact_search(B, Q, K, metric)
    found = coder.search(B, Q, K, metric)
    if found is None and X_hat is not None:
        found = exact_search(X_hat, Q, K, metric)[0]
    return None if found is None else (found[:, :, None] == truth[:, None, :]).any(2).sum(1) / K


def products_errors(estimated: Any, B: Any, Q: Any, figures: dict[str, Any], by_row: dict[str, Any]) -> None:
    """Errors of inner products (q, n): by query over |q| |x|, and over their own size by tenths of the rows, from the shortest on."""
    true = Q.astype(np.float64) @ B.T.astype(np.float64)
    lengths = np.linalg.norm(B.astype(np.float64), axis=1)
    error = estimated - true
    scaled = error / np.maximum(lengths * np.linalg.norm(Q.astype(np.float64), axis=1)[:, None], 1e-30)
    by_row["products"] = (scaled * scaled).mean(1)
    figures["product_error"] = float(np.sqrt(by_row["products"].mean()))
    tenths = np.array_split(np.argsort(lengths, kind="stable"), 10)
    figures["product_error_by_length"] = [float(np.sqrt((error[:, t] ** 2).mean() / (true[:, t] ** 2).mean())) for t in tenths]
