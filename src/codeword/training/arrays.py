"""Named arrays as bytes and back, for statistics that travel between processes: an uncompressed .npz, nothing pickled."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray


def to_bytes(**values: Any) -> bytes:
    """Bytes of named arrays or numbers.

    Examples
    --------
    >>> from_bytes(to_bytes(n=3, low=[1.0, 2.0]), "n", "low")
    {'n': array(3), 'low': array([1., 2.])}
    """
    buffer = BytesIO()
    np.savez(buffer, allow_pickle=False, **{name: np.asarray(value) for name, value in values.items()})
    return buffer.getvalue()


def from_bytes(data: bytes, *names: str) -> dict[str, NDArray[Any]]:
    """The named arrays that `to_bytes` wrote.

    Raises
    ------
    ValueError
        If the bytes are damaged, or hold other arrays.
    """
    try:
        with np.load(BytesIO(data), allow_pickle=False) as archive:
            return {name: archive[name] for name in names}
    except (BadZipFile, KeyError, EOFError, OSError, ValueError) as e:
        raise ValueError(f"data: expected arrays {', '.join(names)} as to_bytes writes them, got something else ({e})") from None


def optional(value: NDArray[Any]) -> float | None:
    """A number, None where it is NaN."""
    return None if np.isnan(value) else float(value)
