// See hadamard.h.
#include "core/hadamard.h"

#include "core/rows.h"
#include "dispatch.h"
#include "pool.h"

namespace codeword {

void hadamard(float* rows, int64_t n, int64_t length) {
  const Kernels& table = kernels();
  parallel_rows(n, rows_per_chunk(4 * length),
                [&](int64_t begin, int64_t end) { table.hadamard(rows + begin * length, end - begin, length); });
}

}  // namespace codeword
