// See rotation.h.
#include "core/rotation.h"

#include <stdexcept>

#include "core/rows.h"
#include "core/scratch.h"
#include "dispatch.h"
#include "pool.h"

namespace codeword {
namespace {

void require(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

}  // namespace

void Rotation::append(std::vector<int32_t> permutation, std::vector<std::pair<int64_t, std::vector<float>>> windows) {
  const int64_t d = plan_.d;
  require(permutation.empty() || static_cast<int64_t>(permutation.size()) == d, "permutation must have d entries");
  std::vector<bool> seen(permutation.size());
  for (int32_t from : permutation) {
    require(from >= 0 && from < d && !seen[from], "permutation must name every column once");
    seen[from] = true;
  }
  require(windows.size() <= 2, "there must be at most two windows");
  for (const auto& [start, signs] : windows) {
    const auto length = static_cast<int64_t>(signs.size());
    require(length >= 1 && !(length & (length - 1)), "signs must have a power of two of entries");
    require(start >= 0 && length <= d && start <= d - length, "windows must lie within a row");
  }
  steps_.push_back({std::move(permutation), std::move(windows)});
  made_.clear();
  for (const Step& step : steps_) {
    RotationStep made = {.permutation = step.permutation.empty() ? nullptr : step.permutation.data(),
                         .windows = static_cast<int64_t>(step.windows.size()),
                         .window = {}};
    for (size_t w = 0; w < step.windows.size(); ++w) {
      const auto& [start, signs] = step.windows[w];
      made.window[w] = {start, static_cast<int64_t>(signs.size()), signs.data()};
    }
    made_.push_back(made);
  }
  plan_.steps = static_cast<int64_t>(made_.size());
  plan_.steps_of = made_.data();
}

void Rotation::rotate(float* rows, int64_t n, bool inverse) const {
  const Kernels& table = kernels();
  const int64_t scratch = table.rotate_rows(plan_, nullptr, 0, false, nullptr);
  parallel_rows(n, rows_per_chunk(4 * plan_.d), [&](int64_t begin, int64_t end) {
    table.rotate_rows(plan_, rows + begin * plan_.d, end - begin, inverse, thread_scratch(scratch));
  });
}

}  // namespace codeword
