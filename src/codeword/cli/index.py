"""Commands of saved indexes: build, add, remove, search, info, verify."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codeword import text
from codeword.cli import inspect
from codeword.cli import search as searching
from codeword.cli.common import (
    Array,
    Column,
    Dim,
    Dtype,
    Json,
    Threads,
    guarded,
    load_quantizer,
    print_json,
    print_pairs,
    read_rows,
    set_threads,
)

if TYPE_CHECKING:
    from codeword.search.index import Index

app = typer.Typer(help="Indexes in folders: build, add, remove, search, info, verify.", no_args_is_help=True)
Where = Annotated[str, typer.Argument(metavar="INDEX", help="Folder of the index.")]
Ids = Annotated[
    str | None, typer.Option("--ids", metavar="FILE", help="Ids of the rows: numbers in a vector file, or lines of text.")
]
Folder = Annotated[
    str, typer.Option("--output", "-o", metavar="INDEX", help="Folder to write; an index in it is replaced.", show_default=False)
]


def build(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="File that `fit` wrote.")],
    data: Annotated[str, typer.Argument(metavar="X", help="Vectors to search in; without --ids, their ids are their row numbers.")],
    output: Folder,
    metric: searching.Metric = "l2",
    lists: Annotated[str | None, typer.Option("--lists", metavar="N|auto", help="Divide the vectors into lists.")] = None,
    refine: Annotated[
        str | None,
        typer.Option("--refine", metavar="MODEL|float32|float16|int8", help="Compare candidates by a second code, or vectors."),
    ] = None,
    ids: Ids = None,
    threads: Threads = None,
    dtype: Dtype = None,
    dim: Dim = None,
    column: Column = None,
    array: Array = None,
    as_json: Json = False,
) -> None:
    """Encode vectors into an index and save it; it holds the codes and the model.

    \b
    Examples:
      codeword index build model.cw X.npy -o X.index
      codeword index build model.cw X.npy -o X.index --metric cosine --lists auto
    """
    import codeword as cw

    set_threads(threads)
    last: Any = refine if refine in (None, "float32", "float16", "int8") else load_quantizer(refine or "")
    divided = lists if lists in (None, "auto") else _whole(lists or "")
    made = cw.Index(load_quantizer(model), metric=metric, lists=divided, refine=last)
    X = read_rows(data, dtype, dim, column, array)
    start = time.perf_counter()
    made.add(X, None if ids is None else _ids(ids))
    seconds = time.perf_counter() - start
    made.save(output)
    facts = {"index": output, "rows": len(X), **made.stats(), "seconds": seconds}
    if as_json:
        print_json(facts)
        return
    side = f", {made.stats()['side_bytes']} of them side data" if made.estimator is not None else ""
    pairs = [("bytes per vector", f"{made.code_size}{side}"), ("metric", metric), ("encoded in", text.seconds(seconds))]
    print_pairs(f"{output}: index of {text.count(len(X))} vectors", pairs)
    typer.echo(f"Next: codeword index search {output} queries.npy -k 10")


def add(
    index: Where,
    data: Annotated[str, typer.Argument(metavar="X", help="Vectors to add.")],
    ids: Ids = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace vectors whose ids are there.")] = False,
    threads: Threads = None,
    dtype: Dtype = None,
    dim: Dim = None,
    column: Column = None,
    array: Array = None,
    as_json: Json = False,
) -> None:
    """Add vectors; what is there already is not written again.

    \b
    Examples:
      codeword index add X.index more.npy
      codeword index add X.index more.npy --ids ids.txt --replace
    """
    set_threads(threads)
    made, X = _opened(index), read_rows(data, dtype, dim, column, array)
    if replace and ids is None:
        raise typer.BadParameter("to replace vectors, say which: give --ids", param_hint="--replace")
    if replace:
        made.upsert(X, _ids(ids or ""))
    else:
        made.add(X, None if ids is None else _ids(ids))
    made.save()
    _said(index, made, "added", len(X), as_json)


def remove(
    index: Where,
    names: Annotated[list[str] | None, typer.Argument(metavar="[ID...]", help="Ids of vectors to remove.")] = None,
    ids: Ids = None,
    vacuum: Annotated[bool, typer.Option("--vacuum", help="Give back what removed vectors take, which writes all anew.")] = False,
    as_json: Json = False,
) -> None:
    """Remove vectors by id.

    \b
    Examples:
      codeword index remove X.index 17 42
      codeword index remove X.index --ids gone.txt --vacuum
    """
    made = _opened(index)
    gone: Any = [*([] if ids is None else list(_ids(ids)))]
    gone += [x if made.ids.dtype == object else _whole(x) for x in names or ()]
    if gone:
        made.remove(gone)
    if vacuum:
        made.vacuum()
    made.save()
    _said(index, made, "removed", len(gone), as_json)


def _ids(path: str) -> Any:
    """Ids from a file: lines of text, or a column of integers."""
    from codeword import files

    if path.endswith(".txt"):
        with open(path, encoding="utf-8") as file:
            lines = [line.rstrip("\n") for line in file]
        return [int(line) for line in lines] if all(line.isdigit() for line in lines) else lines
    rows = files.read(path)
    return rows.reshape(-1) if rows.ndim == 2 and 1 in rows.shape else rows


def _whole(word: str) -> int:
    if not word.isdigit():
        raise typer.BadParameter(f"expected a whole number, got {word!r}")
    return int(word)


def _opened(path: str) -> Index:
    import codeword as cw

    return cw.open_index(path)


def _said(path: str, index: Index, what: str, count: int, as_json: bool) -> None:
    if as_json:
        print_json({"index": path, what: count, **index.stats()})
    else:
        print_pairs(f"{path}: {what} {text.count(count)}", [("vectors", text.count(len(index)))])


for _command in (build, add, remove, searching.search, inspect.info, inspect.verify):
    app.command(_command.__name__)(guarded(_command))
