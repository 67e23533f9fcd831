// IdTable.
#include <stdexcept>
#include <string>

#include "bind.h"
#include "core/id_table.h"

namespace codeword {
namespace {

using Ids = Vector<const int64_t>;

void expect(bool condition, const std::string& message) {
  if (!condition) throw std::invalid_argument(message);
}

void expect_rows(const Ids& rows, const Ids& ids, const char* name) {
  const auto n = static_cast<int64_t>(ids.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    expect(rows.data()[i] >= 0 && rows.data()[i] < n, std::string(name) + ": expected rows of ids");
  }
}

void add(IdTable& self, const Ids& ids, int64_t begin) {
  const auto n = static_cast<int64_t>(ids.size());
  expect(begin >= 0 && begin <= n && n <= IdTable::kMostRows, "ids: expected at most 2^32 - 2, begin among them");
  nb::gil_scoped_release release;
  self.add(ids.data(), begin, n);
}

Vector<int64_t> find(const IdTable& self, const Ids& ids, const Ids& wanted) {
  expect(self.size() <= static_cast<int64_t>(ids.size()), "ids: expected those of all rows of the table");
  Vector<int64_t> rows = make_vector<int64_t>(wanted.size());
  nb::gil_scoped_release release;
  self.find(ids.data(), wanted.data(), static_cast<int64_t>(wanted.size()), rows.data());
  return rows;
}

void erase(IdTable& self, const Ids& ids, const Ids& rows) {
  expect_rows(rows, ids, "rows");
  nb::gil_scoped_release release;
  self.erase(ids.data(), rows.data(), static_cast<int64_t>(rows.size()));
}

void move(IdTable& self, const Ids& ids, const Ids& from, const Ids& to) {
  expect_rows(from, ids, "from");
  expect_rows(to, ids, "to");
  expect(from.size() == to.size(), "to: expected one for each of from");
  nb::gil_scoped_release release;
  self.move(ids.data(), from.data(), to.data(), static_cast<int64_t>(from.size()));
}

}  // namespace

void bind_ids(nb::module_& m) {
  using namespace nb::literals;
  nb::class_<IdTable>(m, "IdTable",
                      "Which row has an id: a hash table of row numbers beside an array of ids (n) int64.")
      .def(nb::init<>())
      .def("__len__", &IdTable::size)
      .def_prop_ro("nbytes", &IdTable::bytes)
      .def("add", &add, "ids"_a.noconvert(), "begin"_a, "Add rows begin, begin + 1, ..., whose ids are new.")
      .def("find", &find, "ids"_a.noconvert(), "wanted"_a.noconvert(), "Row of each wanted id, or -1.")
      .def("erase", &erase, "ids"_a.noconvert(), "rows"_a.noconvert(), "Forget rows of the table, each named once.")
      .def("move", &move, "ids"_a.noconvert(), "from_rows"_a.noconvert(), "to_rows"_a.noconvert(),
           "Rows get other numbers; change `ids` afterwards.");
}

}  // namespace codeword
