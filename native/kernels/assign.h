// Nearest codewords, exactly (ARCHITECTURE.md, Exactness; bounds in docs/exactness.md). Rows go through filters,
// cheapest first. A filter leaves a row a few candidates, which the exact form decides, or passes the row on to the
// next filter; rows that pass the last one are compared with all codewords.

constexpr int64_t kFewCodewords = 4;  // are compared exactly at once

int64_t assign_prepare(AssignCodebook& book, void* storage) {
  const int64_t k = book.k, d = book.d;
  book.panel_vectors = k <= kLanes ? 1 : k <= 2 * kLanes ? 2 : kPanelVectors;
  const int64_t padded = round_up(k, book.panel_vectors * kLanes);
  AssignScratch scratch;
  book.scratch_bytes = carve_scratch(book, nullptr, scratch);
  Carver carver = {static_cast<char*>(storage)};
  book.norms = carver.take<double>(k);
  book.centre = carver.take<float>(round_up(d, kLanes));
  CodebookShape shape = {};
  shape.squares = carver.take<double>(k);
  shape.sums = carver.take<double>(round_up(d, kLanes));
  shape.row = carver.take<float>(round_up(d, kLanes));
  book.f32.panels = carver.take<float>(padded * d);
  book.f32.offsets = carver.take<float>(padded);
#if CODEWORD_VNNI
  book.has_s16 = words_beat_bytes(d, k);
  if (book.has_s16) {
    book.s16.panels = carver.take<int32_t>(padded * FilterS16::pairs(d));
    book.s16.offsets = carver.take<int32_t>(padded);
    if (is_narrow(d, k)) book.s16.pairs = carver.take<int32_t>(padded * FilterS16::pairs(d));
    book.s16.centre = carver.take<float>(round_up(d, kLanes));
  }
  book.has_s8 = !book.has_s16 && d <= kMostBytesDimensions;
  if (book.has_s8) {
    book.s8.panels = carver.take<int32_t>(padded * FilterS8::groups(d));
    book.s8.offsets = carver.take<float>(padded);
    book.s8.scales = carver.take<float>(padded);
    book.s8.corrections = carver.take<int32_t>(padded);
  }
#endif
  if (!storage) return carver.used;
  centre_codebook(book, shape);
  pack_f32(book, shape);
#if CODEWORD_VNNI
  if (book.has_s16) pack_s16(book, shape);
  if (book.has_s8) pack_s8(book, shape);
#endif
  return carver.used;
}

// Rows at least this long are fetched ahead: worth 9 % at d = 384, k = 1024, nothing at d = 128.
constexpr int64_t kFetchedDimensions = 192;

// A filter that fails half of its first rows gets no more of them.
constexpr int64_t kTrialRows = kBlockRows;

// Whether a filter's candidates are worth screening.
template <class Filter, class = void>
constexpr bool leaves_many = false;
template <class Filter>
constexpr bool leaves_many<Filter, decltype(void(Filter::kScreened))> = true;

// Sends the n rows listed in `pending` (rows 0 .. n - 1 when `all`) through a filter; leaves in `pending` those that it
// did not label, and returns how many.
template <int64_t kVectors, class Filter>
inline int64_t filter_rows(const AssignCodebook& book, const Filter& filter, const AssignScratch& scratch,
                           const AssignRows& rows, int32_t* pending, int64_t n, bool all) {
  Block<kVectors, Filter> block(book, filter, scratch);
  const int64_t most = rows_of_block(book.d);
  int64_t left = 0;
  for (int64_t begin = 0; begin < n; begin += most) {
    if (begin == kTrialRows && 2 * left > begin) return pass_on(pending, left, begin, n, all);
    const int64_t size = min_of(n - begin, most);
    const float *x[kBlockRows], *next[kBlockRows];
    int32_t row[kBlockRows];
    for (int64_t r = 0; r < size; ++r) {
      row[r] = all ? static_cast<int32_t>(begin + r) : pending[begin + r];
      x[r] = rows.x + row[r] * rows.x_stride;
    }
    const int64_t next_size = book.d < kFetchedDimensions ? 0 : min_of(n - begin - size, most);
    for (int64_t r = 0; r < next_size; ++r) {
      next[r] = rows.x + (all ? begin + size + r : pending[begin + size + r]) * rows.x_stride;
    }
    block.run(x, size, {next, next_size, (book.d + 15) / 16});
    for (int64_t r = 0; r < size; ++r) {
      auto& found = block.candidates[r];
      if (found.overflowed()) {
        pending[left++] = row[r];
      } else {
        if constexpr (leaves_many<Filter>) {
          if (found.n > Filter::kScreened) found.n = screen(book, x[r], found.index, found.n);
        }
        scratch.found[row[r]] = nearest_of(book, rows, row[r], found.index, found.n);
      }
    }
  }
  return left;
}

