"""Texts with embeddings: an index whose ids are strings, and a JSON record for each id, saved side by side in a folder.

vectors (n, d), records, ids --> Index, {id: record};   vector (d,), k --> ids, records, similarities
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from codeword.base import Quantizer
from codeword.errors import FormatError
from codeword.io import replacing
from codeword.search.index import Index
from codeword.search.store import open_index

Record = dict[str, Any]
_INDEX, _RECORDS = "index", "records.json"


def default_quantizer() -> Quantizer:
    """Eight bits a dimension behind a random rotation: needs next to no training rows, and loses next to nothing."""
    from codeword.pipeline import Pipeline
    from codeword.quantizers.binary import BinaryQuantizer
    from codeword.transforms.rotation import Rotation

    return Pipeline([Rotation()], BinaryQuantizer(8))


class Documents:
    """Records found by the cosine of their vectors.

    Parameters
    ----------
    quantizer : Quantizer, optional
        Fitted, or fitted to the first vectors; by default `default_quantizer()`.
    """

    def __init__(self, quantizer: Quantizer | None = None) -> None:
        self.index = Index(default_quantizer() if quantizer is None else quantizer, "cosine")
        self.records: dict[str, Record] = {}

    def put(self, vectors: Any, records: Sequence[Record], ids: Sequence[str]) -> None:
        """Add records, replacing those that have the ids."""
        if not len(ids):
            return
        X = np.asarray(vectors, np.float32)
        if self.index.quantizer.d is None:
            self.index.fit(X)
        latest = {name: i for i, name in enumerate(ids)}  # of an id that comes twice, the last counts
        kept = list(latest.values())
        self.index.upsert(X[kept], list(latest))
        self.records.update({ids[i]: records[i] for i in kept})

    def remove(self, ids: Sequence[str]) -> None:
        """Remove records; ids that are not there do not matter."""
        gone = [name for name in dict.fromkeys(ids) if name in self.records]
        if gone:
            self.index.remove(gone)
            for name in gone:
                del self.records[name]

    def search(self, vector: Any, k: int, wanted: Callable[[str, Record], bool] | None = None) -> list[tuple[str, Record, float]]:
        """The k records whose vectors are nearest to `vector` (d,), of those that are `wanted`, with their cosines."""
        if not self.records:
            return []
        where = None
        if wanted is not None:
            where = [name for name, record in self.records.items() if wanted(name, record)]
        found = self.index.search(np.asarray(vector, np.float32)[None], k, where=where)
        return [(name, self.records[name], float(s)) for name, s in zip(found.ids[0], found.scores[0], strict=True)]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save to the folder `path`; whatever fails, it can be opened afterwards."""
        import json

        folder = os.fsdecode(path)
        os.makedirs(folder, exist_ok=True)
        with replacing(os.path.join(folder, _RECORDS)) as file:
            file.write(json.dumps(self.records, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        if self.index.quantizer.d is not None:
            self.index.save(os.path.join(folder, _INDEX))

    @classmethod
    def open(cls, path: str | os.PathLike[str], quantizer: Quantizer | None = None) -> Documents:
        """Open what `save` wrote. What only one of the two files knows, because a save did not end, is left out."""
        import json

        folder, made = os.fsdecode(path), cls(quantizer)
        with open(os.path.join(folder, _RECORDS), encoding="utf-8", errors="surrogatepass") as file:
            try:
                records = json.load(file)
            except ValueError as e:
                raise FormatError(f"{file.name}: {e}") from None
        if not isinstance(records, dict) or not all(isinstance(record, dict) for record in records.values()):
            raise FormatError(f"{folder}: {_RECORDS} does not hold records")
        if os.path.isdir(os.path.join(folder, _INDEX)):
            made.index = open_index(os.path.join(folder, _INDEX))
        there = set(made.index.ids.tolist())
        made.records = {name: record for name, record in records.items() if name in there}
        strangers = [name for name in there if name not in made.records]
        if strangers:
            made.index.remove(strangers)
        return made
