"""`compress`: any module in, the same module with codes for weights out, and a report.

    model, calibration --moments--> importance --allocate--> rates --pack--> VQ layers in a copy of the model

Source: the recipe of QuIP# and QTIP (rotations of both sides, feedback, a vector code), from the papers; see `matrix`, `feedback`,
`moments`, `allocation`.
"""

from __future__ import annotations

import copy
import fnmatch
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from codeword import checks, runtime
from codeword.nn import file
from codeword.nn.allocation import Candidate, allocate, code_bytes, unit_cost
from codeword.nn.codecs import METHODS, codec
from codeword.nn.kinds import EMBEDDING, LINEAR, Kind, effective_weight, kind_of
from codeword.nn.matrix import Importance, pack
from codeword.nn.modules import PackedWeight, module_for, replace
from codeword.nn.moments import Moments, measure
from codeword.nn.report import Report, layer_report

F32 = NDArray[np.float32]
MIN_SIZE = 2048
"""Weights of the smallest layer that is compressed, unless it is named."""
_SPAN = 2.0  # rates an allocation may take beyond the average


@dataclass
class Compressed:
    """A compressed model.

    Attributes
    ----------
    model : Module
        A copy whose layers hold codes.
    report : Report
    recipe : dict
        What `compress` was called with.
    """

    model: nn.Module
    report: Report
    recipe: dict[str, Any]

    def save(self, path: str) -> int:
        """Write one safetensors file and return its bytes (`codeword.nn.load` reads it)."""
        return file.save(self.model, path, self.recipe)


@dataclass
class _Weight:
    """A weight to compress, and the layers that have it."""

    names: list[str]
    layer: nn.Module
    kind: Kind
    rates: float | None  # as `layers` says; None: by allocation
    lookup: bool
    matrix: F32
    importance: Importance | None = None
    cost: float = 0.0


def compress(
    model: nn.Module,
    bits: float = 2.5,
    *,
    calibration: Iterable[Any] | None = None,
    method: str = "trellis8",
    layers: dict[str, float | None] | None = None,
    target: dict[str, Any] | None = None,
    loss: Callable[[Any], Tensor] | None = None,
    seed: int = 0,
) -> Compressed:
    """A copy of a model whose Linear, Conv, ConvTranspose and Embedding weights are codes of a few bits.

    Parameters
    ----------
    model : Module
        Never changed.
    bits : float
        Bits a weight that codes have on average; 1 to 6. What else a file holds is in the report.
    calibration : iterable, optional
        100 to 500 samples in batches, each a tensor, a tuple of positional or a dict of keyword arguments of the model. Errors are then
        weighted by what they do to its outputs, made good by what is yet to be rounded, and bits go where they gain most. Without it all
        weights matter alike.
    method : {"trellis8", "trellis", "lattice", "product", "scalar"}
        The codec: least error, ten times as fast to encode, simplest vector code, plain levels.
    layers : dict of str to float or None, optional
        Bits of layers by name, in which ``*`` stands for any part: None leaves them alone. The first that fits counts.
    target : dict, optional
        Instead of `bits`: ``{"bytes": most}`` of the file, or ``{"score": function of a model, "max_drop": difference}`` for the fewest
        bits at which the score falls by at most that.
    loss : function, optional
        Of what the model returns, a scalar whose derivatives say what matters; by default a random projection of all outputs.
    seed : int
        Of rotations and projections. The same seed gives the same bytes on the same machine, without calibration on any.

    Returns
    -------
    Compressed

    Raises
    ------
    ValueError
        For a NaN or infinite weight, bits that cannot be had, a pattern that fits no layer, an empty calibration set.

    Examples
    --------
    >>> import torch
    >>> model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 64))
    >>> q = compress(model, bits=3, calibration=[torch.randn(256, 64)])
    >>> type(q.model[0]).__name__, [layer.name for layer in q.report.layers]
    ('VQLinear', ['0', '2'])
    >>> q.report.layers[0].cosine > 0.99
    True
    """
    checks.choice(method, "method", METHODS)
    rates = codec(method, 2.0).rates
    checks.real(bits, "bits", rates[0], rates[-1])
    seed = checks.integer(seed, "seed", 0, 2**62)
    weights, skipped = _weights(model, layers or {}, rates)
    if calibration is not None:
        _measure(model, weights, calibration, loss, seed)
    recipe = {"method": method, "bits": bits, "seed": seed, "calibrated": calibration is not None}
    if target is None:
        return _compressed(model, weights, skipped, _rates(weights, method, bits), recipe)
    if "bytes" in target:
        return _within(model, weights, skipped, recipe, checks.integer(target["bytes"], "target['bytes']", 1, 2**62))
    if {"score", "max_drop"} <= target.keys():
        return _scoring(model, weights, skipped, recipe, target["score"], float(target["max_drop"]))
    raise ValueError(f"target: expected 'bytes', or 'score' and 'max_drop', got {sorted(target)}")


