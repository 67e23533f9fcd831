"""What errors of each layer cost, measured on a calibration set: second moments of inputs, mean squared derivatives by outputs.

    batches --model--> for each layer  H = E[x x']  (modules with one input share it),  g = sum of (d loss / d output)^2

The loss is a random projection of the outputs, so that g is what a change of the layer's output does to the model's, squared (the
diagonal of Gauss-Newton's matrix for squared error); a loss of one's own may take its place. For embeddings, whose inputs are row
numbers, H is the sum of g g'. Sums, so that a layer applied at more places matters more.

Source: Frantar et al. 2022, "GPTQ" (H from the uncompressed model); Martens & Grosse 2015 (Kronecker factors, sampled derivatives).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from codeword.nn.kinds import EMBEDDING, kind_of
from codeword.nn.matrix import Importance

F64 = NDArray[np.float64]
Loss = Callable[[Any], Tensor]


class Moments:
    """Sums over a calibration set.

    Parameters
    ----------
    layers : dict of str to Module
        Layers of the kinds that there are.
    """

    def __init__(self, layers: dict[str, nn.Module]) -> None:
        self._layers = layers
        self._leader: dict[str, str] = {}
        self._squares: dict[str, Tensor] = {}
        self._rows: dict[str, int] = {}
        self._slopes: dict[str, Tensor] = {}
        self._seen: list[tuple[Tensor, str]] = []
        self._outputs: list[tuple[str, Tensor]] = []

    def importance(self, name: str) -> Importance | None:
        """What was measured of a layer, or None where nothing came by."""
        slopes = self._slopes.get(name)
        if kind_of(self._layers[name]) is EMBEDDING:
            return None if slopes is None else Importance(inputs=slopes.numpy().astype(np.float64))
        leader = self._leader.get(name)
        if leader is None:
            return None
        H = (self._squares[leader] / self._rows[leader]).numpy().astype(np.float64)
        return Importance(H, None if slopes is None else slopes.numpy().astype(np.float64))

    @contextmanager
    def measuring(self, model: nn.Module) -> Iterator[None]:
        """Hooks on all layers, evaluation mode; both undone afterwards."""
        training = [module for module in model.modules() if module.training]
        handles = []
        model.eval()
        for name, layer in self._layers.items():
            handles.append(layer.register_forward_pre_hook(self._before(name)))
            handles.append(layer.register_forward_hook(self._after(name)))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
            for module in training:
                module.training = True

    def _before(self, name: str) -> Callable[[nn.Module, Any], None]:
        def hook(layer: nn.Module, args: Any) -> None:
            inputs = getattr(kind_of(layer), "inputs", None)
            if inputs is None or not args:
                return
            x = args[0].detach()
            leader = self._leader.setdefault(name, self._shared(name, args[0]))
            if leader == name:
                rows = inputs(layer, x).float()
                self._squares[name] = self._squares.get(name, torch.zeros(())) + (rows.T @ rows).cpu()
                self._rows[name] = self._rows.get(name, 0) + len(rows)

        return hook

    def _shared(self, name: str, x: Tensor) -> str:
        """The first linear layer that was called with this very tensor in this pass, or the layer itself."""
        if isinstance(self._layers[name], nn.Linear):
            for other, leader in self._seen:
                if other is x:
                    return leader
            self._seen.append((x, name))
        return name

    def _after(self, name: str) -> Callable[[nn.Module, Any, Any], Any]:
        def hook(layer: nn.Module, args: Any, out: Any) -> Any:
            if not torch.is_grad_enabled() or not isinstance(out, Tensor):
                return None
            if not out.requires_grad:
                out.requires_grad_(True)
            self._outputs.append((name, out))
            return out.clone()  # what follows may change it in place

        return hook

    def finish_batch(self, loss: Tensor | None) -> None:
        """Derivatives of `loss` by the outputs of this pass."""
        self._seen.clear()
        outputs, self._outputs = self._outputs, []
        if loss is None or not outputs:
            return
        gradients = torch.autograd.grad(loss, [out for _, out in outputs], allow_unused=True)
        for (name, _), gradient in zip(outputs, gradients, strict=True):
            if gradient is None:
                continue
            layer = self._layers[name]
            kind = kind_of(layer)
            assert kind is not None
            rows = kind.outputs(layer, gradient).float()
            made = (rows.T @ rows if kind is EMBEDDING else (rows * rows).sum(0)).cpu()
            self._slopes[name] = self._slopes.get(name, torch.zeros(())) + made


def measure(
    model: nn.Module, layers: dict[str, nn.Module], batches: Iterable[Any], *, loss: Loss | None = None, seed: int = 0
) -> Moments:
    """Run `model` over `batches` and collect the moments of `layers`.

    Parameters
    ----------
    model : Module
    layers : dict of str to Module
    batches : iterable
        Inputs: a tensor, a tuple of positional or a dict of keyword arguments each.
    loss : function, optional
        Of what the model returns: a scalar to differentiate; by default a random projection.
    seed : int
    """
    moments = Moments(layers)
    generator = torch.Generator().manual_seed(seed)
    with moments.measuring(model), torch.enable_grad():
        count = 0
        for batch in batches:
            out = call(model, batch)
            moments.finish_batch(_projected(out, generator) if loss is None else loss(out))
            count += 1
    if not count:
        raise ValueError("calibration: expected at least one batch, got none")
    return moments


def call(model: nn.Module, batch: Any) -> Any:
    """The model applied to a tensor, a tuple of positional, or a dict of keyword arguments."""
    if isinstance(batch, dict):
        return model(**batch)
    return model(*batch) if isinstance(batch, (tuple, list)) else model(batch)


def tensors(out: Any) -> list[Tensor]:
    """The floating-point tensors in what a model returns, in order."""
    if isinstance(out, Tensor):
        return [out] if out.is_floating_point() else []
    values = out.values() if isinstance(out, dict) else out if isinstance(out, (tuple, list)) else ()
    return [t for value in values for t in tensors(value)]


def _projected(out: Any, generator: torch.Generator) -> Tensor | None:
    """The sum of all outputs that depend on a layer, with random signs."""
    parts = [t for t in tensors(out) if t.requires_grad]
    if not parts:
        return None
    signs = [torch.randint(0, 2, t.shape, generator=generator).to(t) * 2 - 1 for t in parts]
    return torch.stack([(s * t).sum() for s, t in zip(signs, parts, strict=True)]).sum()
