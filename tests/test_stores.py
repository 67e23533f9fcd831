"""Stores of texts behave as the frameworks say, tested against the real packages; they are skipped where those are not installed."""

from __future__ import annotations

import doctest
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import codeword as cw
from codeword.stores.documents import Documents

VECTORS = np.random.default_rng(0).standard_normal((50, 24)).astype(np.float32)
RECORDS = [{"n": i} for i in range(50)]
IDS = [f"d{i}" for i in range(50)]


def test_records_are_found_replaced_removed_and_saved(tmp_path: Path) -> None:
    made = Documents()
    assert made.search(VECTORS[0], 3) == []
    made.put(VECTORS, RECORDS, IDS)
    made.put(VECTORS[:2], [{"n": -1}, {"n": -2}], ["d3", "d3"])
    assert made.records["d3"] == {"n": -2} and len(made.index) == 50
    assert [name for name, _, _ in made.search(VECTORS[1], 2)] == ["d1", "d3"]
    assert made.search(VECTORS[5], 1)[0][2] == pytest.approx(1, abs=0.01)
    assert {r["n"] for _, r, _ in made.search(VECTORS[5], 9, lambda name, record: record["n"] in (7, 8))} == {7, 8}
    made.remove(["d1", "unknown", "d1"])
    made.save(tmp_path / "a")
    made.remove(["d2"])
    made.save(tmp_path / "a")
    opened = Documents.open(tmp_path / "a")
    assert opened.records == made.records and sorted(opened.index.ids) == sorted(made.records)


def test_a_save_that_did_not_end_leaves_what_both_files_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Documents()
    made.put(VECTORS[:4], RECORDS[:4], IDS[:4])
    made.save(tmp_path / "a")
    made.remove(["d0"])
    made.put(VECTORS[4:6], RECORDS[4:6], IDS[4:6])
    monkeypatch.setattr(cw.Index, "save", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        made.save(tmp_path / "a")
    opened = Documents.open(tmp_path / "a")
    assert sorted(opened.records) == sorted(opened.index.ids) == ["d1", "d2", "d3"]
    (tmp_path / "a" / "records.json").write_text("[]")
    with pytest.raises(cw.FormatError):
        Documents.open(tmp_path / "a")


def test_a_langchain_store_does_what_langchain_says(tmp_path: Path) -> None:
    pytest.importorskip("langchain_core")
    from langchain_core.documents import Document
    from langchain_core.embeddings import DeterministicFakeEmbedding

    from codeword.stores import langchain
    from codeword.stores.langchain import CodewordStore

    assert doctest.testmod(langchain).failed == 0
    embedding = DeterministicFakeEmbedding(size=48)
    texts = [f"text {i}" for i in range(30)]
    store = CodewordStore.from_texts(
        texts, embedding, [{"n": i, "odd": i % 2} for i in range(30)], ids=[f"i{i}" for i in range(30)]
    )
    assert [d.page_content for d in store.similarity_search("text 7", k=1)] == ["text 7"]
    document, score = store.similarity_search_with_score("text 7", k=1)[0]
    assert (document.id, document.metadata["n"]) == ("i7", 7) and score == pytest.approx(1, abs=0.01)
    assert {d.metadata["odd"] for d in store.similarity_search("text 7", k=9, filter={"odd": 0})} == {0}
    assert [d.id for d in store.similarity_search("x", k=9, filter=lambda d: d.metadata["n"] > 28)] == ["i29"]
    assert store.similarity_search_with_relevance_scores("text 7", k=1)[0][1] == pytest.approx(1, abs=0.01)
    assert store.add_documents([Document(id="i7", page_content="new", metadata={})]) == ["i7"]
    assert [d.page_content for d in store.get_by_ids(["i7", "i99"])] == ["new"] and len(store._documents.index) == 30
    assert store.delete(["i1", "i2"]) and store.get_by_ids(["i1"]) == []
    (made,) = store.add_texts(["without id"])
    store.save(tmp_path / "a")
    opened = CodewordStore.open(tmp_path / "a", embedding)
    assert opened.get_by_ids([made])[0].page_content == "without id"
    assert opened.as_retriever(search_kwargs={"k": 2}).invoke("text 9")[0].page_content == "text 9"
    assert opened.delete() and opened.similarity_search("text 9") == []
    with pytest.raises(ValueError, match="as many metadatas"):
        opened.add_texts(["a", "b"], [{}])


def test_a_llamaindex_store_does_what_llamaindex_says(tmp_path: Path) -> None:
    pytest.importorskip("llama_index.core")
    from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
    from llama_index.core.vector_stores.types import FilterOperator, MetadataFilter, MetadataFilters, VectorStoreQuery

    from codeword.stores.llamaindex import CodewordVectorStore

    def node(i: int) -> Any:
        made = TextNode(id_=f"n{i}", text=f"text {i}", metadata={"n": i}, embedding=VECTORS[i].tolist())
        made.relationships[NodeRelationship.SOURCE] = RelatedNodeInfo(node_id=f"doc{i % 3}")
        return made

    store = CodewordVectorStore()
    assert store.add([node(i) for i in range(30)]) == [f"n{i}" for i in range(30)]

    def ask(i: int, **options: Any) -> Any:
        return store.query(VectorStoreQuery(query_embedding=VECTORS[i].tolist(), **options))

    found = ask(7, similarity_top_k=2)
    assert found.ids[0] == "n7" and found.nodes[0].get_content() == "text 7" and found.nodes[0].metadata == {"n": 7}
    assert found.similarities[0] == pytest.approx(1, abs=0.01)
    above = MetadataFilters(filters=[MetadataFilter(key="n", value=27, operator=FilterOperator.GT)])
    assert set(ask(7, similarity_top_k=9, filters=above).ids) == {"n28", "n29"}
    assert set(ask(7, similarity_top_k=9, node_ids=["n1", "n2"]).ids) == {"n1", "n2"}
    store.delete("doc1")
    assert len(store.get_nodes()) == 20 and store.client is store._documents.index
    store.delete_nodes(["n0"])
    store.persist(str(tmp_path / "a"))
    opened = CodewordVectorStore.from_persist_path(str(tmp_path / "a"))
    assert len(opened.get_nodes()) == 19 and opened.get_nodes(["n2"])[0].get_content() == "text 2"
    opened.clear()
    assert opened.get_nodes() == []
