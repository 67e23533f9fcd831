// Which ISAs this machine can run and the table of kernels in use. Detected once; CODEWORD_ISA=<name> forces one.
#pragma once

#include <string>
#include <vector>

#include "kernels.h"

namespace codeword {

// The active table. Cheap (one atomic load); take it once per call, so that a call uses one ISA throughout.
const Kernels& kernels();

// Name of the active ISA, e.g. "avx2".
std::string isa();

// Names of the ISAs that this build holds and this machine runs, from the oldest to the newest.
std::vector<std::string> available_isas();

// Makes `name` the active ISA. Throws std::invalid_argument, naming the ISAs there are, for any other name.
void set_isa(const std::string& name);

// Chooses the ISA: the newest, or the one that CODEWORD_ISA names. Throws std::runtime_error when there is none.
void choose_isa();

// Names of all kernels, in the order of kernels.def.
std::vector<std::string> kernel_names();

}  // namespace codeword
