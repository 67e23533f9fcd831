"""Files of tensors without a model: compress all matrices of one, expand, compare.

    model.safetensors or .gguf --compress_file--> out.safetensors --expand_file--> dense.safetensors

No data, no architecture: every floating-point tensor of two dimensions or more is a matrix of its first dimension by the others.
"""

from __future__ import annotations

import fnmatch
import math
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor

from codeword import checks, runtime
from codeword.errors import FormatError
from codeword.nn import file
from codeword.nn.codecs import METHODS, codec
from codeword.nn.kinds import KINDS
from codeword.nn.matrix import pack
from codeword.nn.report import Report, layer_report

MIN_SIZE = 2048
_LOOKED_UP = ("*embed*", "*wte*", "*wpe*")
"""Names of tables whose rows are looked up one by one: only their columns are mixed, so that rows can be decoded alone."""


def compress_file(
    source: str,
    target: str,
    bits: float = 3.0,
    *,
    method: str = "trellis8",
    layers: dict[str, float | None] | None = None,
    seed: int = 0,
) -> Report:
    """Compress the matrices in a file of tensors, without data or model code.

    Parameters
    ----------
    source : str
        A .safetensors file, or .gguf (with the package ``gguf``).
    target : str
        The file to write.
    bits : float
        A rate of the codec.
    method, layers, seed
        See `codeword.nn.compress`; `layers` has names of tensors.

    Returns
    -------
    Report

    Raises
    ------
    FormatError
        If `source` is damaged, or neither format.
    ValueError
        For rates that there are not, NaN or infinite entries.
    """
    checks.choice(method, "method", METHODS)
    codec(method, float(bits))
    checks.integer(seed, "seed", 0, 2**62)
    patterns = layers or {}
    report = Report()
    weights: dict[str, dict[str, Any]] = {}
    stored: dict[str, Tensor] = {}
    dense: dict[str, Tensor] = {}
    for name, tensor in read_tensors(source):
        report.weights += tensor.numel() if tensor.is_floating_point() else 0
        report.before += tensor.numel() * tensor.element_size() if tensor.is_floating_point() else 0
        pattern = next((p for p in patterns if fnmatch.fnmatchcase(name, p)), None)
        rate = float(bits) if pattern is None else patterns[pattern]
        reason = _reason(tensor, rate, pattern is not None)
        if reason or rate is None:
            dense[name] = tensor
            if tensor.dim() > 1:
                report.skipped.append((name, reason))
            continue
        start = time.perf_counter()
        W = _matrix(name, tensor)
        lookup = any(fnmatch.fnmatchcase(name, p) for p in _LOOKED_UP)
        packed = pack(W, rate, method=method, both=not lookup, seed=seed)
        kind = "embedding" if lookup else "linear" if tensor.dim() == 2 else "conv"
        weights[name] = file.entry(packed, kind, tuple(tensor.shape), tensor.dtype)
        stored |= file.parts(name, packed)
        seconds = time.perf_counter() - start
        report.layers.append(layer_report(name, kind, W, packed, packed.unpack(), None, seconds))
    report.after = file.write(
        file.encode(weights, stored, dense, {"method": method, "bits": bits, "seed": seed, "calibrated": False}), target
    )
    return report


def expand_file(source: str, target: str) -> int:
    """Write a compressed file's tensors dense, as safetensors; returns the bytes of the file."""
    from safetensors.torch import save

    state = file.load(source, dense=True)
    return file.write(bytes(save({name: t.clone().contiguous() for name, t in state.items()})), target)


def diff_files(a: str, b: str) -> list[dict[str, Any]]:
    """For each floating-point tensor of both files (dense or compressed), its shape, relative squared error and cosine.

    Raises
    ------
    ValueError
        If a tensor is in one file only, or of another shape.
    """
    first, second = dict(read_tensors(a)), dict(read_tensors(b))
    if first.keys() != second.keys():
        alone = sorted(first.keys() ^ second.keys())
        raise ValueError(f"{a}, {b}: {len(alone)} tensors are in one of them only, such as {alone[0]!r}")
    rows = []
    for name, x in first.items():
        y = second[name]
        if x.shape != y.shape:
            raise ValueError(f"{name}: {a} has shape {list(x.shape)}, {b} {list(y.shape)}")
        if x.is_floating_point():
            u, v = x.double().reshape(-1), y.double().reshape(-1)
            square, other = float(u @ u), float(v @ v)
            difference = float((u - v) @ (u - v))
            cosine = float(u @ v) / math.sqrt(square * other) if square and other else float(difference == 0)
            rows.append(
                {"name": name, "shape": list(x.shape), "error": difference / square if square else difference, "cosine": cosine}
            )
    return rows


def read_tensors(path: str) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors of a .safetensors file, dense or compressed, or of a .gguf file, one at a time."""
    if path.endswith(".gguf"):
        yield from _gguf(path)
        return
    try:
        opened: Any = safe_open
        with opened(path, "pt") as tensors:
            compressed = "codeword" in (tensors.metadata() or {})
            names = [] if compressed else sorted(tensors.keys())
            with runtime.Progress("tensors", max(len(names), 1), "tensors") as progress:
                for name in names:
                    yield name, tensors.get_tensor(name)
                    progress.advance(1, name)
    except SafetensorError as e:
        raise FormatError(f"{path}: {e}") from e
    if compressed:
        yield from sorted(file.load(path, dense=True).items())


def _gguf(path: str) -> Iterator[tuple[str, Tensor]]:
    try:
        import gguf
    except ImportError as e:
        raise ImportError("reading .gguf files needs the package gguf: pip install gguf") from e
    try:
        reader = gguf.GGUFReader(path)
    except ValueError as e:
        raise FormatError(f"{path}: {e}") from e
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        yield tensor.name, torch.from_numpy(np.array(values, np.float32))


def _reason(tensor: Tensor, rate: float | None, named: bool) -> str:
    if rate is None:
        return "as asked for"
    if not tensor.is_floating_point():
        return f"{tensor.dtype} is no floating-point type"
    if tensor.dim() < 2 or (not named and tensor.numel() < MIN_SIZE):
        return f"{tensor.numel()} weights, fewer than {MIN_SIZE}"
    return ""


def _matrix(name: str, tensor: Tensor) -> NDArray[np.float32]:
    W = np.ascontiguousarray(KINDS["linear"].matrix(tensor).float().numpy())
    if not np.isfinite(W).all():
        raise ValueError(f"{name}: expected finite weights, got NaN or infinity")
    return W
