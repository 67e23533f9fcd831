"""Indexes of one file, which releases before folders wrote: kind ``index`` of the container (`docs/format.md`); read only.

header {"config": of the quantizer, "index": {"metric", "factors", "n", "next_id", "decided", "estimated", "calibrated"}}
arrays  codes (n, code_size), side (n, 2) if estimated, ids (n,) unless 0, 1, 2, ...; quantizer.*, estimator.*, bars.*
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from codeword.base import METRICS
from codeword.errors import FormatError
from codeword.io import Container
from codeword.search import learned
from codeword.search.estimator import SIDE_BYTES, Estimator
from codeword.search.files import FileColumns
from codeword.search.model import Model
from codeword.search.partition import Undivided
from codeword.search.segment import LARGEST_ID, Segment
from codeword.search.table import Snapshot, Table

if TYPE_CHECKING:
    from codeword.search.index import Index

KIND = "index"


def open_file(file: Container) -> Index:
    """The index in a file; whatever does not fit together raises, mostly FormatError."""
    from codeword.search.index import Index

    about = _about(file)
    quantizer = learned.read_quantizer(file)
    index = Index(quantizer, about["metric"], factors=about["factors"])
    about = {**about, "calibrated": about.get("calibrated", False)}
    index.calibration = learned.read_calibration(file, about, quantizer)
    if about["decided"]:
        state = learned.part(file, "estimator")
        estimator = Estimator.from_state(quantizer, index.metric, state) if about["estimated"] else None
        index.model = Model(quantizer, index.metric, estimator, Undivided(), None)
        shapes: dict[str, tuple[str, tuple[int, ...]]] = {"codes": ("uint8", (quantizer.code_size,))}
        if about["estimated"]:
            shapes["side"] = ("uint8", (SIDE_BYTES,))
        columns = FileColumns(file, about["n"], shapes, about["next_id"])
        n, first = about["n"], None if "ids" in columns else 0
        segments = (Segment(n, columns, np.array([0, n]), first),) if n else ()
        index._table = Table(1, Snapshot(segments, (None,) * len(segments), about["next_id"]))
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
