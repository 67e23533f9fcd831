"""A LlamaIndex vector store on compressed vectors (needs ``llama-index-core``)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from llama_index.core.schema import BaseNode, MetadataMode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryResult,
)
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict
from pydantic import PrivateAttr

from codeword.base import Quantizer
from codeword.stores.documents import Documents, Record

_TESTS: dict[FilterOperator, Any] = {
    FilterOperator.EQ: lambda a, b: a == b,
    FilterOperator.NE: lambda a, b: a != b,
    FilterOperator.GT: lambda a, b: a is not None and a > b,
    FilterOperator.GTE: lambda a, b: a is not None and a >= b,
    FilterOperator.LT: lambda a, b: a is not None and a < b,
    FilterOperator.LTE: lambda a, b: a is not None and a <= b,
    FilterOperator.IN: lambda a, b: a in b,
    FilterOperator.NIN: lambda a, b: a not in b,
}


class CodewordVectorStore(BasePydanticVectorStore):
    """Nodes found by the cosine of their embeddings, which are kept as codes."""

    stores_text: bool = True
    flat_metadata: bool = False
    _documents: Documents = PrivateAttr()

    def __init__(self, quantizer: Quantizer | None = None) -> None:
        super().__init__()
        self._documents = Documents(quantizer)

    @property
    def client(self) -> Any:
        """The index."""
        return self._documents.index

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Add nodes, which must have embeddings, replacing those of the same ids."""
        records = [
            {
                "text": node.get_content(metadata_mode=MetadataMode.NONE),
                "metadata": node_to_metadata_dict(node, remove_text=True, flat_metadata=False),
                "document": node.ref_doc_id,
                "own": dict(node.metadata),
            }
            for node in nodes
        ]
        names = [node.node_id for node in nodes]
        self._documents.put([node.get_embedding() for node in nodes], records, names)
        return names

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Remove all nodes of a document."""
        records = self._documents.records
        self._documents.remove([name for name, record in records.items() if record["document"] == ref_doc_id])

    def delete_nodes(self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **delete_kwargs: Any) -> None:
        """Remove the nodes with these ids that the filters let through."""
        chosen = [name for name, record in self._documents.records.items() if _wanted(name, record, node_ids, filters, None)]
        self._documents.remove(chosen)

    def get_nodes(self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None) -> list[BaseNode]:
        """The nodes with these ids that the filters let through."""
        records = self._documents.records
        return [_node(record) for name, record in records.items() if _wanted(name, record, node_ids, filters, None)]

    def clear(self) -> None:
        """Remove all nodes."""
        self._documents.remove(list(self._documents.records))

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """The nodes nearest to the query's embedding."""
        if query.query_embedding is None:
            raise ValueError("query: expected an embedding")

        def wanted(name: str, record: Record) -> bool:
            return _wanted(name, record, query.node_ids, query.filters, query.doc_ids)

        filtered = bool(query.node_ids or query.filters or query.doc_ids)
        found = self._documents.search(query.query_embedding, query.similarity_top_k, wanted if filtered else None)
        return VectorStoreQueryResult(
            nodes=[_node(record) for _, record, _ in found],
            similarities=[cosine for _, _, cosine in found],
            ids=[name for name, _, _ in found],
        )

    def persist(self, persist_path: str | os.PathLike[str], fs: Any = None) -> None:
        """Save to the folder `persist_path` of this machine, incrementally."""
        if fs is not None:
            raise ValueError("fs: expected None, as indexes are mapped from files of this machine")
        self._documents.save(persist_path)

    @classmethod
    def from_persist_path(cls, persist_path: str | os.PathLike[str]) -> CodewordVectorStore:
        """Open what `persist` wrote."""
        made = cls()
        made._documents = Documents.open(persist_path)
        return made


def _node(record: Record) -> BaseNode:
    node = metadata_dict_to_node(record["metadata"])
    node.set_content(record["text"])
    return node


def _wanted(name: str, record: Record, ids: list[str] | None, filters: MetadataFilters | None, documents: list[str] | None) -> bool:
    if (ids and name not in ids) or (documents and record["document"] not in documents):
        return False
    return filters is None or _passes(record["own"], filters)


def _passes(metadata: dict[str, Any], filters: MetadataFilters) -> bool:
    answers = []
    for part in filters.filters:
        if isinstance(part, MetadataFilters):
            answers.append(_passes(metadata, part))
        else:
            answers.append(_test(metadata, part))
    if filters.condition == FilterCondition.OR:
        return any(answers)
    return not any(answers) if filters.condition == FilterCondition.NOT else all(answers)


def _test(metadata: dict[str, Any], part: MetadataFilter) -> bool:
    if part.operator not in _TESTS:
        raise ValueError(f"filters: {part.operator} is not supported; expected one of {', '.join(o.value for o in _TESTS)}")
    return bool(_TESTS[part.operator](metadata.get(part.key), part.value))
