"""What changes of an `Index` do: rows and ids are checked, encoded without the lock, and put into its table under it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from codeword import checks
from codeword.search.model import Model
from codeword.search.names import checked_ids
from codeword.search.segment import LARGEST_ID
from codeword.search.table import Table

if TYPE_CHECKING:
    from codeword.search.index import Index


def put(index: Index, X: Any, ids: Any, how: str) -> Index:
    """Add rows ("add"), or replace those whose ids are there: the others are new ("upsert") or refused ("update")."""
    index._check_fitted()
    A = checks.to_array(X, "X")
    checks.check_shape(A, "X", index.quantizer.d, True)
    checked = None if ids is None and how == "add" else checked_ids(ids, len(A), LARGEST_ID)
    index._identity.check_kind(checked, index._table.snapshot)
    if not len(A):
        return index
    model = index.model
    if model is None:
        checks.rows(A, d=index.quantizer.d, wide=True)
        with index._table.lock:
            model = index.model or decide(index, A)
    columns, labels = model.columns(A)
    with index._table.lock:
        numbers = index._identity.to_write(checked, how, index._table.snapshot)
        distortion = model.distortion_of(A, columns["codes"])
        index._table.append(columns, numbers, labels, replacing=how != "add", distortion=distortion)
    return index


def remove(index: Index, ids: Any) -> Index:
    """See `Index.remove`."""
    checked = checked_ids(ids if isinstance(ids, str) else np.atleast_1d(np.asarray(ids)), None, LARGEST_ID)
    with index._table.lock:
        index._table.remove(index._identity.known(checked, index._table.snapshot))
    return index


def decide(index: Index, A: NDArray[Any]) -> Model:
    """Decide what a row holds, from rows `A` (n, d) like those to come; the lock is held."""
    model = Model.fit(index.quantizer, index.metric, index.wanted, A)
    index._table = Table(model.partition.lists)  # first: whoever sees the model must find the table, and the lock, that go with it
    index.model = model
    return model
