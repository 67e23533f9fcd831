// Which ISA and how many threads; checksums.
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bind.h"
#include "cpus.h"
#include "dispatch.h"
#include "pool.h"

namespace codeword {
namespace {

uint32_t crc32c(Vector<const uint8_t> data, uint32_t crc) {
  nb::gil_scoped_release release;
  return kernels().crc32c(crc, data.data(), data.size());
}

}  // namespace

void bind_runtime(nb::module_& m) {
  using namespace nb::literals;
  m.def("isa", &isa, "Name of the active ISA.");
  m.def("available_isas", &available_isas, "ISAs that this machine runs, from the oldest to the newest.");
  m.def("set_isa", &set_isa, "name"_a, "Make an available ISA the active one.");
  m.def("kernel_names", &kernel_names, "Names of all kernels.");
  m.def("threads", &threads, "Number of threads that native code may use.");
  m.def("set_threads", &set_threads, "n"_a, "Set the number of threads, from 1 to 1024.");
  m.def("available_cpus", &available_cpus, "CPUs in the affinity mask, within the quota of the control group.");
  m.def("crc32c", &crc32c, "data"_a.noconvert(), "crc"_a = 0, "CRC-32C of a uint8 array, continued from `crc`.");
}

}  // namespace codeword