template <class Filter>
inline int64_t filter_rows(const AssignCodebook& book, const Filter& filter, const AssignScratch& scratch,
                           const AssignRows& rows, int32_t* pending, int64_t n, bool all) {
  if (book.panel_vectors == 1) return filter_rows<1>(book, filter, scratch, rows, pending, n, all);
  if (book.panel_vectors == 2) return filter_rows<2>(book, filter, scratch, rows, pending, n, all);
  return filter_rows<kPanelVectors>(book, filter, scratch, rows, pending, n, all);
}

// found[i] = the index in `book` of the nearest codeword of row i.
inline void find_nearest(const AssignCodebook& book, const AssignScratch& scratch, const AssignRows& rows, int64_t n) {
  int64_t left = n;
  bool all = true;
#if CODEWORD_VNNI
  if (book.has_s16) {
    left = is_narrow(book.d, book.k)
               ? filter_narrow_rows(book, scratch, rows, left)
               : filter_rows(book, FilterS16(book, scratch), scratch, rows, scratch.pending, left, all);
    all = false;
  }
  if (book.has_s8) {
#if CODEWORD_AMX
    const HeldTiles tiles;
#endif
    left = filter_rows(book, FilterS8(book, scratch), scratch, rows, scratch.pending, left, all);
    all = false;
  }
#endif
  left = filter_rows(book, FilterF32(book, scratch), scratch, rows, scratch.pending, left, all);
  for (int64_t j = 0; j < left; ++j) {
    const int64_t row = scratch.pending[j];
    scratch.found[row] = nearest_of_all(book, rows, row);
  }
}

// Writes what was found for row i, unless a codeword of an earlier part is as near and has a lower number, or is
// nearer.
template <class T>
inline void write_label(const AssignCodebook& book, const AssignRows& rows, const T* x, int64_t i, int32_t found) {
  int32_t& label = rows.labels[i * rows.labels_stride];
  const int32_t number = book.numbers ? book.numbers[found] : found;
  if (rows.scores) {
    const double score = exact_score(book, x, found);
    if (rows.merge && (rows.scores[i] < score || (rows.scores[i] == score && label < number))) return;
    rows.scores[i] = score;
  }
  label = number;
  if (rows.distances) {
    rows.distances[i * rows.distances_stride] = exact_sqdist(x, deciding(book, x) + found * book.d, book.d);
  }
}

void assign(const AssignCodebook& book, const AssignRows& rows, int64_t n, void* memory) {
  AssignScratch scratch;
  carve_scratch(book, memory, scratch);
  for (int64_t begin = 0; begin < n; begin += kBatchRows) {
    AssignRows batch = rows;
    batch.x += begin * rows.x_stride;
    if (batch.wide) batch.wide += begin * rows.wide_stride;
    batch.labels += begin * rows.labels_stride;
    if (batch.distances) batch.distances += begin * rows.distances_stride;
    if (batch.scores) batch.scores += begin;
    const int64_t size = min_of(n - begin, kBatchRows);
    if (book.k <= kFewCodewords) {
      for (int64_t i = 0; i < size; ++i) scratch.found[i] = nearest_of_all(book, batch, i);
    } else {
      find_nearest(book, scratch, batch, size);
    }
    for (int64_t i = 0; i < size; ++i) {
      if (batch.wide) {
        write_label(book, batch, batch.wide + i * batch.wide_stride, i, scratch.found[i]);
      } else {
        write_label(book, batch, batch.x + i * batch.x_stride, i, scratch.found[i]);
      }
    }
  }
}
