"""What an index has learned, as a header and arrays: its quantizer, and its model where it is decided what a row holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import registry
from codeword.base import METRICS, Quantizer, State, array
from codeword.errors import FormatError
from codeword.io import Container
from codeword.search.bars import Calibration
from codeword.search.coverage import Coverage
from codeword.search.estimator import SIDE_BYTES, Estimator
from codeword.search.model import Model, Wanted
from codeword.search.partition import Lists, Partition, Undivided
from codeword.search.refine import DTYPES, Originals, Refiner, SecondCode


def describe(
    quantizer: Quantizer, metric: str, wanted: Wanted, model: Model | None, calibration: Calibration | None
) -> dict[str, Any]:
    """The header: configuration, wishes, and which parts there are."""
    refine = wanted.refine.clone().config() if isinstance(wanted.refine, Quantizer) else wanted.refine
    about: dict[str, Any] = {
        "metric": metric,
        "lists": wanted.lists,
        "factors": wanted.factors,
        "refine": refine,
        "certify": wanted.certify,
        "decided": model is not None,
        "calibrated": calibration is not None,
    }
    if model is not None:
        about |= {
            "estimated": model.estimator is not None,
            "divided": model.partition.lists,
            "refined": None if model.refiner is None else model.refiner.kind,
            "reach": 0.0 if model.refiner is None else model.refiner.reach,
            "distortion": model.distortion,
        }
        if isinstance(model.refiner, SecondCode):
            about["second"] = model.refiner.second.config()
    return {"config": quantizer.config(), "index": about}


def arrays(quantizer: Quantizer, model: Model | None, calibration: Calibration | None) -> State:
    """The arrays, those of each part under its name."""
    parts: dict[str, Any] = {"quantizer": quantizer, "bars": calibration}
    if model is not None:
        parts |= {
            "estimator": model.estimator,
            "partition": model.partition,
            "refine": model.refiner,
            "coverage": model.coverage,
        }
    return {f"{part}.{name}": a for part, learned in parts.items() if learned is not None for name, a in learned.state().items()}


def part(file: Container, prefix: str) -> dict[str, NDArray[Any]]:
    """Arrays under `prefix`, copied: what is learned must not depend on what becomes of the file."""
    return {name[len(prefix) + 1 :]: np.array(file.array(name)) for name in file.names if name.startswith(prefix + ".")}


def read_quantizer(file: Container) -> Quantizer:
    """The quantizer; FormatError where there is none, or none that is fitted."""
    config = file.header.get("config")
    if not isinstance(config, dict):
        raise FormatError(f"{file.path}: the header has no configuration")
    made = registry.from_config(config, part(file, "quantizer"))
    if not isinstance(made, Quantizer) or made.d is None:
        raise FormatError(f"{file.path}: expected a fitted quantizer, got {made!r}")
    return made


def read_about(file: Container) -> Mapping[str, Any]:
    """The part of the header about the index, its types checked."""
    about = file.header.get("index")
    kinds = {"metric": str, "decided": bool, "calibrated": bool}
    if not isinstance(about, dict) or any(type(about.get(name)) is not kind for name, kind in kinds.items()):
        raise FormatError(f"{file.path}: the header does not describe an index")
    lists, factors, refine = about.get("lists"), about.get("factors"), about.get("refine")
    sound = (
        about["metric"] in METRICS
        and (lists is None or lists == "auto" or (type(lists) is int and lists > 0))
        and (factors in (True, False) or factors == "auto")
        and (refine is None or refine in DTYPES or isinstance(refine, dict))
        and type(about.get("certify", False)) is bool
    )
    if sound and about["decided"]:
        divided, reach, distortion = about.get("divided"), about.get("reach"), about.get("distortion", 0.0)
        sound = type(about.get("estimated")) is bool and type(divided) is int and 1 <= divided <= 1 << 24
        sound = (
            sound
            and all(isinstance(x, (int, float)) and x >= 0 for x in (reach, distortion))
            and about.get("refined") in (None, "code", *DTYPES)
        )
    if not sound:
        raise FormatError(f"{file.path}: the header does not describe an index: {about!r}")
    return about


def read_wanted(about: Mapping[str, Any]) -> Wanted:
    """What the user had asked for."""
    refine = about["refine"]
    if isinstance(refine, dict):
        refine = registry.from_config(_unfitted(refine), {})
    return Wanted(about["lists"], about["factors"], refine, about.get("certify", False))


def _unfitted(config: Any) -> Any:
    """A configuration, and those of its parts, without the width that fitting gives."""
    if isinstance(config, list):
        return [_unfitted(part) for part in config]
    if not isinstance(config, dict):
        return config
    return {key: None if key == "d" else part if key == "params" else _unfitted(part) for key, part in config.items()}


def read_model(file: Container, about: Mapping[str, Any], quantizer: Quantizer) -> Model | None:
    """The model, where it is decided what a row holds."""
    if not about["decided"]:
        return None
    metric, d = about["metric"], quantizer.d or 0
    estimator = Estimator.from_state(quantizer, metric, part(file, "estimator")) if about["estimated"] else None
    partition: Partition = Undivided()
    coverage = None
    if about["divided"] > 1:
        codebook = array(part(file, "partition"), "codebook", np.float32, (about["divided"], d))
        partition = Lists(metric, codebook)
        coverage = Coverage.from_state(d, about["divided"], part(file, "coverage"))
    distortion = float(about.get("distortion", 0.0))
    return Model(
        quantizer, metric, estimator, partition, _refiner(file, about, quantizer), coverage, distortion, about.get("certify", False)
    )


def read_calibration(file: Container, about: Mapping[str, Any], quantizer: Quantizer) -> Calibration | None:
    """What error bars are made from, where they were calibrated."""
    if not about["calibrated"]:
        return None
    side = SIDE_BYTES if about.get("estimated") else 0
    return Calibration.from_state(about["metric"], quantizer.d or 0, quantizer.code_size, side, part(file, "bars"))


def _refiner(file: Container, about: Mapping[str, Any], quantizer: Quantizer) -> Refiner | None:
    kind, metric = about["refined"], about["metric"]
    if kind is None:
        return None
    made: Refiner
    if kind == "code":
        state = part(file, "refine")
        inner = {name[len("second.") :]: a for name, a in state.items() if name.startswith("second.")}
        second = registry.from_config(about["second"], inner)
        if not isinstance(second, Quantizer):
            raise FormatError(f"refine: expected a quantizer, got {second!r}")
        made = SecondCode.from_state(quantizer, second, metric, state)
    else:
        made = Originals(kind, metric, quantizer.d or 0)
    made.reach = float(about["reach"])
    return made
