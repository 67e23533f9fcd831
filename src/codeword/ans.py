"""Numbers as a byte string of nearly their entropy: asymmetric numeral systems, by the library constriction (extra ``entropy``).

    numbers (n,), weights (k,) --whole frequencies that sum to 2**24--> ANS --> header, words

The string is: n as uint64; the CRC-32C of the frequencies, of n and of the words, as uint32; the words, uint32 each; all little-endian.
Frequencies must be the same on both sides, so they are made of integers, and their checksum is in that of the string.

Source: Duda 2013, "Asymmetric numeral systems"; Bamler 2022, "Understanding entropy coding with asymmetric numeral systems" (constriction).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import _native
from codeword.errors import FormatError

PRECISION = 24
_HEADER = 12


def frequencies(weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """Frequencies (k,) of at least 1 that sum to 2**24, nearly in proportion to `weights` (k,); k is at most 2**23.

    Examples
    --------
    >>> frequencies(np.array([3.0, 1.0])).tolist()
    [12582912, 4194304]
    """
    whole = (1 << PRECISION) - len(weights)
    shares = 1 + np.floor(weights * (whole / np.add.accumulate(weights)[-1])).astype(np.int64)
    shares[np.argmax(shares)] += (1 << PRECISION) - shares.sum()
    return np.asarray(shares)


def encode(numbers: NDArray[Any], shares: NDArray[np.int64]) -> bytes:
    """The byte string of `numbers` (n,), each below k, which has the frequencies `shares` (k,).

    Raises
    ------
    ImportError
        If constriction is not installed.
    """
    words = np.zeros(0, np.uint32)
    if len(shares) > 1 and len(numbers):
        coder = _library().stack.AnsCoder()
        coder.encode_reverse(np.ascontiguousarray(numbers, np.int32), _model(shares))
        words = coder.get_compressed()
    count, body = len(numbers).to_bytes(8, "little"), words.astype("<u4").tobytes()
    return count + _checksum(count, body, shares) + body


def decode(data: bytes, shares: NDArray[np.int64]) -> NDArray[np.int32]:
    """The numbers (n,) of a byte string that `encode` made with the same frequencies.

    Raises
    ------
    FormatError
        If the string is damaged, or was made with other frequencies.
    """
    count, check, body = data[:8], data[8:_HEADER], data[_HEADER:]
    if len(data) < _HEADER or len(body) % 4 or _checksum(count, body, shares) != check:
        raise FormatError(f"data: these {len(data)} bytes are damaged, or from another quantizer")
    n = int.from_bytes(count, "little")
    if len(shares) == 1 or n == 0:
        return np.zeros(n, np.int32)
    words = np.frombuffer(body, "<u4").astype(np.uint32)
    return np.asarray(_library().stack.AnsCoder(words).decode(_model(shares), n), np.int32)


def _checksum(count: bytes, body: bytes, shares: NDArray[np.int64]) -> bytes:
    check = 0
    for part in (shares.astype("<i8").tobytes(), count, body):
        check = _native.crc32c(np.frombuffer(part, np.uint8), check)
    return int(check).to_bytes(4, "little")


def _library() -> Any:
    try:
        import constriction
    except ImportError as e:
        raise ImportError("entropy coding needs the package constriction; install codeword[entropy]") from e
    return constriction.stream


def _model(shares: NDArray[np.int64]) -> Any:
    # Multiples of 2**-24 below 1: float32 holds them exactly.
    return _library().model.Categorical(np.ldexp(shares.astype(np.float32), -PRECISION), perfect=False)