def _weights(
    model: nn.Module, patterns: dict[str, float | None], rates: tuple[float, ...]
) -> tuple[list[_Weight], list[tuple[str, str]]]:
    """Weights to compress, each once, and those left alone with the reason."""
    found: dict[int, _Weight] = {}
    skipped: list[tuple[str, str]] = []
    used: set[str] = set()
    for name, layer in model.named_modules(remove_duplicate=True):
        kind = kind_of(layer)
        if kind is None:
            skipped += [(f"{name}.{p}".lstrip("."), f"parameter of {type(layer).__name__}") for p, _ in _own_matrices(layer)]
            continue
        pattern = next((p for p in patterns if fnmatch.fnmatchcase(name, p)), None)
        if pattern is not None:
            used.add(pattern)
        weight = effective_weight(layer)
        key = id(getattr(layer, "weight", weight)) if type(layer) in _PLAIN else id(layer)
        if key in found:
            found[key].names.append(name)
            found[key].lookup = True  # tied: the rows are looked up by one and multiplied with by the other
            if kind is LINEAR:
                found[key].kind, found[key].layer = kind, layer
            continue
        reason = _reason(layer, weight, patterns, pattern)
        if reason:
            skipped.append((f"{name}.weight".lstrip("."), reason))
            continue
        wanted = patterns[pattern] if pattern is not None else None
        if wanted is not None and float(wanted) not in rates:
            raise ValueError(f"layers: expected one of {', '.join(f'{r:g}' for r in rates)} or None for {pattern!r}, got {wanted}")
        matrix = kind.matrix(weight.detach()).float().cpu().numpy()
        if not np.isfinite(matrix).all():
            raise ValueError(f"model: the weight of {name or 'the model'} has NaN or infinite entries")
        found[key] = _Weight([name], layer, kind, wanted, kind is EMBEDDING, np.ascontiguousarray(matrix))
    for pattern in patterns:
        if pattern not in used:
            raise ValueError(f"layers: no layer is called {pattern!r}")
    return list(found.values()), skipped


_PLAIN = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Embedding)


def _own_matrices(layer: nn.Module) -> list[tuple[str, Tensor]]:
    if type(layer).__name__ in ("ParametrizationList", "_WeightNorm"):
        return []
    return [(name, p) for name, p in layer.named_parameters(recurse=False) if p.dim() > 1]


def _reason(layer: nn.Module, weight: Tensor, patterns: dict[str, float | None], pattern: str | None) -> str:
    """Why a layer is left alone, or nothing."""
    if pattern is not None and patterns[pattern] is None:
        return "as asked for"
    if not weight.is_floating_point():
        return f"{weight.dtype} is no floating-point type"
    if pattern is None and weight.numel() < MIN_SIZE:
        return f"{weight.numel()} weights, fewer than {MIN_SIZE}"
    if isinstance(layer, nn.Embedding) and layer.max_norm is not None:
        return "changes its rows when they are looked up (max_norm)"
    return ""


def _measure(
    model: nn.Module, weights: list[_Weight], calibration: Iterable[Any], loss: Callable[[Any], Tensor] | None, seed: int
) -> None:
    layers = {name: model.get_submodule(name) for w in weights for name in w.names}
    moments = measure(model, layers, calibration, loss=loss, seed=seed)
    for w in weights:
        w.importance = _joined(w, moments)


def _joined(w: _Weight, moments: Moments) -> Importance | None:
    """What was measured of a weight; that of tied layers is added up, rows taken to matter alike."""
    parts = [part for name in w.names if (part := moments.importance(name)) is not None]
    if len(w.names) == 1 or not parts:
        return parts[0] if parts else None
    total = np.zeros((w.matrix.shape[1],) * 2)
    for part in parts:
        assert part.inputs is not None
        total += part.inputs * (1.0 / len(w.matrix) if part.outputs is None else float(part.outputs.mean()))
    return Importance(total)


