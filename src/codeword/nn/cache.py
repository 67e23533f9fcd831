"""CodedCache: the cache of a transformers model, keys and values as codes. Needs the extra ``transformers``.

    model.generate(..., past_key_values=CodedCache(key_bits=2, value_bits=2))

Layers give attention what they remember, decoded; the memory between steps is that of the codes and of the last tokens.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

from codeword.nn.kv import KVCodec


class CodedLayer(CacheLayerMixin):
    """Keys and values of one layer; options are those of `KVCodec`."""

    is_sliding = False

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self._options = options
        self.codec: KVCodec | None = None

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """The codec for states of this shape."""
        batch, heads, _, d = key_states.shape
        self.codec = KVCodec(batch, heads, d, **self._options)
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Append states (batch, heads, n, d); all keys and values (batch, heads, tokens, d) as remembered."""
        if self.codec is None:
            self.lazy_initialization(key_states, value_states)
        assert self.codec is not None
        self.codec.append(*(states.detach().float().cpu().numpy() for states in (key_states, value_states)))
        keys, values = (torch.from_numpy(X).to(key_states.device, key_states.dtype) for X in self.codec.expand())
        return keys, values

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Tokens after the next update, and the first of them."""
        return self.get_seq_length() + query_length, 0

    def get_seq_length(self) -> int:
        """Tokens remembered."""
        return self.codec.tokens if self.codec else 0

    def get_max_length(self) -> int:
        """No limit."""
        return -1

    def get_max_cache_shape(self) -> int:
        """The same by its older name."""
        return -1

    def reset(self) -> None:
        """Forget everything."""
        self.codec, self.is_initialized = None, False

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Sequences in another order, for beam search."""
        self.batch_select_indices(beam_idx)

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these sequences."""
        if self.codec:
            self.codec.take(indices.cpu().numpy())

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Each sequence `repeats` times."""
        if self.codec:
            self.batch_select_indices(torch.arange(self.codec.batch).repeat_interleave(repeats))


class CodedCache(Cache):
    """A cache of codes for every layer of a model.

    Parameters
    ----------
    **options
        key_bits, value_bits, recent, method, seed of `KVCodec`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(layer_class_to_replicate=functools.partial(CodedLayer, **options))

    @property
    def nbytes(self) -> int:
        """Bytes that all layers remember."""
        return sum(layer.codec.nbytes for layer in self.layers if isinstance(layer, CodedLayer) and layer.codec)
