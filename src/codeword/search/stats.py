"""What is in an index, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from codeword.search.estimator import SIDE_BYTES
from codeword.search.partition import Lists

if TYPE_CHECKING:
    from codeword.search.index import Index

_RECALLS = (0.8, 0.9, 0.95, 0.99)


def stats(index: Index) -> dict[str, Any]:
    """Counts, metric and bytes; segments; lists and how many of them find which share of the neighbours; the stages of a search."""
    model, snapshot = index.model, index._table.snapshot
    names = index._identity.names
    named = 0 if names is None else names.nbytes
    dead = sum(int(np.count_nonzero(mask)) for mask in snapshot.dead if mask is not None)
    held = sum(s.nbytes for s in snapshot.segments) + sum(mask.nbytes for mask in snapshot.dead if mask is not None)
    estimated = model is not None and model.estimator is not None
    return {
        "n": len(index),
        "d": index.quantizer.d,
        "metric": index.metric,
        "quantizer": repr(index.quantizer),
        "factors": None if model is None else estimated,
        "code_size": index.code_size,
        "side_bytes": SIDE_BYTES if estimated else 0,
        "rate": None if index.quantizer.d is None else 8 * index.code_size / index.quantizer.d,
        "model_bytes": index.model_bytes,
        "nbytes": held + named,
        "deleted": dead,
        "segments": len(snapshot.segments),
        "calibrated": index.calibration is not None,
        "memory_mapped": any(s.in_file for s in snapshot.segments),
        "distortion": None if model is None else _distortion(index),
        "lists": None if model is None else _lists(index),
        "stages": None if model is None else _stages(index),
    }


def _distortion(index: Index) -> dict[str, Any]:
    """Mean squared error of the rows learned from, of each segment, and the worst of those in units of the first: 1 is as expected."""
    model = index.model
    assert model is not None
    found = [s.distortion for s in index._table.snapshot.segments]
    return {
        "expected": model.distortion,
        "segments": found,
        "worst": max(found, default=0.0) / model.distortion if model.distortion > 0 else None,
    }


def _lists(index: Index) -> dict[str, Any] | None:
    """How many, how uneven, and how many of them a search looks into for a recall."""
    model = index.model
    assert model is not None
    if not isinstance(model.partition, Lists):
        return None
    sizes = index._view().list_sizes
    coverage = model.coverage
    known = coverage is not None and coverage.curve is not None
    efforts = {str(recall): coverage.effort(recall) for recall in _RECALLS} if known and coverage is not None else None
    return {
        "count": model.partition.lists,
        "empty": int((sizes == 0).sum()),
        "largest": int(sizes.max(initial=0)),
        "effort": efforts,
    }


def _stages(index: Index) -> list[dict[str, Any]]:
    """What each stage of a search compares, and the bytes it reads of a vector."""
    model = index.model
    assert model is not None and index.quantizer.d is not None
    scorer = index.quantizer.scorer(np.zeros((1, index.quantizer.d), np.float32), index.metric)
    side = SIDE_BYTES if model.estimator is not None else 0
    stages = [{"stage": "codes", "bytes": index.quantizer.code_size + side, "estimated": side > 0 or index.quantizer.estimates}]
    if getattr(scorer, "rough", None) is not None:
        stages.insert(0, {**stages[0], "stage": "codes, 8-bit query"})
        stages[1]["stage"] = "codes, 16-bit query"
    if model.refiner is not None:
        name = "second code" if model.refiner.kind == "code" else f"vectors as {model.refiner.kind}"
        stages.append({"stage": name, "bytes": model.refiner.row_bytes, "estimated": not model.refiner.exact})
    return stages
