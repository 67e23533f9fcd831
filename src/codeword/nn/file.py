"""One safetensors file for a compressed model: codes, side data, tables, what stays dense, and the recipe (docs/format.md).

"<weight>.codes", ".scale", ".row_bytes"    of each compressed weight, which its first name stands for
"codeword.tables.<method>.<bits>.<table>"   what a reader without this package decodes with
any other name                              a tensor as it is, float32 parameters as float16 where that is precise enough
metadata "codeword"                         JSON: format, version, recipe, weights, dtypes and aliases of dense tensors
"""

from __future__ import annotations

import json
import math
import os
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize
from torch import Tensor, nn

import codeword
from codeword.errors import FormatError
from codeword.io.replace import replacing
from codeword.nn.codecs import METHODS, codec
from codeword.nn.feedback import Tiling
from codeword.nn.kinds import EMBEDDING, KINDS, kind_of, strip_parametrization
from codeword.nn.matrix import Packed
from codeword.nn.modules import PackedWeight, VQModule, module_for, replace

FORMAT = 1
_PRECISE = 2.0**-11  # float16 keeps so much of a number that is not tiny
_HEADER, _PER_WEIGHT, _PER_TENSOR = 6144, 800, 150  # bytes of header at most


def round_rest(model: nn.Module) -> None:
    """Give parameters that are no codes the values that `save` keeps of them."""
    for parameter in model.parameters():
        if _halves(parameter):
            parameter.data = parameter.data.half().float()


def _halves(t: Tensor) -> bool:
    """Whether float16 is precise enough for a float32 parameter: to 2^-11 of its entries, or 2^-21 of their root mean square."""
    if t.dtype != torch.float32 or not isinstance(t, nn.Parameter):
        return False
    error = (t.detach().half().float() - t.detach()).abs()
    floor = 2.0**-10 * t.detach().square().mean().sqrt()
    return bool((error <= _PRECISE * torch.maximum(t.detach().abs(), floor)).all())


def count(model: nn.Module) -> tuple[int, int]:
    """Numbers in parameters and floating-point buffers, each once, and their bytes."""
    seen = {id(t): t for t in [*model.parameters(), *(b for b in model.buffers() if b.is_floating_point())]}
    return sum(t.numel() for t in seen.values()), sum(t.numel() * t.element_size() for t in seen.values())


def size(model: nn.Module, recipe: dict[str, Any]) -> int:
    """Bytes of the file that `save` writes."""
    return len(_serialized(model, recipe))


def save(model: nn.Module, path: str, recipe: dict[str, Any]) -> int:
    """Write a compressed model and return the bytes of the file; an existing one is replaced at once or not at all."""
    return write(_serialized(model, recipe), path)


def write(data: bytes, path: str) -> int:
    """Put bytes at a path, all or nothing, and return how many."""
    with replacing(path) as out:
        out.write(data)
    return len(data)


def rest_bytes(model: nn.Module, shapes: list[tuple[int, int]], names: list[str]) -> int:
    """Bytes that a file of the model needs at most beyond its codes."""
    compressed = {id(model.get_submodule(name).weight) for name in names}
    dense = {id(t): t for t in [*model.parameters(), *model.buffers()] if id(t) not in compressed}
    values = sum(t.numel() * (2 if _halves(t) else t.element_size()) + _PER_TENSOR for t in dense.values())
    return int(values + sum(rows + 4 + _PER_WEIGHT for rows, _ in shapes) + _HEADER)


def _serialized(model: nn.Module, recipe: dict[str, Any]) -> bytes:
    weights: dict[str, dict[str, Any]] = {}
    packed: dict[int, str] = {}
    tensors: dict[str, Tensor] = {}
    inside: set[str] = set()
    for name, layer in model.named_modules(remove_duplicate=False):
        if not isinstance(layer, VQModule):
            continue
        full = f"{name}.weight"
        inside |= {f"{name}.packed.{part}" for part in ("codes", "scale", "row_bytes")}
        first = packed.setdefault(id(layer.packed), full)
        if first == full:
            weights[full] = entry(layer.packed.packed(), layer.kind.name, layer.weight_shape, layer.dtype)
            tensors |= parts(full, layer.packed.packed())
        else:
            weights[first]["also"].append(full)
    dense = {name: t for name, t in model.state_dict(keep_vars=True).items() if name not in inside}
    return encode(weights, tensors, dense, recipe)


