"""The command that searches: an index, or a model and vectors or codes."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codeword import text
from codeword.cli.common import (
    Array,
    Column,
    Dim,
    Dtype,
    Json,
    Threads,
    kind_of,
    load_quantizer,
    print_json,
    print_pairs,
    read_rows,
    set_threads,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SHOWN_QUERIES = 5
Metric = Annotated[str, typer.Option("--metric", help="l2, ip or cosine; smaller is closer for all of them.")]


def search(
    target: Annotated[str, typer.Argument(metavar="MODEL|INDEX", help="File that `fit`, or folder that `index build` wrote.")],
    queries: Annotated[str, typer.Argument(metavar="QUERIES", help="Vectors to search with.")],
    k: Annotated[int, typer.Option("-k", metavar="N", min=1, help="Neighbours of each query.")] = 10,
    base: Annotated[str | None, typer.Option("--base", metavar="FILE", help="With a model: vectors to search in.")] = None,
    codes: Annotated[str | None, typer.Option("--codes", metavar="FILE", help="With a model: codes to search in.")] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", help="With a model: l2, ip or cosine.", show_default="l2, or the index's")
    ] = None,
    recall: Annotated[
        float | None, typer.Option("--recall", metavar="SHARE", help="With an index: the share of the neighbours to find.")
    ] = None,
    truth: Annotated[
        str | None, typer.Option("--truth", metavar="FILE", help="Ids of the true neighbours, nearest first: gives recall.")
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", help="With --base: find the true neighbours too, and give recall.")] = False,
    output: Annotated[str | None, typer.Option("--output", "-o", metavar="FILE", help="Write the ids (q, k) here.")] = None,
    distances: Annotated[str | None, typer.Option("--distances", metavar="FILE", help="Write the distances (q, k) here.")] = None,
    threads: Threads = None,
    dtype: Dtype = None,
    dim: Dim = None,
    column: Column = None,
    array: Array = None,
    as_json: Json = False,
) -> None:
    """Find the nearest codes of each query; ids are row numbers of the base.

    \b
    Examples:
      codeword search model.cw queries.npy --base X.npy -k 10 --exact
      codeword search model.cw queries.npy --codes codes.npy -o ids.npy
      codeword search X.index queries.npy -k 100 --recall 0.99 --truth truth.ivecs --json
      codeword index search X.index queries.npy
    """
    set_threads(threads)
    reading = (dtype, dim, column, array)
    found = _target(target, base, codes, metric, exact, recall, reading)
    Q = read_rows(queries, *reading)
    start = time.perf_counter()
    ids, away = found.search(Q, k)
    seconds = max(1e-9, time.perf_counter() - start)
    facts: dict[str, Any] = {
        "queries": len(Q),
        "k": k,
        "rows": found.n,
        "metric": found.metric,
        "code_size": found.code_size,
        "seconds": seconds,
        "queries_per_second": len(Q) / seconds,
    }
    known = _truth(truth, base if exact else None, Q, k, found.metric, reading)
    if known is not None:
        from codeword import metrics

        facts["recall_k"] = min(ids.shape[1], known.shape[1])
        facts["recall"] = metrics.recall(ids, known, facts["recall_k"])
    _write(facts, {"ids": (output, ids), "distances": (distances, away)})
    if as_json:
        print_json(facts if output else {**facts, "ids": ids, "distances": away})
        return
    _show(target, facts, ids, away, output is None)


@dataclasses.dataclass
class _Target:
    """What is searched: an index, or codes with their quantizer."""

    n: int
    metric: str
    code_size: int
    search: Callable[[Any, int], Any]


def _target(
    target: str,
    base: str | None,
    codes: str | None,
    metric: str | None,
    exact: bool,
    recall: float | None,
    reading: tuple[Any, ...],
) -> _Target:
    """The saved index, or one made of a model and vectors, or codes as they are."""
    import codeword as cw
    from codeword.search import flat

    kind = kind_of(target)
    if exact and base is None:
        raise typer.BadParameter("true neighbours can only be found among vectors: give --base", param_hint="--exact")
    if kind == "index":
        if base or codes or metric:
            raise typer.BadParameter(
                f"{target} is an index and has its own codes and metric", param_hint="--base, --codes, --metric"
            )
        index = cw.open_index(target)
    elif (base is None) == (codes is None):
        raise typer.BadParameter(
            f"{target} is a model: say what to search in, either --base or --codes", param_hint="--base, --codes"
        )
    elif base is not None:
        index = cw.Index(load_quantizer(target), metric=metric or "l2").add(read_rows(base, *reading))
    else:
        made, C = load_quantizer(target), read_rows(codes or "")
        by = metric or "l2"
        return _Target(len(C), by, made.code_size, lambda Q, k: flat.scan(made, C, Q, k, by))
    return _Target(len(index), index.metric, index.code_size, lambda Q, k: index.search(Q, k, recall=recall))


def _truth(truth: str | None, base: str | None, Q: NDArray[Any], k: int, metric: str, reading: tuple[Any, ...]) -> Any:
    """Ids of the true neighbours: from a file, or by exact search."""
    if truth is not None:
        return read_rows(truth)
    if base is None:
        return None
    from codeword.metrics import exact_search

    X = read_rows(base, *reading)
    return exact_search(X, Q, min(k, len(X)), metric)[0]


def _write(facts: dict[str, Any], results: dict[str, tuple[str | None, NDArray[Any]]]) -> None:
    from codeword import files

    for name, (path, values) in results.items():
        if path is not None:
            files.write(path, values)
            facts[f"{name}_file"] = path


def _show(target: str, facts: dict[str, Any], ids: NDArray[Any], away: NDArray[Any], with_ids: bool) -> None:
    pairs = [
        (
            "searched",
            f"{text.count(facts['rows'])} codes of {text.plural(facts['code_size'], 'byte')} for {facts['k']} neighbours by {facts['metric']}",
        ),
        ("time", f"{text.seconds(facts['seconds'])}, {text.digits(facts['queries_per_second'])} queries a second"),
    ]
    if "recall" in facts:
        pairs.append((f"recall@{facts['recall_k']}", f"{facts['recall']:.4f}"))
    pairs += [(name.replace("_file", ""), str(facts[name])) for name in ("ids_file", "distances_file") if name in facts]
    print_pairs(f"{target}: {text.count(facts['queries'])} queries", pairs)
    if not with_ids:
        return
    for row in range(min(_SHOWN_QUERIES, len(ids))):
        near = "  ".join(f"{i} ({text.digits(float(d))})" for i, d in zip(ids[row, :5], away[row, :5], strict=True))
        typer.echo(f"  query {row}: {near}{' ...' if ids.shape[1] > 5 else ''}")
    if len(ids) > _SHOWN_QUERIES:
        typer.echo(f"  ... and {text.count(len(ids) - _SHOWN_QUERIES)} more; -o ids.npy writes them all")
