"""Neural networks with codes for weights: compress any `torch.nn.Module` on a CPU, to an exact number of bytes.

    model --compress--> Compressed: model with VQ layers, report --save--> one safetensors file --load--> model or state dict

Needs the extra ``nn`` (PyTorch, safetensors).
"""

from importlib.util import find_spec

if find_spec("torch") is None:
    raise ModuleNotFoundError("codeword.nn needs PyTorch: pip install 'codeword[nn]'", name="torch")
if find_spec("safetensors") is None:
    raise ModuleNotFoundError("codeword.nn needs safetensors: pip install 'codeword[nn]'", name="safetensors")

from codeword.nn.compress import Compressed as Compressed
from codeword.nn.compress import compress as compress
from codeword.nn.file import load as load
from codeword.nn.kv import KVCodec as KVCodec
from codeword.nn.modules import VQConv as VQConv
from codeword.nn.modules import VQConvTranspose as VQConvTranspose
from codeword.nn.modules import VQEmbedding as VQEmbedding
from codeword.nn.modules import VQLinear as VQLinear
from codeword.nn.modules import set_activations as set_activations
from codeword.nn.report import LayerReport as LayerReport
from codeword.nn.report import Report as Report
from codeword.nn.tensors import compress_file as compress_file
from codeword.nn.tensors import diff_files as diff_files
from codeword.nn.tensors import expand_file as expand_file
