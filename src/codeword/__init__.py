"""Vector quantization: learn a codebook, replace vectors by short codes, and put the codes to work.

    X (n, d) --fit--> codebook --encode--> codes (n, code_size) uint8 --decode--> X̂ (n, d)
                                              |
                                              +--scan(queries)--> ids, distances      (never decoded)

Names are imported when they are first used, so that ``import codeword`` costs little more than ``import numpy``.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codeword.choice.auto import auto as auto
    from codeword.errors import FormatError as FormatError
    from codeword.errors import NotFittedError as NotFittedError
    from codeword.errors import TargetNotMetError as TargetNotMetError
    from codeword.errors import UnknownQuantizerError as UnknownQuantizerError
    from codeword.io import load as load
    from codeword.io import save as save
    from codeword.metrics import Distortion as Distortion
    from codeword.metrics import distortion as distortion
    from codeword.metrics import recall as recall
    from codeword.pipeline import Pipeline as Pipeline
    from codeword.quantizers.additive import AdditiveQuantizer as AdditiveQuantizer
    from codeword.quantizers.binary import BinaryQuantizer as BinaryQuantizer
    from codeword.quantizers.ecvq import EntropyConstrainedQuantizer as EntropyConstrainedQuantizer
    from codeword.quantizers.gain_shape import GainShapeQuantizer as GainShapeQuantizer
    from codeword.quantizers.lattice import LatticeQuantizer as LatticeQuantizer
    from codeword.quantizers.mixture import MixtureQuantizer as MixtureQuantizer
    from codeword.quantizers.product import ProductQuantizer as ProductQuantizer
    from codeword.quantizers.residual import ResidualQuantizer as ResidualQuantizer
    from codeword.quantizers.scalar import ScalarQuantizer as ScalarQuantizer
    from codeword.quantizers.scaled import ScaledQuantizer as ScaledQuantizer
    from codeword.quantizers.tree import TreeQuantizer as TreeQuantizer
    from codeword.quantizers.trellis import TrellisQuantizer as TrellisQuantizer
    from codeword.quantizers.vector import VectorQuantizer as VectorQuantizer
    from codeword.runtime import isa as isa
    from codeword.runtime import set_threads as set_threads
    from codeword.search.index import Index as Index
    from codeword.search.plan import Plan as Plan
    from codeword.search.plan import plan as plan
    from codeword.search.store import open_index as open_index
    from codeword.stages import Stages as Stages
    from codeword.transforms.center import Center as Center
    from codeword.transforms.klt import KLT as KLT
    from codeword.transforms.normalize import Normalize as Normalize
    from codeword.transforms.opq import OPQ as OPQ
    from codeword.transforms.rotation import Rotation as Rotation

__version__ = "0.1.0"

_HOME = {
    "AdditiveQuantizer": "quantizers.additive",
    "BinaryQuantizer": "quantizers.binary",
    "Center": "transforms.center",
    "Distortion": "metrics",
    "EntropyConstrainedQuantizer": "quantizers.ecvq",
    "FormatError": "errors",
    "GainShapeQuantizer": "quantizers.gain_shape",
    "Index": "search.index",
    "KLT": "transforms.klt",
    "OPQ": "transforms.opq",
    "MixtureQuantizer": "quantizers.mixture",
    "LatticeQuantizer": "quantizers.lattice",
    "Normalize": "transforms.normalize",
    "NotFittedError": "errors",
    "Pipeline": "pipeline",
    "Plan": "search.plan",
    "ProductQuantizer": "quantizers.product",
    "ResidualQuantizer": "quantizers.residual",
    "Rotation": "transforms.rotation",
    "ScalarQuantizer": "quantizers.scalar",
    "ScaledQuantizer": "quantizers.scaled",
    "Stages": "stages",
    "TargetNotMetError": "errors",
    "TreeQuantizer": "quantizers.tree",
    "TrellisQuantizer": "quantizers.trellis",
    "UnknownQuantizerError": "errors",
    "VectorQuantizer": "quantizers.vector",
    "auto": "choice.auto",
    "distortion": "metrics",
    "isa": "runtime",
    "load": "io",
    "open_index": "search.store",
    "plan": "search.plan",
    "recall": "metrics",
    "save": "io",
    "set_threads": "runtime",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _HOME:
        value = getattr(import_module(f"codeword.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'codeword' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
