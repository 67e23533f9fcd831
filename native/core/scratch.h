// Memory that each thread keeps: page faults of new memory would take longer than a short call.
#pragma once

#include <cstdint>

namespace codeword {

// `bytes` of memory, 64-byte aligned, that is the calling thread's until it calls again.
char* thread_scratch(int64_t bytes);

}  // namespace codeword
