"""Indexes of what is elsewhere: rows in memory or in an Arrow column, indexes of faiss."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import checks
from codeword.base import Quantizer
from codeword.search.index import Index
from codeword.search.segment import I64

_MOST_TRAINING_ROWS = 100_000


def default_quantizer() -> Quantizer:
    """A trellis code of 2 bits a dimension behind a `KLT`, fewer where variance is small."""
    from codeword.pipeline import Pipeline
    from codeword.quantizers.trellis import TrellisQuantizer
    from codeword.transforms.klt import KLT

    return Pipeline([KLT()], TrellisQuantizer(2.0, allocation="waterfill"))


def from_numpy(X: Any, quantizer: Quantizer | None, ids: Any, metric: str, options: dict[str, Any]) -> Index:
    """See `Index.from_numpy`."""
    A = checks.training_rows(X, wide=True)
    index = Index(default_quantizer() if quantizer is None else quantizer, metric, **options)
    if index.quantizer.d is None:
        step = -(-len(A) // _MOST_TRAINING_ROWS)
        index.quantizer.fit(A[::step])
    return index.fit(A).add(A, ids)


def from_arrow(
    table: Any, column: str | None, ids: str | None, quantizer: Quantizer | None, metric: str, options: dict[str, Any]
) -> Index:
    """See `Index.from_arrow`."""
    import pyarrow as pa

    held = pa.RecordBatchReader.from_stream(table).read_all()
    names = [] if ids is None else held.column(ids).to_pylist()
    if any(name is None for name in names):
        raise ValueError(f"ids: expected one for each row, got null in row {names.index(None)} of {ids!r}")
    rest = held.column_names if column is not None else [name for name in held.column_names if name != ids]
    rows = checks.training_rows(held.select([column] if column is not None else rest), wide=True)
    return from_numpy(rows, quantizer, names if ids is not None else None, metric, options)


def from_faiss(faiss_index: Any, quantizer: Quantizer | None, options: dict[str, Any]) -> Index:
    """See `Index.from_faiss`."""
    import faiss

    outer = faiss.downcast_index(faiss_index) if hasattr(faiss_index, "this") else faiss_index
    metrics = {faiss.METRIC_L2: "l2", faiss.METRIC_INNER_PRODUCT: "ip"}
    if outer.metric_type not in metrics:
        raise ValueError(f"faiss_index: expected the metric L2 or inner product, got number {outer.metric_type}")
    ids: I64 | None = None
    inner = outer
    if isinstance(outer, (faiss.IndexIDMap, faiss.IndexIDMap2)):
        ids, inner = faiss.vector_to_array(outer.id_map).astype(np.int64), faiss.downcast_index(outer.index)
    elif isinstance(outer, faiss.IndexIVF):
        ids = _list_ids(faiss, outer)
    if not outer.ntotal:
        raise ValueError("faiss_index: expected vectors in it, got none")
    rows = _rows_of_lists(faiss, outer, ids) if inner is outer and ids is not None else inner.reconstruct_n(0, outer.ntotal)
    return from_numpy(rows, quantizer, ids, metrics[outer.metric_type], options)


def _rows_of_lists(faiss: Any, index: Any, ids: I64) -> NDArray[Any]:
    """The vectors of an IVF index, which is left as it was."""
    before = index.direct_map.type
    index.set_direct_map_type(faiss.DirectMap.Hashtable)
    try:
        return np.asarray(index.reconstruct_batch(ids))
    finally:
        index.set_direct_map_type(before)


def _list_ids(faiss: Any, index: Any) -> I64:
    """The ids in the lists of an IVF index, rising."""
    lists = index.invlists
    parts = [faiss.rev_swig_ptr(lists.get_ids(i), lists.list_size(i)).copy() for i in range(index.nlist) if lists.list_size(i)]
    return np.sort(np.concatenate(parts)).astype(np.int64) if parts else np.zeros(0, np.int64)
