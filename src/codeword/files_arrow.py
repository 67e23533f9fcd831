"""Vectors in Parquet, Arrow and Feather files: a column of lists, or numeric columns side by side (extra ``codeword[arrow]``).

fixed-size lists, lists of equal lengths: one column -> (n, d) | all columns numeric: d columns -> (n, d)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword.errors import FormatError
from codeword.io import replacing

_ROWS_AT_ONCE = 1 << 14
COLUMN = "vector"
"""Name of the column that `write` makes."""


def read(name: str, suffix: str, column: str | Sequence[str] | None) -> NDArray[Any]:
    """Rows (n, d) of the column(s); `column` may be left out where only one choice is possible."""
    pa = _pyarrow(name)
    try:
        schema = _schema(name, suffix)
        chosen = _choose(name, schema, [column] if isinstance(column, str) else list(column or ()))
        table = _table(name, suffix, chosen)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as e:
        what = "a Parquet" if suffix == ".parquet" else "an Arrow"
        raise FormatError(f"{name}: not {what} file, or a damaged one ({str(e).splitlines()[0]})") from None
    except OSError as e:
        if e.errno is not None:
            raise
        raise FormatError(f"{name}: damaged file ({str(e).splitlines()[0]}); write or copy it again") from None
    return _rows(name, chosen, table)


def blocks(X: Any, *, again: bool, name: str = "X") -> Iterable[NDArray[Any]]:
    """Rows (n_i, d) of anything with ``__arrow_c_stream__``: a column of lists, or columns of numbers, or an array of lists.

    `again` says whether the stream can be had more than once; then the blocks can be, too.
    """
    stream = _Stream(X, name)
    return stream if again else iter(stream)


class _Stream:
    """The blocks of an Arrow stream, from its beginning each time they are iterated."""

    def __init__(self, X: Any, name: str) -> None:
        self._pa, self._X, self._name = _pyarrow(name), X, name

    def __iter__(self) -> Iterator[NDArray[Any]]:
        pa = self._pa
        # A stream of tables has columns; one of an array (a Series, a ChunkedArray) has not.
        try:
            reader: Any = pa.RecordBatchReader.from_stream(self._X)
        except (pa.ArrowInvalid, TypeError):
            column = self._X if isinstance(self._X, pa.ChunkedArray) else pa.chunked_array(self._X)
            if not _is_list(column.type):
                raise TypeError(f"{self._name}: expected an Arrow fixed-size list, got {column.type}") from None
            reader = pa.table({self._name: column}).to_reader()
        chosen = _choose(self._name, reader.schema, [])
        first = 0
        for batch in reader:
            for start in range(0, len(batch), _ROWS_AT_ONCE):
                piece = batch.slice(start, _ROWS_AT_ONCE)
                yield _rows(self._name, chosen, pa.Table.from_batches([piece]).select(chosen), first)
                first += len(piece)


def write(name: str, suffix: str, blocks: Iterable[NDArray[Any]], shape: tuple[int, int], dtype: np.dtype[Any]) -> None:
    """Write blocks of rows as one column ``vector`` of fixed-size lists."""
    pa = _pyarrow(name)
    schema = pa.schema([pa.field(COLUMN, pa.list_(pa.from_numpy_dtype(dtype), shape[1]))])
    with replacing(name) as file, _writer(suffix, file, schema) as writer:
        for block in blocks:
            lists = pa.FixedSizeListArray.from_arrays(pa.array(block.reshape(-1)), shape[1])
            writer.write_table(pa.table({COLUMN: lists}, schema))


def _pyarrow(name: str) -> Any:
    try:
        import pyarrow
    except ImportError:
        raise ImportError(f"{name}: reading and writing this format needs pyarrow: pip install 'codeword[arrow]'") from None
    return pyarrow


def _schema(name: str, suffix: str) -> Any:
    if suffix == ".parquet":
        import pyarrow.parquet as pq

        return pq.read_schema(name)
    with _ipc(name) as reader:
        return reader.schema


def _table(name: str, suffix: str, columns: list[str]) -> Any:
    """Only the chosen columns, in this order."""
    if suffix == ".parquet":
        import pyarrow.parquet as pq

        return pq.read_table(name, columns=columns).select(columns)
    with _ipc(name) as reader:
        return reader.read_all().select(columns)


def _ipc(name: str) -> Any:
    """A reader of an Arrow file (also Feather version 2), or of an Arrow stream."""
    import pyarrow as pa
    import pyarrow.ipc

    source = pa.memory_map(name)
    start = source.read(6)
    source.seek(0)
    if start == b"FEA1" + start[4:]:
        raise FormatError(f"{name}: Feather version 1 is not read; write it again with version 2 or as Parquet")
    return pyarrow.ipc.open_file(source) if start == b"ARROW1" else pyarrow.ipc.open_stream(source)


def _writer(suffix: str, file: Any, schema: Any) -> Any:
    if suffix == ".parquet":
        import pyarrow.parquet as pq

        return pq.ParquetWriter(file, schema)
    import pyarrow.ipc

    return pyarrow.ipc.new_file(file, schema)


def _choose(name: str, schema: Any, asked: list[str]) -> list[str]:
    """The one column of lists, or the numeric columns, that make up the rows."""
    import pyarrow.types as types

    kinds = {f.name: f.type for f in schema}
    lists = [c for c, t in kinds.items() if _is_list(t)]
    has = f"it has {', '.join(f'{c} ({t})' for c, t in kinds.items()) or 'no columns'}"
    if asked:
        for column in asked:
            if column not in kinds:
                raise ValueError(f"{name}: no column {column!r}; {has}")
        if len(asked) > 1 and any(c in lists for c in asked):
            raise ValueError(f"{name}: choose one column of lists, or several of numbers; {has}")
        chosen = asked
    elif len(lists) == 1:
        return lists
    elif lists:
        raise ValueError(f"{name}: several columns hold lists; choose one: {', '.join(lists)}")
    else:
        chosen = list(kinds)
    for column in chosen:
        kind = kinds[column]
        if not (column in lists or types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)):
            raise ValueError(f"{name}: column {column!r} holds {kind}, neither numbers nor lists of numbers; choose columns: {has}")
    if not chosen:
        raise ValueError(f"{name}: there are no columns in it")
    return chosen


def _rows(name: str, chosen: list[str], table: Any, first: int = 0) -> NDArray[Any]:
    """Rows (n, d) of the chosen columns of a table, which begins at row `first`."""
    if len(chosen) == 1 and _is_list(table.schema.field(0).type):
        return _from_lists(name, chosen[0], table.column(0), first)
    return np.stack([_numbers(name, c, table.column(i), first) for i, c in enumerate(chosen)], axis=1)


def _is_list(kind: Any) -> bool:
    import pyarrow.types as types

    if not (types.is_fixed_size_list(kind) or types.is_list(kind) or types.is_large_list(kind)):
        return False
    return bool(types.is_integer(kind.value_type) or types.is_floating(kind.value_type))


def _from_lists(name: str, column: str, lists: Any, first: int) -> NDArray[Any]:
    """A chunked array of lists as rows; nulls and unequal lengths are refused with their row."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if lists.null_count:
        raise ValueError(f"{name}: column {column!r} has no list in row {first + _first_null(lists)}; fill or drop such rows first")
    kind = lists.type
    dtype = kind.value_type.to_pandas_dtype()
    if len(lists) == 0:
        return np.empty((0, kind.list_size if pa.types.is_fixed_size_list(kind) else 1), dtype)
    lengths = pc.list_value_length(lists).to_numpy()
    d = int(lengths[0])
    if (lengths != d).any():
        row = int(np.argmax(lengths != d))
        raise ValueError(
            f"{name}: column {column!r}: row {first + row} has {lengths[row]} numbers, row {first} has {d}; all rows need one width"
        )
    out = np.empty((len(lists), d), dtype)
    start = 0
    for chunk in lists.chunks:
        values = chunk.flatten()
        if values.null_count:
            row = first + start + _first_null(values) // d
            raise ValueError(f"{name}: column {column!r} has a null in row {row}; fill or drop such rows first")
        out[start : start + len(chunk)] = values.to_numpy(zero_copy_only=False).reshape(len(chunk), d)
        start += len(chunk)
    return out


def _numbers(name: str, column: str, values: Any, first: int) -> NDArray[Any]:
    if values.null_count:
        raise ValueError(f"{name}: column {column!r} has a null in row {first + _first_null(values)}; fill or drop such rows first")
    return np.asarray(values.to_numpy())


def _first_null(values: Any) -> int:
    import pyarrow.compute as pc

    return int(pc.index(pc.is_null(values), True).as_py())
