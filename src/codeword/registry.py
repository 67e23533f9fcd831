"""Which class an id in a file or a configuration means.

Two classes share an id only if each decodes the other's bytes. Packages add their own through the entry-point group
``codeword.quantizers`` (name = id, value = class), loaded on the first miss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from codeword.errors import UnknownQuantizerError

_CLASSES: dict[str, type] = {}
# Classes of this package by the module that registers them, so that importing the package does not import them all.
_MODULES = {
    "vector": "codeword.quantizers.vector",
    "scalar": "codeword.quantizers.scalar",
    "product": "codeword.quantizers.product",
    "ecvq": "codeword.quantizers.ecvq",
    "gain-shape": "codeword.quantizers.gain_shape",
    "tree": "codeword.quantizers.tree",
    "binary": "codeword.quantizers.binary",
    "trellis": "codeword.quantizers.trellis",
    "residual": "codeword.quantizers.residual",
    "additive": "codeword.quantizers.additive",
    "mixture": "codeword.quantizers.mixture",
    "scaled": "codeword.quantizers.scaled",
    "lattice": "codeword.quantizers.lattice",
    "pipeline": "codeword.pipeline",
    "stages": "codeword.stages",
    "center": "codeword.transforms.center",
    "normalize": "codeword.transforms.normalize",
    "rotation": "codeword.transforms.rotation",
    "klt": "codeword.transforms.klt",
    "opq": "codeword.transforms.opq",
}
# Classes that need an extra of this package: the module, and the extra's name.
_EXTRAS = {
    "codebook-outliers": ("codeword.cluster.outliers", "cluster"),
    "segments": ("codeword.cluster.segments.model", "cluster"),
}
C = TypeVar("C", bound=type)


def register(id: str) -> Callable[[C], C]:
    """Class decorator: make the class known under `id`, which is stored in files and never changes its meaning."""

    def add(cls: C) -> C:
        known = _CLASSES.get(id)
        if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ValueError(f"id {id!r} is taken by {known.__module__}.{known.__qualname__}")
        cls.id = id  # type: ignore[attr-defined]
        _CLASSES[id] = cls
        return cls

    return add


def ids() -> list[str]:
    """All known ids, sorted."""
    return sorted({*_CLASSES, *_MODULES, *_EXTRAS, *_entry_points()})


def lookup(id: object) -> type:
    """The class registered under `id`.

    Raises
    ------
    UnknownQuantizerError
        If nothing is registered under it; the message lists what is.
    """
    if isinstance(id, str):
        if id not in _CLASSES and id in _MODULES:
            from importlib import import_module

            import_module(_MODULES[id])
        if id not in _CLASSES and id in _EXTRAS:
            _import_extra(id)
        if id not in _CLASSES and id in _entry_points():
            register(id)(_entry_points()[id].load())
        if id in _CLASSES:
            return _CLASSES[id]
    raise UnknownQuantizerError(f"unknown id {id!r}; known: {', '.join(ids())}")


def _import_extra(id: str) -> None:
    from importlib import import_module

    module, extra = _EXTRAS[id]
    try:
        import_module(module)
    except ModuleNotFoundError as e:
        raise ImportError(f"{id} needs {e.name}: pip install codeword[{extra}]") from e


def from_config(config: Mapping[str, Any], state: Mapping[str, Any]) -> Any:
    """Build the object that `config` and `state` describe (the inverse of its `config()` and `state()`)."""
    if not isinstance(config, Mapping) or "id" not in config:
        raise UnknownQuantizerError(f"a configuration is a mapping with an 'id', got {type(config).__name__}")
    cls: Any = lookup(config["id"])
    return cls.from_config(config, state)


def _entry_points() -> dict[str, Any]:
    from importlib.metadata import entry_points

    return {e.name: e for e in entry_points(group="codeword.quantizers")}
