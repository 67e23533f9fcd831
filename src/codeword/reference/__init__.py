"""Slow NumPy twins of the native kernels: their definition in a few lines, and the oracle of their tests.

Each function here has the name of a kernel in ``native/kernels.def`` and gives the same bytes on every machine.
"""

from codeword.reference.additive import additive_decode as additive_decode
from codeword.reference.additive import additive_encode as additive_encode
from codeword.reference.additive import additive_products as additive_products
from codeword.reference.bits import crc32c as crc32c
from codeword.reference.bits import pack_bits as pack_bits
from codeword.reference.bits import unpack_bits as unpack_bits
from codeword.reference.lattice import dot_values as dot_values
from codeword.reference.lattice import orbit_encode as orbit_encode
from codeword.reference.lattice import orbit_values as orbit_values
from codeword.reference.lattice import value_norms as value_norms
from codeword.reference.lattice import whole_blocks as whole_blocks
from codeword.reference.rows import accumulate as accumulate
from codeword.reference.rows import accumulate_wide as accumulate_wide
from codeword.reference.rows import assign as assign
from codeword.reference.rows import assign_prepare as assign_prepare
from codeword.reference.rows import centred_sums as centred_sums
from codeword.reference.rows import column_range as column_range
from codeword.reference.rows import column_sums as column_sums
from codeword.reference.rows import descend as descend
from codeword.reference.rows import hadamard as hadamard
from codeword.reference.rows import lane_dot as lane_dot
from codeword.reference.rows import lane_sqdist as lane_sqdist
from codeword.reference.rows import pairwise_dot as pairwise_dot
from codeword.reference.rows import pairwise_sqdist as pairwise_sqdist
from codeword.reference.rows import products as products
from codeword.reference.rows import rotate_rows as rotate_rows
from codeword.reference.rows import round_rows as round_rows
from codeword.reference.scans import below as below
from codeword.reference.scans import nearest_even as nearest_even
from codeword.reference.scans import nearest_sorted as nearest_sorted
from codeword.reference.scans import rescale as rescale
from codeword.reference.scans import scan_bytes as scan_bytes
from codeword.reference.scans import scan_fields as scan_fields
from codeword.reference.scans import scan_finish as scan_finish
from codeword.reference.scans import scan_squares as scan_squares
from codeword.reference.scans import tables as tables
from codeword.reference.signs import grid_codes as grid_codes
from codeword.reference.signs import scan_signs as scan_signs
from codeword.reference.signs import scan_signs_one as scan_signs_one
from codeword.reference.signs import sign_codes as sign_codes
from codeword.reference.trellis import trellis_decode as trellis_decode
from codeword.reference.trellis import trellis_dot as trellis_dot
from codeword.reference.trellis import trellis_encode as trellis_encode
from codeword.reference.trellis import trellis_multiply as trellis_multiply
from codeword.reference.trellis import trellis_multiply_prepare as trellis_multiply_prepare
from codeword.reference.trellis import trellis_prepare as trellis_prepare
from codeword.reference.trellis import trellis_scan as trellis_scan
from codeword.reference.trellis import trellis_scan_choose as trellis_scan_choose
from codeword.reference.trellis import trellis_scan_prepare as trellis_scan_prepare
from codeword.reference.trellis import trellis_scan_weights as trellis_scan_weights
