// RowScorer, NearestPools, search_lists, nearest_of.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "bind.h"
#include "core/list_search.h"

namespace codeword {
namespace {

void expect(bool condition, const char* message) {
  if (!condition) throw std::invalid_argument(message);
}

using Near = std::pair<Matrix<float>, Matrix<int64_t>>;
template <class T>
using Maybe = std::optional<T>;

Near sorted(NearestPools& self) {
  Matrix<float> distances = make_matrix<float>(self.queries(), self.k());
  Matrix<int64_t> names = make_matrix<int64_t>(self.queries(), self.k());
  {
    nb::gil_scoped_release release;
    self.sorted(distances.data(), names.data());
  }
  return {distances, names};
}

void check_looks(const Looks& looks, int64_t n, int64_t probes, int64_t queries) {
  expect(looks.bounds[0] >= 0 && looks.bounds[looks.lists] <= n, "bounds: expected rows of codes");
  expect(std::is_sorted(looks.bounds, looks.bounds + looks.lists + 1), "bounds: expected rising numbers");
  if (!looks.probes) return;
  expect(looks.ends[0] == 0 && looks.ends[queries] == probes && std::is_sorted(looks.ends, looks.ends + queries + 1),
         "ends: expected rising numbers from 0 to the number of probes");
  expect(std::all_of(looks.probes, looks.probes + probes, [&](int64_t l) { return l >= 0 && l < looks.lists; }),
         "probes: expected lists");
}

void search(NearestPools& pools, const RowScorer& scorer, const Matrix<const uint8_t>& codes,
            const Maybe<Matrix<const uint8_t>>& side, const Maybe<Vector<const bool>>& out,
            const Maybe<Vector<const int64_t>>& ids, int64_t first, const Vector<const int64_t>& bounds,
            const Maybe<Vector<const int64_t>>& probes, const Maybe<Vector<const int64_t>>& ends,
            const Vector<const float>& before, const Vector<const float>& after, float floor,
            const Maybe<Vector<const float>>& factors, const Maybe<Vector<const float>>& terms,
            const std::vector<const RowScorer*>& squares, bool cosine) {
  const auto n = static_cast<int64_t>(codes.shape(0));
  const auto q = static_cast<size_t>(scorer.queries());
  expect(pools.queries() == scorer.queries(), "pools: expected one for each query");
  expect(static_cast<int64_t>(codes.shape(1)) == scorer.code_size(), "codes: expected the scorer's code size");
  expect(before.size() == q && after.size() == q, "before, after: expected one for each query");
  expect(side.has_value() == factors.has_value() && side.has_value() == terms.has_value(),
         "side, factors, terms: expected all or none");
  if (side) {
    expect(side->shape(0) == codes.shape(0) && side->shape(1) == 2, "side: expected (n, 2)");
    expect(factors->size() == 256 && terms->size() == 256, "factors, terms: expected 256");
  }
  expect(!out || out->size() == codes.shape(0), "out: expected one for each row");
  expect(!ids || ids->size() == codes.shape(0), "ids: expected one for each row");
  expect(bounds.size() >= 1 && probes.has_value() == ends.has_value() && (!ends || ends->size() == q + 1),
         "bounds, ends: expected one more than lists and queries; probes and ends both or none");
  for (const RowScorer* s : squares) {
    expect(s && s->queries() == 1 && s->code_size() == scorer.code_size(), "squares: expected scorers of one query");
  }
  const Looks looks{static_cast<int64_t>(bounds.size()) - 1, bounds.data(), probes ? probes->data() : nullptr,
                    ends ? ends->data() : nullptr};
  check_looks(looks, n, probes ? static_cast<int64_t>(probes->size()) : 0, scorer.queries());
  const SegmentRows rows{
      codes.data(), n, side ? side->data() : nullptr, out ? out->data() : nullptr, ids ? ids->data() : nullptr, first};
  const Distances distances{
      &scorer, before.data(), after.data(), floor, factors ? factors->data() : nullptr, terms ? terms->data() : nullptr,
      squares, cosine};
  nb::gil_scoped_release release;
  search_lists(rows, distances, looks, pools);
}

Near nearest(const Matrix<const float>& distances, const Matrix<const int64_t>& names, int64_t k) {
  expect(distances.shape(0) == names.shape(0) && distances.shape(1) == names.shape(1) && k >= 0,
         "distances, names: expected the same shape, and k at least 0");
  const auto q = static_cast<int64_t>(distances.shape(0)), c = static_cast<int64_t>(distances.shape(1));
  Matrix<float> near = make_matrix<float>(q, std::min(k, c));
  Matrix<int64_t> near_names = make_matrix<int64_t>(q, std::min(k, c));
  {
    nb::gil_scoped_release release;
    nearest_of(distances.data(), names.data(), q, c, k, near.data(), near_names.data());
  }
  return {near, near_names};
}

}  // namespace

void bind_lists(nb::module_& m) {
  using namespace nb::literals;
  nb::class_<RowScorer>(m, "RowScorer", "Scores packed codes for any of a batch of queries.");
  nb::class_<NearestPools>(m, "NearestPools", "The k nearest rows of each of q queries.")
      .def(nb::init<int64_t, int64_t>(), "q"_a, "k"_a)
      .def("sorted", &sorted,
           "distances float32 and names int64 (q, k), nearest first, ties by name; infinity and 2^63 - 1 where there "
           "are fewer.");
  m.def(
      "search_lists", &search, "pools"_a, "scorer"_a, "codes"_a.noconvert(), "side"_a.noconvert().none(),
      "out"_a.noconvert().none(), "ids"_a.noconvert().none(), "first"_a, "bounds"_a.noconvert(),
      "probes"_a.noconvert().none(), "ends"_a.noconvert().none(), "before"_a.noconvert(), "after"_a.noconvert(),
      "floor"_a, "factors"_a.noconvert().none(), "terms"_a.noconvert().none(), "squares"_a, "cosine"_a,
      "Offer to query i the rows bounds[l] to bounds[l + 1] of every list l of probes[ends[i]] to probes[ends[i + 1]], "
      "or of all:\nnames ids[i] or first + i, distances as core/list_search.h defines them; rows of `out` are left "
      "out.");
  m.def("nearest_of", &nearest, "distances"_a.noconvert(), "names"_a.noconvert(), "k"_a,
        "Of each row of distances and names (q, c) the min(k, c) nearest, nearest first, ties by name.");
}

}  // namespace codeword