def entry(packed: Packed, kind: str, shape: tuple[int, ...], dtype: torch.dtype) -> dict[str, Any]:
    """What the metadata say of a weight."""
    return {
        "kind": kind,
        "shape": list(shape),
        "dtype": str(dtype).removeprefix("torch."),
        "matrix": list(packed.shape),
        "method": packed.method,
        "bits": packed.bits,
        "seed": packed.seed,
        "both": packed.both,
        "also": [],
    }


def parts(name: str, packed: Packed) -> dict[str, Tensor]:
    """The tensors of a weight."""
    return {
        f"{name}.codes": torch.from_numpy(packed.codes),
        f"{name}.scale": torch.tensor(packed.scale, dtype=torch.float32),
        f"{name}.row_bytes": torch.from_numpy(packed.row_bytes),
    }


def encode(
    weights: dict[str, dict[str, Any]], tensors: dict[str, Tensor], dense: dict[str, Tensor], recipe: dict[str, Any]
) -> bytes:
    """The bytes of a file."""
    tensors = dict(tensors)
    dtypes: dict[str, str] = {}
    aliases: dict[str, str] = {}
    seen: dict[Any, str] = {}
    for name, t in dense.items():
        key = (t.data_ptr(), tuple(t.shape), t.stride()) if t.numel() else (name,)
        if key in seen:
            aliases[name] = seen[key]
            continue
        seen[key] = name
        if _halves(t):
            dtypes[name] = "float32"
        tensors[name] = (t.detach().half() if _halves(t) else t.detach()).cpu().contiguous()
    for method, bits in {(w["method"], w["bits"]) for w in weights.values()}:
        for table, values in codec(method, bits).tables().items():
            tensors[f"codeword.tables.{method}.{bits:g}.{table}"] = torch.from_numpy(np.ascontiguousarray(values))
    about = {
        "format": FORMAT,
        "version": codeword.__version__,
        "recipe": recipe,
        "weights": weights,
        "dtypes": dtypes,
        "aliases": aliases,
    }
    return bytes(serialize(dict(sorted(tensors.items())), {"codeword": json.dumps(about, separators=(",", ":"))}))


class Stored:
    """A file of `save`, open for reading; a context manager.

    Attributes
    ----------
    about : dict
        The metadata.
    nbytes : int
        Of the file.
    """

    def __init__(self, path: str) -> None:
        self.path, self.nbytes = path, os.path.getsize(path)
        try:
            opened: Any = safe_open
            self._file = opened(path, "pt")
            self._names = set(self._file.keys())
            self.about: dict[str, Any] = json.loads((self._file.metadata() or {}).get("codeword", "null"))
        except (SafetensorError, json.JSONDecodeError) as e:
            raise FormatError(f"{path}: {e}") from e
        if not isinstance(self.about, dict) or not isinstance(self.about.get("weights"), dict):
            raise FormatError(f"{path}: expected a model that codeword.nn has compressed, found other tensors")
        if self.about.get("format") != FORMAT:
            raise FormatError(f"{path}: expected format {FORMAT}, got {self.about.get('format')!r}; a newer codeword may read it")
        self.weights: dict[str, dict[str, Any]] = self.about["weights"]
        self._check_tables()

    def tensor(self, name: str) -> Tensor:
        """A tensor as stored."""
        if name not in self._names:
            raise FormatError(f"{self.path}: tensor {name!r} is missing")
        made: Tensor = self._file.get_tensor(name)
        return made

    def packed(self, name: str) -> Packed:
        """A compressed weight, checked."""
        w = self.weights[name]
        try:
            rows, columns = (int(n) for n in w["matrix"])
            made = codec(str(w["method"]), float(w["bits"]))
            tiling = Tiling.of(rows, columns)
            seed, both = int(w["seed"]), bool(w["both"])
            fits = rows > 0 and columns > 0 and math.prod(w["shape"]) == rows * columns and w["kind"] in KINDS
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as e:
            raise FormatError(f"{self.path}: weight {name!r}: {e!r}") from e
        if not fits or not 0 <= seed < 2**63 - 1:
            raise FormatError(f"{self.path}: weight {name!r}: shape, kind or seed cannot be")
        codes, scale, row_bytes = (self.tensor(f"{name}.{part}").numpy() for part in ("codes", "scale", "row_bytes"))
        wanted = (tiling.bands, tiling.blocks, made.code_size(tiling.width))
        if codes.dtype != np.uint8 or codes.shape != wanted:
            raise FormatError(f"{self.path}: {name}.codes: expected uint8 {wanted}, got {codes.dtype} {codes.shape}")
        if row_bytes.dtype != np.uint8 or row_bytes.shape != (rows,):
            raise FormatError(f"{self.path}: {name}.row_bytes: expected uint8 ({rows},), got {row_bytes.dtype} {row_bytes.shape}")
        if scale.dtype != np.float32 or scale.size != 1 or not np.isfinite(scale).all():
            raise FormatError(f"{self.path}: {name}.scale: expected a finite float32")
        return Packed((rows, columns), made.method, made.bits, seed, both, codes, float(scale), row_bytes)

    def dense(self) -> dict[str, Tensor]:
        """Tensors that are no codes, in their own number types."""
        coded = {f"{name}.{part}" for name in self.weights for part in ("codes", "scale", "row_bytes")}
        made = {n: self.tensor(n) for n in sorted(self._names - coded) if not n.startswith("codeword.tables.")}
        for name, dtype in self.about.get("dtypes", {}).items():
            if name in made:
                made[name] = made[name].to(getattr(torch, dtype))
        return made | {name: made[first] for name, first in self.about.get("aliases", {}).items() if first in made}

    def weight(self, name: str) -> Tensor:
        """A compressed weight, decoded, in its own shape and number type."""
        w = self.weights[name]
        matrix = torch.from_numpy(self.packed(name).unpack())
        return KINDS[w["kind"]].weight(matrix, tuple(w["shape"])).to(getattr(torch, w["dtype"])).contiguous()

    def _check_tables(self) -> None:
        for method, bits in {(w.get("method"), w.get("bits")) for w in self.weights.values()}:
            if method not in METHODS:
                raise FormatError(f"{self.path}: unknown method {method!r}")
            for table, ours in codec(method, bits).tables().items():
                theirs: NDArray[Any] = self.tensor(f"codeword.tables.{method}.{bits:g}.{table}").numpy()
                if theirs.shape != ours.shape or (theirs != ours).any():
                    raise FormatError(f"{self.path}: the tables of {method} are not those of this version")


