"""Indexes in files: kind ``index`` of the container (`docs/format.md`).

header {"config": of the quantizer, "index": {"metric", "factors", "n", "next_id", "estimated", "calibrated"}}
arrays  codes (n, code_size), side (n, 2) if estimated, ids (n,) unless 0, 1, 2, ...; quantizer.*, estimator.*, bars.*
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from codeword import registry
from codeword.base import METRICS, Quantizer
from codeword.errors import FormatError, UnknownQuantizerError
from codeword.io import Container, open_container, write
from codeword.search.bars import Calibration
from codeword.search.estimator import SIDE_BYTES, Estimator
from codeword.search.rows import LARGEST_ID, Rows

if TYPE_CHECKING:
    from codeword.search.index import Index

KIND = "index"
_QUANTIZER, _ESTIMATOR, _BARS = "quantizer.", "estimator.", "bars."


def save(index: Index, path: str | os.PathLike[str]) -> None:
    """Write `index`, whose quantizer is fitted, in the place of what is at `path`."""
    rows = index._rows if index._rows is not None else Rows(index.quantizer.code_size, 0)
    about = {
        "metric": index.metric,
        "factors": index.factors,
        "n": rows.n,
        "next_id": rows.next_id,
        "decided": index._rows is not None,
        "estimated": index.estimator is not None,
    }
    arrays: dict[str, NDArray[Any]] = {_QUANTIZER + name: a for name, a in index.quantizer.state().items()}
    arrays["codes"] = rows.codes
    if rows.ids is not None:
        arrays["ids"] = rows.ids
    if index.estimator is not None:
        arrays["side"] = rows.side
        arrays.update({_ESTIMATOR + name: a for name, a in index.estimator.state().items()})
    if index.calibration is not None:
        about["calibrated"] = True
        arrays.update({_BARS + name: a for name, a in index.calibration.state().items()})
    write(path, KIND, {"config": index.quantizer.config(), "index": about}, arrays)


def open_file(path: str | os.PathLike[str], verify: str) -> Index:
    """Open what `save` wrote."""
    from codeword.search.index import Index

    file = open_container(path, verify)
    if file.kind != KIND:
        hint = "; load it with codeword.load" if file.kind == "model" else ""
        raise FormatError(f"{file.path}: it holds kind {file.kind!r}, not an index{hint}")
    about = _about(file)
    try:
        quantizer = _quantizer(file)
        index = Index(quantizer, about["metric"], factors=about["factors"])
        if about["estimated"]:
            index.estimator = Estimator.from_state(quantizer, index.metric, _part(file, _ESTIMATOR))
        if about.get("calibrated"):
            side = SIDE_BYTES if about["estimated"] else 0
            part = _part(file, _BARS)
            index.calibration = Calibration.from_state(index.metric, quantizer.d or 0, quantizer.code_size, side, part)
        if about["decided"]:
            index._rows = _rows(file, about, quantizer.code_size)
    except UnknownQuantizerError as e:
        raise UnknownQuantizerError(f"{file.path}: {e}") from None
    except FormatError as e:
        raise e if str(e).startswith(file.path) else FormatError(f"{file.path}: {e}") from e
    except (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError) as e:
        raise FormatError(f"{file.path}: header and arrays do not fit together: {e!r}") from e
    return index


def _about(file: Container) -> Mapping[str, Any]:
    about = file.header.get("index")
    wanted = {"metric": str, "n": int, "next_id": int, "decided": bool, "estimated": bool}
    if not isinstance(about, dict) or any(type(about.get(name)) is not kind for name, kind in wanted.items()):
        raise FormatError(f"{file.path}: the header does not describe an index")
    sound = (
        about["metric"] in METRICS
        and about.get("calibrated", False) in (True, False)
        and about.get("factors") in (True, False, "auto")
        and 0 <= about["n"] <= about["next_id"] <= LARGEST_ID + 1
        and (about["decided"] or not (about["n"] or about["estimated"]))
    )
    if not sound:
        raise FormatError(f"{file.path}: the header does not describe an index: {about!r}")
    return about


def _part(file: Container, prefix: str) -> dict[str, NDArray[Any]]:
    """Arrays under `prefix`, copied: what is learned must not depend on what becomes of the file."""
    return {name[len(prefix) :]: np.array(file.array(name)) for name in file.names if name.startswith(prefix)}


def _quantizer(file: Container) -> Quantizer:
    config = file.header.get("config")
    if not isinstance(config, dict):
        raise FormatError(f"{file.path}: the header has no configuration")
    made = registry.from_config(config, _part(file, _QUANTIZER))
    if not isinstance(made, Quantizer) or made.d is None:
        raise FormatError(f"{file.path}: expected a fitted quantizer, got {made!r}")
    return made


def _rows(file: Container, about: Mapping[str, Any], code_size: int) -> Rows:
    """Rows that stay in the file; shapes are checked now, what is in them when it is used."""
    n, side_bytes = about["n"], SIDE_BYTES if about["estimated"] else 0
    shapes = {a["name"]: (a["dtype"], tuple(a["shape"])) for a in file.describe()["arrays"]}
    wanted: dict[str, tuple[str, tuple[int, ...]]] = {"codes": ("uint8", (n, code_size))}
    if side_bytes:
        wanted["side"] = ("uint8", (n, side_bytes))
    has_ids = "ids" in shapes
    if has_ids:
        wanted["ids"] = ("int64", (n,))
    for name, expected in wanted.items():
        if shapes.get(name) != expected:
            raise FormatError(f"{file.path}: array {name!r}: expected {expected}, got {shapes.get(name)}")

    def fetch() -> tuple[Any, Any, Any]:
        side = file.array("side") if side_bytes else np.empty((n, 0), np.uint8)
        return file.array("codes"), side, file.array("ids") if has_ids else None

    return Rows.from_file(n, about["next_id"], code_size, side_bytes, fetch)
