// below and rescale against loops; lists of the nearest and the table of ids, which are no kernels, beside them.
#include "core/topk.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "check.h"
#include "core/id_table.h"
#include "dispatch.h"

namespace codeword::test {

TEST(below) {
  for (int64_t n : {0, 1, 63, 64, 65, 500}) {
    std::vector<float> values = random_floats(n, 1);
    for (int64_t i = 0; i < n; i += 7) values[i] = 0.25f;
    std::vector<int32_t> positions(n + 1, -1), expected;
    for (int64_t i = 0; i < n; ++i) {
      if (values[i] <= 0.25f) expected.push_back(static_cast<int32_t>(i));
    }
    const int64_t found = kernels().below(values.data(), n, 0.25f, positions.data());
    CHECK(found == static_cast<int64_t>(expected.size()));
    CHECK(std::equal(expected.begin(), expected.end(), positions.begin()));
  }
}

TEST(rescale) {
  for (int64_t n : {1, 16, 37}) {
    const std::vector<float> values = random_floats(n, 2), factor = random_floats(n, 3), term = random_floats(n, 4);
    std::vector<float> out = values;
    kernels().rescale(out.data(), n, 0.5f, factor.data(), term.data(), 0.25f, 0.0f);
    for (int64_t i = 0; i < n; ++i) {
      const float moved = ((values[i] + 0.5f) * factor[i] + term[i]) + 0.25f;
      CHECK(out[i] == std::max(moved, 0.0f));
    }
  }
}

TEST(nearest_lists) {
  const int64_t q = 3, n = 70000, k = 5;
  std::vector<float> distances = random_floats(q * n, 5);
  for (float& value : distances) value = std::abs(static_cast<float>(static_cast<int>(value * 1000)));
  std::vector<float> near(q * k, std::numeric_limits<float>::infinity());
  std::vector<int64_t> ids(q * k, std::numeric_limits<int64_t>::max());
  const NearestLists lists{q, k, near.data(), ids.data()};
  offer(lists, distances.data(), n, nullptr, 0);
  sort_lists(lists);
  for (int64_t l = 0; l < q; ++l) {
    std::vector<int64_t> order(n);
    std::iota(order.begin(), order.end(), 0);
    const float* row = &distances[l * n];
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return row[a] < row[b]; });
    CHECK(std::equal(order.begin(), order.begin() + k, ids.begin() + l * k));
  }
}

TEST(id_table) {
  std::vector<int64_t> ids(2000), rows(2000), evens, wanted = {-5, 3, 1 << 20};
  for (int64_t i = 0; i < 2000; ++i) ids[i] = i % 2 ? i << 40 : i * 3;
  IdTable table;
  table.add(ids.data(), 0, 700);
  table.add(ids.data(), 700, 2000);
  table.find(ids.data(), ids.data(), 2000, rows.data());
  for (int64_t i = 0; i < 2000; ++i) CHECK(rows[i] == i);
  for (int64_t i = 0; i < 2000; i += 2) evens.push_back(i);
  table.erase(ids.data(), evens.data(), 1000);
  table.find(ids.data(), ids.data(), 2000, rows.data());
  for (int64_t i = 0; i < 2000; ++i) CHECK(rows[i] == (i % 2 ? i : -1));
  const std::vector<int64_t> from = {1999, 1}, to = {0, 2};
  table.move(ids.data(), from.data(), to.data(), 2);
  ids[0] = ids[1999];
  ids[2] = ids[1];
  table.find(ids.data(), to.data(), 0, rows.data());
  const std::vector<int64_t> moved = {ids[0], ids[2], ids[3]};
  table.find(ids.data(), moved.data(), 3, rows.data());
  CHECK(rows[0] == 0 && rows[1] == 2 && rows[2] == 3);
  table.find(ids.data(), wanted.data(), 3, rows.data());
  CHECK(rows[0] == -1 && rows[1] == -1 && rows[2] == -1 && table.size() == 1000);
}

}  // namespace codeword::test
