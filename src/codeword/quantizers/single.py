"""SingleCodebook: what quantizers share whose code is the number of one row of one codebook, however that row is found.

x (d,) --_encode--> number, ceil(log2(k)) bits, in whole bytes --codebook--> x̂ (d,)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import checks, codes
from codeword.base import F32, U8, Quantizer


class SingleCodebook(Quantizer):
    """Decoding, sizes and scores of codes that are row numbers of `codebook`. Subclasses find the row, and call `_set_codebook`."""

    codebook: F32
    """(k, d) float32."""

    def indices(self, codes_: Any) -> NDArray[np.uint32]:
        """Codeword numbers (n, 1) of packed codes (n, code_size)."""
        self._check_fitted()
        return codes.unpack(checks.codes(codes_, self.code_size), self._widths())

    @property
    def code_size(self) -> int:
        """Bytes per vector."""
        return codes.size(self._widths())

    @property
    def model_bytes(self) -> int:
        """Bytes of the codebook."""
        self._check_fitted()
        return self.codebook.nbytes

    def _widths(self) -> U8:
        """Bits of a number, as `codes.pack` wants them."""
        self._check_fitted()
        return np.array([max(1, (len(self.codebook) - 1).bit_length())], np.uint8)

    def _set_codebook(self, codebook: F32) -> None:
        self.codebook, self.d = codebook, codebook.shape[1]
        self._tables: Any = None  # made by the first scorer

    def _decode(self, codes_: U8) -> F32:
        indices = codes.unpack(codes_, self._widths())
        codes.check_below(indices, len(self.codebook))
        return self.codebook[indices[:, 0]]

    def _scorer(self, queries: F32, metric: str) -> Any:
        from codeword.scorers import TableScorer, prepare

        if self._tables is None:
            self._tables = prepare([self.codebook], self._widths())
        return TableScorer(queries, self._tables, self._widths(), metric)
