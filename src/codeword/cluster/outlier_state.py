"""A detector as a configuration and named arrays, and back: what `cw.save` and `cw.load` need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword.cluster.codebooks import Codebook, Ensemble
from codeword.cluster.columns import Columns, rarity
from codeword.cluster.outlier_model import Model
from codeword.cluster.table import Table
from codeword.component import array
from codeword.errors import FormatError

State = dict[str, NDArray[Any]]


def config(detector: Any) -> dict[str, Any]:
    """Identity and parameters as JSON; a random state becomes the seed that was drawn from it."""
    params = dict(detector.get_params(deep=False))
    if not isinstance(params["random_state"], (int, type(None))):
        params["random_state"] = int(getattr(detector, "_seed", 0))
    if params["categorical"] is not None:
        params["categorical"] = [c if isinstance(c, str) else int(c) for c in params["categorical"]]
    return {"id": detector.id, "d": detector.d, "params": params, "names": _names(detector)}


def _names(detector: Any) -> list[str] | None:
    names = getattr(detector, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def state(detector: Any) -> State:
    """What was learned."""
    model: Model = detector._model
    made: State = {
        "median": model.columns.median,
        "spread": model.columns.spread,
        "deviation": model.columns.deviation,
        "ends": model.columns.ends,
        "centre": model.centre,
        "scale": model.scale,
        "calibration": model.calibration,
        "fill": detector._medians,
        "threshold": np.array([detector.threshold_, detector.false_alarm_rate_, float(detector.n_rows_)]),
        "categories": detector._table.to_array(),
    }
    for name, ensemble in (("log", model.logarithmic), ("linear", model.linear)):
        made[f"{name}_words"] = np.concatenate([book.words for book in ensemble.books])
        made[f"{name}_sizes"] = np.array([len(book.words) for book in ensemble.books], np.int64)
        made[f"{name}_typical"] = np.array([book.typical for book in ensemble.books])
        made[f"{name}_rare"] = np.concatenate([book.rare for book in ensemble.books])
    return made


def rebuilt(cls: Any, config: Mapping[str, Any], arrays: Mapping[str, Any]) -> Any:
    """The detector that `config` and `state` describe."""
    params, d = config.get("params"), config.get("d")
    if not isinstance(params, Mapping) or not (d is None or (type(d) is int and d > 0)):
        raise FormatError(f"{cls.__name__}: 'params' must be a mapping and 'd' a width, got {params!r} and {d!r}")
    try:
        made = cls(**params)
        if d is not None:
            _load(made, d, arrays, config.get("names"))
    except (TypeError, KeyError, ValueError, IndexError) as e:
        if isinstance(e, FormatError):
            raise
        raise FormatError(f"{cls.__name__}: configuration and arrays do not fit together: {e!r}") from e
    return made


def _load(made: Any, d: int, arrays: Mapping[str, Any], names: Any) -> None:
    def one(name: str, *shape: int | None) -> NDArray[Any]:
        return array(arrays, name, np.float64, shape)

    columns = Columns(one("median", d), one("spread", d), one("deviation", d), one("ends", d, None))
    logarithmic, linear = (_ensemble(arrays, name, d) for name in ("log", "linear"))
    made._model = Model(columns, logarithmic, linear, one("centre", 3), one("scale", 3), one("calibration", None))
    made._medians = one("fill", d)
    threshold, rate, rows = one("threshold", 3)
    made.threshold_, made.false_alarm_rate_, made.n_rows_ = float(threshold), float(rate), int(rows)
    made._table = Table.from_array(array(arrays, "categories", np.uint8, (None,)), d)
    made._rarities = {j: rarity(np.array(list(words.values()), np.float64)) for j, words in made._table.counts.items()}
    made.n_features_in_ = d
    if names is not None:
        if len(names) != d:
            raise FormatError(f"expected names of {d} columns, got {len(names)}")
        made.feature_names_in_ = np.array(names, object)


def _ensemble(arrays: Mapping[str, Any], name: str, d: int) -> Ensemble:
    sizes = array(arrays, f"{name}_sizes", np.int64, (None,))
    if len(sizes) == 0 or sizes.min() < 1:
        raise FormatError(f"array '{name}_sizes': expected sizes of at least 1")
    words = array(arrays, f"{name}_words", np.float32, (int(sizes.sum()), d))
    typical = array(arrays, f"{name}_typical", np.float64, (len(sizes),))
    if typical.min() <= 0:
        raise FormatError(f"array '{name}_typical': expected numbers above 0")
    rare = array(arrays, f"{name}_rare", np.float64, (len(words),))
    ends = np.cumsum(sizes)[:-1]
    books = zip(np.split(words, ends), typical.tolist(), np.split(rare, ends), strict=True)
    return Ensemble([Codebook(np.ascontiguousarray(w), float(t), r) for w, t, r in books])
