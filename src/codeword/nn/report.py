"""What compression did to each layer, and to the model as a whole."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from codeword.nn.matrix import Importance, Packed

_FINE, _ROUGH = 0.99, 0.95  # cosines of outputs


@dataclass(frozen=True)
class LayerReport:
    """One weight.

    Attributes
    ----------
    name, kind : str
    shape : tuple of int
    bits : float
        Of a weight, all that is stored of the matrix counted.
    nbytes : int
    error : float
        Squared error of the layer's outputs on the calibration set, in proportion; without one, that of the weights.
    cosine : float
        Between the layer's outputs before and after, likewise.
    calibrated : bool
        Whether inputs reached it.
    seconds : float
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    bits: float
    nbytes: int
    error: float
    cosine: float
    calibrated: bool
    seconds: float


@dataclass
class Report:
    """All weights.

    Attributes
    ----------
    layers : list of LayerReport
    skipped : list of (str, str)
        Weights of two dimensions or more that were left alone, and why.
    weights : int
        Numbers in the model's parameters and floating-point buffers, each once.
    before, after : int
        Bytes: of those, and of the file.
    """

    layers: list[LayerReport] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    weights: int = 0
    before: int = 0
    after: int = 0

    @property
    def bits(self) -> float:
        """Real bits a weight: 8 x bytes of the file / weights."""
        return 8 * self.after / max(self.weights, 1)

    @property
    def verdict(self) -> str:
        """One sentence."""
        times = self.before / max(self.after, 1)
        size = f"{self.after:,} bytes, {times:.1f} times smaller, {self.bits:.3f} bits a weight"
        if not self.layers:
            return f"{size}; nothing was compressed"
        worst = min(self.layers, key=lambda layer: layer.cosine)
        means = "of outputs on the calibration set" if worst.calibrated else "of weights; no calibration set"
        state = "fine" if worst.cosine >= _FINE else "usable; score it" if worst.cosine >= _ROUGH else "rough: give it more bits"
        return f"{size}; worst layer {worst.name}, cosine {worst.cosine:.4f} ({means}): {state}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "bits": self.bits, "verdict": self.verdict}

    def to_markdown(self) -> str:
        """A table of the layers, what was skipped, the verdict."""
        lines = ["| layer | kind | shape | bits | bytes | error | cosine | s |", "|---|---|---|---|---|---|---|---|"]
        for x in self.layers:
            shape = " x ".join(map(str, x.shape))
            note = "" if x.calibrated else " (no inputs seen)"
            lines.append(
                f"| {x.name}{note} | {x.kind} | {shape} | {x.bits:.3f} | {x.nbytes:,} | {x.error:.5f} | {x.cosine:.4f} | {x.seconds:.2f} |"
            )
        lines += [f"| {name} | left alone: {why} | | | | | | |" for name, why in self.skipped]
        return "\n".join([*lines, "", self.verdict])


def fidelity(W: np.ndarray, made: np.ndarray, importance: Importance | None) -> tuple[float, float]:
    """Squared error of outputs in proportion, and their cosine: over the inputs whose second moments there are, or white ones."""
    H = None if importance is None or importance.inputs is None else importance.inputs.astype(np.float32)

    def product(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.einsum("ij,ij->", a if H is None else a @ H, b, dtype=np.float64))

    whole, other = product(W, W), product(made, made)
    scale = float(np.sqrt(whole * other))
    difference = made - W
    return product(difference, difference) / (whole or 1.0), product(W, made) / scale if scale else 1.0


def layer_report(
    name: str, kind: str, W: np.ndarray, packed: Packed, made: np.ndarray, importance: Importance | None, seconds: float
) -> LayerReport:
    """The report on one weight that became `packed`, which decodes to `made`."""
    error, cosine = fidelity(W, made, importance)
    bits = 8 * packed.nbytes / W.size
    return LayerReport(name, kind, packed.shape, bits, packed.nbytes, error, cosine, importance is not None, seconds)
