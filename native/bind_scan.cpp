// Tables, scan_fields, scan_squares, centred_sums, lane_sums, lane_dots; offer, sort_lists, rescale.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "bind.h"
#include "core/fields.h"
#include "core/sums.h"
#include "core/tables.h"
#include "core/topk.h"

namespace codeword {
namespace {

void expect(bool condition, const std::string& message) {
  if (!condition) throw std::invalid_argument(message);
}

std::shared_ptr<TableCodebooks> table_codebooks(const std::vector<Matrix<const float>>& codebooks,
                                                const Vector<const uint8_t>& bits, bool shared) {
  expect(!codebooks.empty() && bits.size() == codebooks.size(), "bits: expected one a codebook, and at least one");
  expect(codebooks.size() <= 1 << 20, "codebooks: expected at most 2^20");
  auto made = std::make_shared<TableCodebooks>();
  for (size_t j = 0; j < codebooks.size(); ++j) {
    const auto k = static_cast<int64_t>(codebooks[j].shape(0)), d = static_cast<int64_t>(codebooks[j].shape(1));
    const int width = bits.data()[j];
    expect(width >= 1 && width <= 30 && k >= 1 && d >= 1 && k <= int64_t(1) << width,
           "codebooks: expected (k, d) with 1 <= k <= 2^bits, bits from 1 to 30");
    expect(!shared || d == static_cast<int64_t>(codebooks[0].shape(1)), "codebooks: expected one width where shared");
    made->append(codebooks[j].data(), k, d, width, shared);
  }
  made->finish();
  return made;
}

void make_tables(Tables* self, std::shared_ptr<TableCodebooks> books, const Matrix<const float>& queries,
                 const std::string& values, const Vector<const double>& multiplier,
                 const Vector<const double>& constant) {
  const auto q = static_cast<int64_t>(queries.shape(0));
  expect(static_cast<int64_t>(queries.shape(1)) == books->d(),
         "queries: expected " + std::to_string(books->d()) + " columns, got " + std::to_string(queries.shape(1)));
  expect(static_cast<int64_t>(multiplier.size()) == q && static_cast<int64_t>(constant.size()) == q,
         "multiplier, constant: expected one a query");
  expect(values == "sqdist" || values == "negative_dot" || values == "square",
         "values: expected sqdist, negative_dot or square");
  const TableValues what = values == "sqdist"         ? TableValues::sqdist
                           : values == "negative_dot" ? TableValues::negative_dot
                                                      : TableValues::square;
  nb::gil_scoped_release release;
  new (self) Tables(std::move(books), queries.data(), q, what, multiplier.data(), constant.data());
}

Matrix<float> scan(const Tables& self, const Matrix<const uint8_t>& codes) {
  expect(static_cast<int64_t>(codes.shape(1)) == self.code_size(),
         "codes: expected " + std::to_string(self.code_size()) + " bytes a row");
  const auto n = static_cast<int64_t>(codes.shape(0));
  Matrix<float> out = make_matrix<float>(self.queries(), n);
  nb::gil_scoped_release release;
  self.scan(codes.data(), n, out.data());
  return out;
}

FieldCodes field_codes(const Matrix<const uint8_t>& codes, size_t planes, size_t padded) {
  expect(planes == 1 || planes == 2 || planes == 4, "weights: expected 1, 2 or 4 planes");
  const auto size = static_cast<int64_t>(codes.shape(1));
  expect(size >= 1 && static_cast<int64_t>(padded) == (size + 31) / 32 * 32,
         "weights: expected the code size rounded up to 32");
  return {codes.data(), static_cast<int64_t>(codes.shape(0)), size, static_cast<int64_t>(padded),
          static_cast<int>(8 / planes)};
}

Matrix<float> fields(const Matrix<const uint8_t>& codes, const Cube<const int16_t>& weights,
                     const Vector<const float>& scale, const Vector<const float>& bias,
                     const std::optional<Matrix<const int16_t>>& linear,
                     const std::optional<Matrix<const int16_t>>& curved, double constant, double linear_unit,
                     double curved_unit, bool cosine) {
  const FieldCodes job = field_codes(codes, weights.shape(1), weights.shape(2));
  const auto q = static_cast<int64_t>(weights.shape(0));
  expect(static_cast<int64_t>(scale.size()) == q && static_cast<int64_t>(bias.size()) == q,
         "scale, bias: expected one a query");
  expect(linear.has_value() == curved.has_value(), "linear, curved: expected both or none");
  FieldNorms norms{nullptr, nullptr, constant, linear_unit, curved_unit, cosine};
  if (linear) {
    expect(linear->shape(0) == weights.shape(1) && linear->shape(1) == weights.shape(2) &&
               curved->shape(0) == weights.shape(1) && curved->shape(1) == weights.shape(2),
           "linear, curved: expected the planes of the weights");
    norms.linear = linear->data();
    norms.curved = curved->data();
  }
  Matrix<float> out = make_matrix<float>(q, job.n);
  nb::gil_scoped_release release;
  scan_fields(job, weights.data(), q, scale.data(), bias.data(), linear ? &norms : nullptr, out.data());
  return out;
}

Matrix<int64_t> squares(const Matrix<const uint8_t>& codes, const Matrix<const int16_t>& linear,
                        const Matrix<const int16_t>& curved) {
  const FieldCodes job = field_codes(codes, linear.shape(0), linear.shape(1));
  expect(curved.shape(0) == linear.shape(0) && curved.shape(1) == linear.shape(1), "curved: expected linear's shape");
  Matrix<int64_t> out = make_matrix<int64_t>(job.n, 2);
  nb::gil_scoped_release release;
  scan_squares(job, linear.data(), curved.data(), out.data());
  return out;
}

Matrix<double> sums_about_mean(const Matrix<const float>& x, const Matrix<const float>& y,
                               const Vector<const double>& mean) {
  const auto n = static_cast<int64_t>(x.shape(0)), d = static_cast<int64_t>(x.shape(1));
  expect(y.shape(0) == x.shape(0) && y.shape(1) == x.shape(1) && mean.size() == x.shape(1),
         "x, y, mean: expected (n, d), (n, d) and (d,)");
  Matrix<double> out = make_matrix<double>(n, 3);
  nb::gil_scoped_release release;
  centred_sums(x.data(), y.data(), mean.data(), n, d, out.data());
  return out;
}

Vector<double> sums_of_lanes(const Matrix<const double>& a) {
  Vector<double> out = make_vector<double>(a.shape(0));
  nb::gil_scoped_release release;
  lane_sums(a.data(), static_cast<int64_t>(a.shape(0)), static_cast<int64_t>(a.shape(1)), out.data());
  return out;
}

Vector<double> dots_of_lanes(const Matrix<const double>& a, const Matrix<const double>& b) {
  const bool shared = b.shape(0) == 1 && a.shape(0) != 1;
  expect(b.shape(1) == a.shape(1) && (shared || b.shape(0) == a.shape(0)), "b: expected the shape of a, or one row");
  Vector<double> out = make_vector<double>(a.shape(0));
  nb::gil_scoped_release release;
  lane_dots(a.data(), b.data(), shared, static_cast<int64_t>(a.shape(0)), static_cast<int64_t>(a.shape(1)), out.data());
  return out;
}

NearestLists lists_of(const Matrix<float>& distances, const Matrix<int64_t>& ids) {
  expect(distances.shape(0) == ids.shape(0) && distances.shape(1) == ids.shape(1) && ids.shape(1) >= 1,
         "lists: expected distances and ids (q, k) with k at least 1");
  return {static_cast<int64_t>(ids.shape(0)), static_cast<int64_t>(ids.shape(1)), distances.data(), ids.data()};
}

void offer_rows(const Matrix<float>& list_distances, const Matrix<int64_t>& list_ids,
                const Matrix<const float>& distances, const Vector<const int64_t>& ids) {
  const NearestLists lists = lists_of(list_distances, list_ids);
  expect(static_cast<int64_t>(distances.shape(0)) == lists.q, "distances: expected a row for each list");
  expect(ids.size() == distances.shape(1), "ids: expected one for each column of distances");
  nb::gil_scoped_release release;
  offer(lists, distances.data(), static_cast<int64_t>(distances.shape(1)), ids.data(), 0);
}

void offer_range(const Matrix<float>& list_distances, const Matrix<int64_t>& list_ids,
                 const Matrix<const float>& distances, int64_t first) {
  const NearestLists lists = lists_of(list_distances, list_ids);
  expect(static_cast<int64_t>(distances.shape(0)) == lists.q, "distances: expected a row for each list");
  nb::gil_scoped_release release;
  offer(lists, distances.data(), static_cast<int64_t>(distances.shape(1)), nullptr, first);
}

void sort(const Matrix<float>& distances, const Matrix<int64_t>& ids) {
  const NearestLists lists = lists_of(distances, ids);
  nb::gil_scoped_release release;
  sort_lists(lists);
}

void rescale_distances(const Matrix<float>& distances, const Vector<const float>& before,
                       const Vector<const float>& factor, const Vector<const float>& term,
                       const Vector<const float>& after, float floor) {
  expect(before.size() == distances.shape(0) && after.size() == distances.shape(0),
         "before, after: expected one a row of distances");
  expect(factor.size() == distances.shape(1) && term.size() == distances.shape(1),
         "factor, term: expected one a column of distances");
  nb::gil_scoped_release release;
  rescale(distances.data(), static_cast<int64_t>(distances.shape(0)), static_cast<int64_t>(distances.shape(1)),
          before.data(), factor.data(), term.data(), after.data(), floor);
}

}  // namespace

void bind_scan(nb::module_& m) {
  using namespace nb::literals;
  nb::class_<TableCodebooks>(m, "TableCodebooks", "Codebooks of the symbols of a code, prepared for tables.")
      .def(nb::new_(&table_codebooks), "codebooks"_a, "bits"_a.noconvert(), "shared"_a = false,
           "Symbol j of a code takes bits[j] bits, 1 to 30, and names a row of codebooks[j] (k_j, d_j) float32. "
           "Codebooks\n"
           "cover the columns side by side, or with `shared` all of them the same ones.");
  nb::class_<Tables>(m, "Tables", "Look-up tables of a batch of queries, 16 bits an entry, that score packed codes.")
      .def("__init__", &make_tables, "codebooks"_a, "queries"_a.noconvert(), "values"_a, "multiplier"_a.noconvert(),
           "constant"_a.noconvert(),
           "Tables of `queries` (q, d) float32. A codeword c counts |c|^2 - 2 <q, c> (values=\"sqdist\"), -<q, c>\n"
           "(\"negative_dot\") or |c|^2 (\"square\"); sums are multiplied by multiplier[l], constant[l] is added.")
      .def_prop_ro("scale", &Tables::scale, "Step of the entries of each query.")
      .def("scan", &scan, "codes"_a.noconvert(), "Distances (q, n) float32 of codes (n, code_size).");
  m.def("scan_fields", &fields, "codes"_a.noconvert(), "weights"_a.noconvert(), "scale"_a.noconvert(),
        "bias"_a.noconvert(), "linear"_a.noconvert() = nb::none(), "curved"_a.noconvert() = nb::none(),
        "constant"_a = 0.0, "linear_unit"_a = 0.0, "curved_unit"_a = 0.0, "cosine"_a = false,
        "score = float32(sum of weights * symbols) * scale + bias, (q, n), for codes (n, code_size) of symbols of\n"
        "8 / planes bits and int16 weights (q, planes, code_size rounded up to 32). Sums must stay below 2^31.\n"
        "With linear and curved, as in scan_squares, a row's norm = constant + linear_unit * first sum -\n"
        "curved_unit * second, and the result is max(score + norm, 0), or max(score / sqrt(norm) + 1, 0) with cosine.");
  m.def("scan_squares", &squares, "codes"_a.noconvert(), "linear"_a.noconvert(), "curved"_a.noconvert(),
        "Sums (n, 2) int64 of linear * c and of curved * c (2^bits - 1 - c) over the symbols c of each code.");
  m.def("centred_sums", &sums_about_mean, "x"_a.noconvert(), "y"_a.noconvert(), "mean"_a.noconvert(),
        "<a, a>, <a, b>, <x, x> (n, 3) float64 in lane order for rows x, y (n, d) with a = x - mean, b = y - mean.");
  m.def("lane_sums", &sums_of_lanes, "a"_a.noconvert(), "Sums (n) of the rows of a (n, d) float64 in lane order.");
  m.def("lane_dots", &dots_of_lanes, "a"_a.noconvert(), "b"_a.noconvert(),
        "Inner products (n) of the rows of a and b (n, d) float64, b perhaps of one row for all, in lane order.");
  m.def("offer", &offer_rows, "list_distances"_a.noconvert(), "list_ids"_a.noconvert(), "distances"_a.noconvert(),
        "ids"_a.noconvert(),
        "Offer rows to lists of the k nearest (q, k), which start as infinity and 2^63 - 1: distances (q, n) and ids "
        "(n).");
  m.def("offer_range", &offer_range, "list_distances"_a.noconvert(), "list_ids"_a.noconvert(),
        "distances"_a.noconvert(), "first"_a, "The same for rows whose ids are first, first + 1, ...");
  m.def("sort_lists", &sort, "list_distances"_a.noconvert(), "list_ids"_a.noconvert(),
        "Sort lists, nearest first, ties by id. Nothing may be offered after that.");
  m.def("rescale", &rescale_distances, "distances"_a.noconvert(), "before"_a.noconvert(), "factor"_a.noconvert(),
        "term"_a.noconvert(), "after"_a.noconvert(), "floor"_a,
        "distances (q, n) = max(((distances + before) * factor + term) + after, floor); before, after (q), factor, "
        "term (n).");
}

}  // namespace codeword
