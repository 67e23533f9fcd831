"""Quantizers as layers of PyTorch networks, trained with the network, then exported as quantizers of this package.

    x (..., d, ...) --layer--> quantized, indices, loss, perplexity, usage        layer.to_quantizer() --> codeword quantizer

`VectorQuantize`, `ResidualVQ`, `GroupedResidualVQ`, `FSQ`, `LFQ`, `SimVQ`; one word, `grad`, chooses how gradients pass.
"""

from importlib.util import find_spec

if find_spec("torch") is None:
    raise ModuleNotFoundError("codeword.torch needs PyTorch: pip install 'codeword[nn]'", name="torch")

from codeword.torch.fsq import FSQ as FSQ
from codeword.torch.layer import Layer as Layer
from codeword.torch.layer import Quantized as Quantized
from codeword.torch.lfq import LFQ as LFQ
from codeword.torch.residual import GroupedResidualVQ as GroupedResidualVQ
from codeword.torch.residual import ResidualVQ as ResidualVQ
from codeword.torch.simvq import SimVQ as SimVQ
from codeword.torch.vector import VectorQuantize as VectorQuantize

__all__ = ["FSQ", "LFQ", "GroupedResidualVQ", "Layer", "Quantized", "ResidualVQ", "SimVQ", "VectorQuantize"]
