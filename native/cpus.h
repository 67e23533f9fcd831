// How many CPUs this process may use.
#pragma once

namespace codeword {

// The CPUs in the affinity mask, lowered to the CPU quota of the control group, if there is one; at least 1.
int available_cpus();

}  // namespace codeword
