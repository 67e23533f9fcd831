"""Tables in and out: CSV and Parquet files as pandas DataFrames, with errors that name the file.

Cells of a CSV file stay text, as they were typed, until `values` says what a column holds.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from codeword.errors import FormatError

_DELIMITERS = ",;\t|"
_PARQUET = (".parquet", ".pq")
# Spreadsheets write this where UTF-8 was not asked for; every byte means something in it.
_FALLBACK = "cp1252"


def read(table: Any) -> Any:
    """A DataFrame of what is given: a DataFrame, a mapping of columns, or the path of a CSV or Parquet file.

    Raises
    ------
    ValueError
        For a table without rows, or columns of one name; `FormatError` for a file that is no such table.
    TypeError
        For anything else.
    """
    import pandas as pd

    if isinstance(table, (str, os.PathLike)):
        name, frame = os.fsdecode(table), _file(Path(table))
    elif isinstance(table, pd.DataFrame):
        name, frame = "table", table
    elif isinstance(table, dict):
        name, frame = "table", pd.DataFrame(table)
    else:
        raise TypeError(f"table: expected a DataFrame, a dict of columns or a path, got {type(table).__name__}")
    frame = frame.rename(columns=lambda c: str(c).strip())
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise ValueError(f"{name}: expected columns of different names, {twice[0]!r} comes twice")
    if not len(frame):
        raise ValueError(f"{name}: expected at least one row below the names of the columns, got none")
    return frame.reset_index(drop=True)


def _file(path: Path) -> Any:
    import pandas as pd

    if path.suffix.lower() in _PARQUET:
        try:
            return pd.read_parquet(path)
        except ImportError:
            raise ImportError("reading Parquet files needs pyarrow: pip install codeword[arrow]") from None
        except OSError as e:
            if isinstance(e, FileNotFoundError) or not path.is_file():
                raise
            raise FormatError(f"{path}: not a Parquet file: {e}") from None
        except ValueError as e:
            raise FormatError(f"{path}: not a Parquet file: {e}") from None
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode(_FALLBACK, errors="replace")
    if "\0" in text:
        raise FormatError(f"{path}: expected CSV or Parquet, got bytes that are no text")
    return _csv(path, text)


def _csv(path: Path, text: str) -> Any:
    import io
    import warnings

    import pandas as pd

    header = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(_DELIMITERS, key=header.count)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows with more cells than there are columns
            return pd.read_csv(
                io.StringIO(text), sep=delimiter, dtype=str, keep_default_na=False, skipinitialspace=True, index_col=False
            )
    except pd.errors.EmptyDataError:
        raise FormatError(f"{path}: expected a table with the names of the columns in its first line, the file is empty") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning) as e:
        raise FormatError(f"{path}: not a table: {str(e).strip().removeprefix('Error tokenizing data. C error: ')}") from None


def write(frame: Any, path: str | os.PathLike[str]) -> None:
    """Write a DataFrame as CSV or Parquet, by the ending of `path`; the file appears complete or not at all."""
    from codeword.io import replacing

    if Path(path).suffix.lower() in _PARQUET:
        import io

        buffer = io.BytesIO()
        try:
            frame.to_parquet(buffer, index=False)
        except ImportError:
            raise ImportError("writing Parquet files needs pyarrow: pip install codeword[arrow]") from None
        data = buffer.getvalue()
    else:
        data = frame.to_csv(index=False).encode()
    with replacing(path) as file:
        file.write(data)
