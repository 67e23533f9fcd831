"""What every transform, quantizer and pipeline has: parameters, a configuration and a state (numcodecs' identity, scikit-learn's manners)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from codeword import checks
from codeword.errors import FormatError, NotFittedError, UnknownQuantizerError

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
State = dict[str, NDArray[Any]]
Self = TypeVar("Self", bound="Component")


class Component:
    """Parameters, configuration and state: what every transform, quantizer and pipeline has.

    The parameters are the arguments of `__init__`, which stores each under its own name and does nothing else; they are
    checked by `fit`. Two components are equal if their configurations and states are.
    """

    id: ClassVar[str]
    d: int | None = None
    """Width of the rows it was fitted on; None before `fit`."""

    @classmethod
    def _parameters(cls) -> dict[str, Any]:
        """Names of the constructor's arguments with their defaults (... where there is none)."""
        if cls.__init__ is object.__init__:
            return {}
        code = cls.__init__.__code__
        names = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
        defaults: dict[str, Any] = dict.fromkeys(names, ...)
        positional = cls.__init__.__defaults__ or ()
        defaults.update(zip(code.co_varnames[code.co_argcount - len(positional) : code.co_argcount], positional, strict=True))
        defaults.update(cls.__init__.__kwdefaults__ or {})
        return defaults

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name; with `deep`, also those of nested components as ``name__parameter``."""
        params = {name: getattr(self, name) for name in self._parameters()}
        for name, value in list(params.items()) if deep else ():
            if isinstance(value, Component):
                params.update({f"{name}__{key}": v for key, v in value.get_params().items()})
        return params

    def set_params(self: Self, **params: Any) -> Self:
        """Set parameters by name (``name__parameter`` for nested components); what was learned stays until `fit`.

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        known = self._parameters()
        for name, value in params.items():
            head, _, tail = name.partition("__")
            if head not in known:
                raise ValueError(f"{type(self).__name__} has no parameter {head!r}; it has {', '.join(known) or 'none'}")
            if tail:
                getattr(self, head).set_params(**{tail: value})
            else:
                setattr(self, head, value)
        return self

    def clone(self: Self) -> Self:
        """A new component with the same parameters, not fitted."""
        params = {k: v.clone() if isinstance(v, Component) else v for k, v in self.get_params(deep=False).items()}
        return type(self)(**params)

    def __repr__(self) -> str:
        defaults = self._parameters()
        shown = []
        for name, value in self.get_params(deep=False).items():
            if defaults[name] is ...:
                shown.append(repr(value))
            elif not (value is defaults[name] or (type(value) is type(defaults[name]) and value == defaults[name])):
                shown.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other) or not isinstance(other, Component):
            return NotImplemented
        if self.config() != other.config():
            return False
        if self.d is None:
            return True
        mine, theirs = self.state(), other.state()
        return mine.keys() == theirs.keys() and all(np.array_equal(mine[k], theirs[k]) for k in mine)

    __hash__ = None  # type: ignore[assignment]

    # Persistence

    def config(self) -> dict[str, Any]:
        """Identity as JSON: ``{"id": ..., "d": ..., "params": {...}}``."""
        return {"id": self.id, "d": self.d, "params": {k: _plain(v) for k, v in self.get_params(deep=False).items()}}

    def state(self) -> State:
        """What was learned, as named arrays.

        Raises
        ------
        NotFittedError
            Before `fit`.
        """
        self._check_fitted()
        return self._state()

    @classmethod
    def from_config(cls: type[Self], config: Mapping[str, Any], state: Mapping[str, Any]) -> Self:
        """Rebuild from `config()` and `state()`.

        Raises
        ------
        FormatError
            If the two do not describe an object of this class.
        """
        params, d = config.get("params"), config.get("d")
        if not isinstance(params, Mapping) or not (d is None or (type(d) is int and 0 < d <= checks.MAX_DIM)):
            raise FormatError(f"{cls.__name__}: 'params' must be a mapping and 'd' a width, got {params!r} and {d!r}")
        try:
            made = cls(**params)
            made.d = d
            if d is not None:
                made._load(dict(state))
        except (TypeError, KeyError, ValueError, IndexError, OverflowError) as e:
            if isinstance(e, (FormatError, UnknownQuantizerError)):
                raise
            raise FormatError(f"{cls.__name__}: configuration and arrays do not fit together: {e!r}") from e
        return made

    def _state(self) -> State:
        return {}

    def _load(self, state: State) -> None:
        pass

    def _check_fitted(self) -> None:
        if self.d is None:
            raise NotFittedError(f"{type(self).__name__} is not fitted; call fit(X) first, or load a fitted one")

    def __sklearn_is_fitted__(self) -> bool:
        return self.d is not None


def array(state: Mapping[str, Any], name: str, dtype: Any, shape: tuple[int | None, ...]) -> NDArray[Any]:
    """The array `name` of a loaded state, or FormatError where it is missing or not of this dtype and shape (None: any size)."""
    if name not in state:
        raise FormatError(f"array {name!r} is missing")
    A = np.asarray(state[name])
    fits = A.ndim == len(shape) and all(want is None or want == got for want, got in zip(shape, A.shape, strict=True))
    if A.dtype != np.dtype(dtype) or not fits:
        raise FormatError(f"array {name!r}: expected {np.dtype(dtype)} {shape}, got {A.dtype} {A.shape}")
    if A.dtype.kind == "f" and not np.isfinite(A).all():
        raise FormatError(f"array {name!r}: expected finite numbers")
    return np.ascontiguousarray(A)


def _plain(value: Any) -> Any:
    """A parameter as JSON knows it."""
    if isinstance(value, Component):
        return value.config()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value