def _rates(weights: list[_Weight], method: str, bits: float, budget: float | None = None) -> list[float]:
    """The rate of each weight, `bits` on average (or `budget` bytes of codes in all)."""
    free = {w.names[0]: w for w in weights if w.rates is None}
    if budget is None:
        budget = sum(w.matrix.size for w in free.values()) * bits / 8 + sum(_slack(w, method, bits) for w in free.values())
    else:
        budget -= sum(code_bytes(w.matrix.shape, method, w.rates) for w in weights if w.rates is not None)
        bits = 8 * budget / max(1, sum(w.matrix.size for w in free.values()))
    for w in free.values():
        w.cost = w.cost or unit_cost(w.matrix, w.importance, lookup=w.lookup)
    candidates = {name: Candidate(w.matrix.shape, w.cost) for name, w in free.items()}
    known = codec(method, 2.0).rates
    least = max(r for r in known if r <= max(bits - _SPAN / 2, known[0]))
    chosen = allocate(candidates, method, budget, least, bits + _SPAN)
    return [w.rates if w.rates is not None else chosen[w.names[0]] for w in weights]


def _slack(w: _Weight, method: str, bits: float) -> float:
    """Bytes that whole tiles and bytes take beyond `bits` a weight."""
    rate = max(r for r in codec(method, 2.0).rates if r <= bits)
    return max(0.0, code_bytes(w.matrix.shape, method, rate) - w.matrix.size * rate / 8)


def _compressed(
    model: nn.Module, weights: list[_Weight], skipped: list[tuple[str, str]], rates: list[float], recipe: dict[str, Any]
) -> Compressed:
    """A copy of the model with the weights at these rates."""
    made = _copy_without(model, weights)
    report = Report(skipped=skipped)
    total = sum(w.matrix.size * r for w, r in zip(weights, rates, strict=True))
    with runtime.Progress("compress", total, "bits") as progress:
        for w, rate in zip(weights, rates, strict=True):
            start = time.perf_counter()
            packed = pack(w.matrix, rate, method=recipe["method"], importance=w.importance, both=not w.lookup, seed=recipe["seed"])
            shared = PackedWeight(packed).to(effective_weight(w.layer).device)
            for name in w.names:
                layer = model.get_submodule(name)
                kind = kind_of(layer)
                assert kind is not None
                replace(made, name, module_for(layer, kind, shared))
            seconds = time.perf_counter() - start
            report.layers.append(
                layer_report(" = ".join(w.names), w.kind.name, w.matrix, packed, packed.unpack(), w.importance, seconds)
            )
            progress.advance(w.matrix.size * rate, w.names[0])
    file.round_rest(made)
    report.weights, report.before = file.count(model)
    report.after = file.size(made, recipe)
    return Compressed(made, report, recipe)


def _copy_without(model: nn.Module, weights: list[_Weight]) -> nn.Module:
    """A deep copy that does not copy the layers that will be replaced."""
    replaced = [model.get_submodule(name) for w in weights for name in w.names]
    if any(layer is model for layer in replaced):
        raise ValueError("model: expected a module that contains layers, got a single layer; put it into nn.Sequential")
    memo: dict[int, Any] = {id(layer): nn.Identity() for layer in replaced}
    return copy.deepcopy(model, memo)


def _within(
    model: nn.Module, weights: list[_Weight], skipped: list[tuple[str, str]], recipe: dict[str, Any], most: int
) -> Compressed:
    """The model in a file of at most `most` bytes."""
    method = recipe["method"]
    lowest = codec(method, 2.0).rates[0]
    bound = [lowest if w.rates is None else w.rates for w in weights]
    codes = sum(code_bytes(w.matrix.shape, method, r) for w, r in zip(weights, bound, strict=True))
    rest = file.rest_bytes(model, [w.matrix.shape for w in weights], [name for w in weights for name in w.names])
    if most < rest + codes:
        raise ValueError(
            f"target['bytes']: expected at least {rest + codes:,} (lowest rate, and {rest:,} of what is no code), got {most:,}"
        )
    return _compressed(model, weights, skipped, _rates(weights, method, 0.0, float(most - rest)), {**recipe, "bytes": most})


def _scoring(
    model: nn.Module,
    weights: list[_Weight],
    skipped: list[tuple[str, str]],
    recipe: dict[str, Any],
    score: Callable[[nn.Module], float],
    drop: float,
) -> Compressed:
    """The model at the fewest bits, of those tried, at which the score falls by at most `drop`."""
    before = float(score(model))
    rates = codec(recipe["method"], 2.0).rates
    tried = []
    for bits in rates:
        made = _compressed(model, weights, skipped, _rates(weights, recipe["method"], bits), {**recipe, "bits": bits})
        after = float(score(made.model))
        if before - after <= drop:
            return made
        tried.append(f"{after:.4g} at {bits:g}")
    raise ValueError(f"target: no rate scores within {drop:g} of {before:.4g}: {', '.join(tried)}")