def load(path: str, model: nn.Module | None = None, *, dense: bool = False) -> Any:
    """A compressed model.

    Parameters
    ----------
    path : str
        A file of `Compressed.save` or `compress_file`.
    model : Module, optional
        The architecture, its weights of no account: they may lie on the meta device. It is changed and returned.
    dense : bool
        Decode all weights: a plain state dict without `model`, else the model with plain layers.

    Returns
    -------
    Module or dict of str to Tensor

    Raises
    ------
    FormatError
        For a file that is damaged or something else.
    ValueError
        If the model lacks a layer that the file has.
    """
    stored = Stored(path)
    if model is None and not dense:
        raise ValueError("model: expected a module to load into, got None; or take dense=True for a state dict")
    state = stored.dense()
    for name, about in stored.weights.items():
        names = [name, *about["also"]]
        if model is not None and not dense and _fits(model, names, about):
            shared = PackedWeight(stored.packed(name))
            for full in names:
                path_, _, _ = full.rpartition(".")
                layer = model.get_submodule(path_)
                kind = kind_of(layer)
                assert kind is not None
                replace(model, path_, module_for(layer, kind, shared))
                state |= {f"{path_}.packed.{part}": t for part, t in shared.state_dict().items()}
        else:
            state |= dict.fromkeys(names, stored.weight(name))
            if model is not None:
                for full in names:
                    strip_parametrization(model.get_submodule(full.rpartition(".")[0]))
    if model is None:
        return state
    try:
        model.load_state_dict(state, assign=True)
    except RuntimeError as e:
        raise ValueError(f"model: does not fit {path}: {e}") from e
    return model


def _fits(model: nn.Module, names: list[str], about: dict[str, Any]) -> bool:
    """Whether the layers of these weights can hold codes."""
    for full in names:
        path, _, last = full.rpartition(".")
        try:
            layer = model.get_submodule(path)
        except AttributeError as e:
            raise ValueError(f"model: has no layer {path!r}, which the file has") from e
        kind = kind_of(layer)
        if last != "weight" or kind is None or (kind is EMBEDDING and about["both"]):
            return False
        if kind is not EMBEDDING and len(names) == 1 and kind.name != about["kind"]:
            return False
    return True
