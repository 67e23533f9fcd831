// The module codeword._native. Bindings check dtype and shape, drop the GIL and call native/core; they are one file a
// family. An unusable CODEWORD_ISA or CODEWORD_THREADS makes the import fail with an ImportError that says why.
#include "bind.h"

#include "dispatch.h"
#include "pool.h"

NB_MODULE(_native, m) {
  m.doc() = "Kernels of codeword and the loops over them. Private: the public functions check their arguments.";
  nanobind::set_leak_warnings(false);  // objects alive at exit (a notebook's, a test module's) are no reason to print
  codeword::choose_isa();
  codeword::choose_threads();
  codeword::bind_runtime(m);
  codeword::bind_additive(m);
  codeword::bind_bits(m);
  codeword::bind_codebooks(m);
  codeword::bind_columns(m);
  codeword::bind_descent(m);
  codeword::bind_hadamard(m);
  codeword::bind_ids(m);
  codeword::bind_lattice(m);
  codeword::bind_levels(m);
  codeword::bind_lists(m);
  codeword::bind_pairwise(m);
  codeword::bind_scan(m);
  codeword::bind_signs(m);
  codeword::bind_trellis(m);
  codeword::bind_packed(m);  // names classes of the one before
}
