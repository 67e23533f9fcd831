"""A LangChain `VectorStore` on compressed vectors (needs ``langchain-core``).

Texts and metadata are JSON records, so metadata must be; nothing is pickled.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore

from codeword.base import Quantizer
from codeword.stores.documents import Documents, Record

Filter = dict[str, Any] | Callable[[Document], bool]


class CodewordStore(VectorStore):
    """Texts found by the cosine of their embeddings, which are kept as codes.

    Parameters
    ----------
    embedding : Embeddings
    quantizer : Quantizer, optional
        By default 8 bits a dimension behind a random rotation.

    Examples
    --------
    >>> from langchain_core.embeddings import DeterministicFakeEmbedding
    >>> store = CodewordStore(DeterministicFakeEmbedding(size=32))
    >>> ids = store.add_texts(["a rose", "a tulip"], [{"n": 1}, {"n": 2}])
    >>> store.similarity_search("a tulip", k=1)[0].page_content
    'a tulip'
    """

    def __init__(self, embedding: Embeddings, quantizer: Quantizer | None = None) -> None:
        self._embedding = embedding
        self._documents = Documents(quantizer)

    @property
    def embeddings(self) -> Embeddings:
        return self._embedding

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Add texts; an id that is there, or None, which makes one, is taken as it is documented by LangChain."""
        words = list(texts)
        about = metadatas or [{} for _ in words]
        names = [name or str(uuid.uuid4()) for name in (ids or [""] * len(words))]
        if not len(words) == len(about) == len(names):
            raise ValueError(f"texts: expected as many metadatas and ids, got {len(words)}, {len(about)} and {len(names)}")
        records = [{"text": text, "metadata": dict(m)} for text, m in zip(words, about, strict=True)]
        if words:
            self._documents.put(self._embedding.embed_documents(words), records, names)
        return names

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool | None:
        """Remove texts; all of them if `ids` is None."""
        self._documents.remove(list(self._documents.records) if ids is None else ids)
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The texts with `ids`, those that are there."""
        records = self._documents.records
        return [_document(name, records[name]) for name in ids if name in records]

    def similarity_search(self, query: str, k: int = 4, *, filter: Filter | None = None, **kwargs: Any) -> list[Document]:
        """The k texts nearest to `query`; `filter` is metadata that must be equal, or says it of a document."""
        return [document for document, _ in self.similarity_search_with_score(query, k, filter=filter)]

    def similarity_search_with_score(
        self, query: str, k: int = 4, *, filter: Filter | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """The same with cosines: larger is nearer."""
        return self._search(self._embedding.embed_query(query), k, filter)

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, *, filter: Filter | None = None, **kwargs: Any
    ) -> list[Document]:
        """The k texts nearest to an embedding."""
        return [document for document, _ in self._search(embedding, k, filter)]

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        quantizer: Quantizer | None = None,
        **kwargs: Any,
    ) -> CodewordStore:
        """A store of texts."""
        made = cls(embedding, quantizer)
        made.add_texts(texts, metadatas, ids=ids)
        return made

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save to the folder `path`, incrementally."""
        self._documents.save(path)

    @classmethod
    def open(cls, path: str | os.PathLike[str], embedding: Embeddings) -> CodewordStore:
        """Open what `save` wrote."""
        made = cls(embedding)
        made._documents = Documents.open(path)
        return made

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        return lambda cosine: min(max(cosine, 0.0), 1.0)

    def _search(self, vector: list[float], k: int, filter: Filter | None) -> list[tuple[Document, float]]:
        def wanted(name: str, record: Record) -> bool:
            if callable(filter):
                return bool(filter(_document(name, record)))
            return all(record["metadata"].get(key) == value for key, value in (filter or {}).items())

        found = self._documents.search(vector, k, None if filter is None else wanted)
        return [(_document(name, record), cosine) for name, record, cosine in found]


def _document(name: str, record: Record) -> Document:
    return Document(id=name, page_content=record["text"], metadata=dict(record["metadata"]))
