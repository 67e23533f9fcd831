"""Tables in files: CSV, Parquet and NumPy arrays as data frames, and back, with errors that say what is wrong where.

data.csv | .tsv | .parquet | .npy --read--> data frame --columns--> the ones asked for
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from codeword import files

SUFFIXES = (".csv", ".tsv", ".parquet", ".npy")


def read(path: str) -> Any:
    """The table in a file, as a data frame; the columns of an array are called "0", "1", ...

    Raises
    ------
    ValueError
        If it is not such a file, is damaged, or has no rows.
    OSError
        If it cannot be read.
    """
    suffix = _suffix(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(2, "No such file" if not os.path.exists(path) else "Not a file", path)
    if suffix == ".npy":
        A = files.read(path)
        table = pd.DataFrame(np.asarray(A), columns=[str(j) for j in range(A.shape[1])])
    else:
        try:
            table = pd.read_parquet(path) if suffix == ".parquet" else pd.read_csv(path, sep="\t" if suffix == ".tsv" else ",")
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, ValueError) as e:
            raise ValueError(f"{path}: not a table that can be read: {' '.join(str(e).split())}") from None
        table.columns = table.columns.map(str)
    if not len(table):
        raise ValueError(f"{path}: expected rows, found none")
    return table


def write(table: Any, path: str) -> None:
    """Write a data frame as its suffix says: a whole file, or the old one stays.

    Raises
    ------
    ValueError
        For an unknown suffix, or a table that an array of numbers cannot hold.
    """
    suffix, target = _suffix(path), Path(path)
    part = target.with_name(f".{target.name}.part")
    try:
        if suffix == ".npy":
            with open(part, "wb") as file:
                np.save(file, _numbers(table, path))
        elif suffix == ".parquet":
            table.to_parquet(part, index=False)
        else:
            table.to_csv(part, index=False, sep="\t" if suffix == ".tsv" else ",")
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def check_output(path: str | None) -> None:
    """ValueError for an output of unknown suffix: told before the work, not after it."""
    if path is not None:
        _suffix(path)


def columns(table: Any, path: str, wanted: Sequence[str] | None, dropped: Sequence[str] | None) -> Any:
    """The columns of a table that are wanted (all by default), less those dropped.

    Raises
    ------
    ValueError
        That names a column which is not there, and those that are.
    """
    for option, names in (("--column", wanted), ("--drop", dropped)):
        for name in names or ():
            if name not in table.columns:
                raise ValueError(f"{path}: no column {name!r} ({option}); there are {', '.join(table.columns)}")
    kept = [name for name in wanted or table.columns if name not in (dropped or ())]
    if not kept:
        raise ValueError(f"{path}: no columns are left")
    return table[kept]


def numbers(table: Any, path: str) -> Any:
    """A table of numbers as an array (n, d) float64.

    Raises
    ------
    ValueError
        That names a column of something else, or row and column of a value that is missing or infinite.
    """
    for name in table.columns:
        if not pd.api.types.is_numeric_dtype(table[name]) or pd.api.types.is_complex_dtype(table[name]):
            bad = pd.to_numeric(table[name], errors="coerce").isna() & table[name].notna()
            found = f": row {int(bad.argmax())} has {table[name].iloc[int(bad.argmax())]!r}" if bad.any() else ""
            raise ValueError(f"{path}: column {name!r} does not hold numbers{found}; leave it out with --drop {name}")
    A = table.to_numpy(np.float64, na_value=np.nan)
    bad = ~np.isfinite(A)
    if bad.any():
        i, j = (int(v) for v in np.argwhere(bad)[0])
        what = "a missing value" if np.isnan(A[i, j]) else "infinity"
        raise ValueError(f"{path}: {what} in row {i}, column {table.columns[j]!r}")
    return A


def _numbers(table: Any, path: str) -> Any:
    try:
        return table.to_numpy(np.float64)
    except (ValueError, TypeError):
        raise ValueError(f"{path}: an array holds numbers only, and the table has others; write .csv or .parquet") from None


def _suffix(path: str) -> str:
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{path}: unknown suffix {suffix or '(none)'}; tables are {', '.join(SUFFIXES)}")
    return suffix
