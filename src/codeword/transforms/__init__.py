"""Maps of rows in front of a quantizer: one file each, see `codeword.base.Transform`."""

from codeword.transforms.center import Center as Center
from codeword.transforms.klt import KLT as KLT
from codeword.transforms.normalize import Normalize as Normalize
from codeword.transforms.opq import OPQ as OPQ
from codeword.transforms.rotation import Rotation as Rotation
