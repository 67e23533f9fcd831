"""From the words of the command line to a quantizer: ``--quantizer product --m 48 --transform klt:d_out=64``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import typer

from codeword import registry
from codeword.base import Component, Quantizer, Transform
from codeword.errors import UnknownQuantizerError
from codeword.pipeline import Pipeline
from codeword.quantizers.mixture import MixtureQuantizer
from codeword.stages import Stages


def quantizer(name: str, given: dict[str, Any], params: Iterable[str], transforms: Iterable[str], seed: int) -> Quantizer:
    """The quantizer registered under `name` behind the transforms, not fitted.

    Parameters
    ----------
    name : str
        Id of a quantizer.
    given : dict
        Values of its own options (``--m``, ``--bits``, ``--k``); None was not given.
    params : iterable of str
        Further parameters as ``name=value``.
    transforms : iterable of str
        ``id`` or ``id:name=value,name=value``, in order.
    seed : int
        Goes to every part that draws anything.
    """
    values = {key: value for key, value in given.items() if value is not None}
    made = _component(name, {**values, **dict(_assignment(p) for p in params)}, seed, Quantizer, "--quantizer")
    chain = [_transform(text, seed) for text in transforms]
    return Pipeline(chain, made) if chain else made


def names(kind: type[Component]) -> list[str]:
    """Ids of the quantizers or transforms that there are; what is put together of others is not named."""
    return [
        i for i in registry.ids() if issubclass(_class(i), kind) and not issubclass(_class(i), (Pipeline, MixtureQuantizer, Stages))
    ]


def _transform(text: str, seed: int) -> Transform:
    name, _, params = text.partition(":")
    return _component(name, dict(_assignment(p) for p in params.split(",") if p), seed, Transform, "--transform")  # type: ignore[no-any-return]


def _component(name: str, params: dict[str, Any], seed: int, kind: type[Component], option: str) -> Any:
    """An instance of the class registered under `name`, every parameter's name checked here; its value is checked by `fit`."""
    known = names(kind)
    if name not in known:
        raise typer.BadParameter(f"no {kind.__name__.lower()} {name!r}; there are: {', '.join(known)}", param_hint=option)
    cls = registry.lookup(name)
    allowed = cls._parameters()  # type: ignore[attr-defined]
    for key in params:
        if key not in allowed:
            raise typer.BadParameter(f"{name} has no parameter {key!r}; it has {', '.join(allowed) or 'none'}", param_hint=option)
    missing = [key for key, default in allowed.items() if default is ... and key not in params]
    if missing:
        hint = {
            "m": "the pieces of a row or the codewords added, each one byte of the code at 8 bits",
            "k": "the number of codewords",
        }.get(missing[0], "")
        raise typer.BadParameter(f"{name} needs --{missing[0]}{': ' if hint else ''}{hint}", param_hint=option)
    if "seed" in allowed:
        params.setdefault("seed", seed)
    return cls(**params)


def _class(name: str) -> type:
    try:
        return registry.lookup(name)
    except (UnknownQuantizerError, ImportError):  # a plug-in that does not load must not stop the others
        return object


def _assignment(text: str) -> tuple[str, Any]:
    """``name=value``; the value is read as JSON where it is JSON, as a word otherwise."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"expected name=value, got {text!r}", param_hint="--param")
    try:
        return name.strip(), json.loads(value)
    except json.JSONDecodeError:
        return name.strip(), value
