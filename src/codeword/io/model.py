"""Saving and loading what is fitted: anything with `id`, `config()` and `state()` (see `codeword.base.Component`).

    object --config()--> header {"config": ...}          --registry.from_config--> the same object
           --state()---> arrays, parts' under dotted names

Loading looks a class up under its registered id; a file names no module and no code.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import registry
from codeword.errors import FormatError, UnknownQuantizerError
from codeword.io.reader import Container, open_container
from codeword.io.writer import write

KIND = "model"


def save(obj: Any, path: str | os.PathLike[str]) -> None:
    """Save a fitted quantizer, transform or pipeline to the file `path`, replacing it; after any failure the old file stays.

    Raises
    ------
    NotFittedError
        If there is nothing to save yet.
    UnknownQuantizerError
        If its class is not registered: the file could not be loaded.
    TypeError
        If `obj` is not such an object.

    Examples
    --------
    >>> import os, tempfile, numpy as np, codeword as cw
    >>> X = np.random.default_rng(0).normal(size=(1000, 8))
    >>> quantizer = cw.VectorQuantizer(16).fit(X)
    >>> path = os.path.join(tempfile.mkdtemp(), "words.cw")
    >>> cw.save(quantizer, path)
    >>> cw.load(path) == quantizer
    True
    """
    for need in ("config", "state"):
        if isinstance(obj, type) or not callable(getattr(obj, need, None)):
            raise TypeError(f"obj: expected a quantizer, transform or pipeline, got {type(obj).__name__} without {need}()")
    config = obj.config()
    cls: Any = registry.lookup(config.get("id") if isinstance(config, Mapping) else None)
    if not isinstance(obj, cls):
        raise UnknownQuantizerError(f"id {config['id']!r} means {cls.__name__}, and obj is {type(obj).__name__}")
    write(path, KIND, {"config": config}, obj.state())


def load(path: str | os.PathLike[str], verify: str = "touch") -> Any:
    """Load what `save` wrote.

    Parameters
    ----------
    path : str or path-like
    verify : {"touch", "open", "off"}
        Whether the arrays are compared with their checksums ("touch" and "open": before they are used) or not.

    Returns
    -------
    object equal to the one that was saved

    Raises
    ------
    FormatError
        If the file is damaged, holds something else, or its arrays do not fit its configuration.
    UnknownQuantizerError
        If no class is registered under an id in it.
    """
    with open_container(path, verify) as file:
        config = _config(file)
        # Copies: a model is small, may learn on in place, and must not depend on what becomes of the file.
        state = {name: np.array(file.array(name)) for name in file.names}
        return _build(file.path, config, state)


def _config(file: Container) -> dict[str, Any]:
    if file.kind != KIND:
        hint = "; open it with codeword.open_index" if file.kind.startswith("index") else ""
        raise FormatError(f"{file.path}: it holds kind {file.kind!r}, not a quantizer, transform or pipeline{hint}")
    config = file.header.get("config")
    if not isinstance(config, dict):
        raise FormatError(f"{file.path}: the header has no configuration")
    if len(file.header) > 1:
        raise FormatError(f"{file.path}: the header has more than a configuration")
    return config


def _build(path: str, config: dict[str, Any], state: dict[str, NDArray[Any]]) -> Any:
    """The object; whatever a class raises for a configuration and arrays that do not fit, the caller sees a FormatError."""
    try:
        made = registry.from_config(config, state)
        more = state.keys() - made.state().keys()
    except Exception as e:
        cause = e.__cause__ if isinstance(e.__cause__, UnknownQuantizerError) else e
        if isinstance(cause, UnknownQuantizerError):
            raise UnknownQuantizerError(f"{path}: {cause}") from None
        if isinstance(e, FormatError):
            raise FormatError(f"{path}: {e}") from e
        raise FormatError(f"{path}: configuration and arrays do not fit together: {e!r}") from e
    if more:
        raise FormatError(f"{path}: holds an array that {type(made).__name__} does not have: {', '.join(sorted(more))}")
    return made
