// See scratch.h.
#include "core/scratch.h"

#include "core/codebooks.h"

namespace codeword {

char* thread_scratch(int64_t bytes) {
  thread_local AlignedBytes memory;
  thread_local int64_t size = 0;
  if (size < bytes) {
    memory.reset();
    size = 0;
    memory = allocate_aligned(bytes);
    size = bytes;
  }
  return memory.get();
}

}  // namespace codeword
