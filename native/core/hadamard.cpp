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

void hadamard_signed(const HadamardWindow& window, const float* signs, bool signs_first) {
  const Kernels& table = kernels();
  const int64_t length = window.length;
  parallel_rows(window.n, rows_per_chunk(4 * length), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float* row = window.rows + i * window.d + window.start;
      if (!signs_first) table.hadamard(row, 1, length);
      for (int64_t j = 0; j < length; ++j) row[j] *= signs[j];
      if (signs_first) table.hadamard(row, 1, length);
    }
  });
}

}  // namespace codeword
