// See lattice.h.
#include "core/lattice.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "core/rows.h"
#include "dispatch.h"
#include "pool.h"

namespace codeword {
namespace {

constexpr int64_t kTileRows = 64;
constexpr int kUnit = 128;  // of the values, in a unit of the first stage's leaders
constexpr int kMostLeaders = 32;

void require(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

int32_t halves(int low, int high) { return static_cast<int32_t>((low & 0xffff) | static_cast<uint32_t>(high) << 16); }

// The bits of `value` spread over the ones of `mask`.
uint32_t expand_bits(uint32_t value, uint32_t mask) {
  uint32_t out = 0;
  for (; mask; mask &= mask - 1, value >>= 1) {
    if (value & 1) out |= mask & (0u - mask);
  }
  return out;
}

// Masks of `ones` bits among `places`, rising.
std::vector<uint32_t> masks_of(int ones, int places) {
  std::vector<uint32_t> masks;
  for (uint32_t m = 0; m < 1u << places; ++m) {
    if (std::popcount(m) == ones) masks.push_back(m);
  }
  return masks;
}

}  // namespace

OrbitTable::OrbitTable(std::vector<uint8_t> shapes, std::vector<int8_t> leaders) {
  require(!shapes.empty() && shapes.size() % 8 == 0 && shapes.size() == leaders.size(),
          "shapes, leaders: expected (m, 8)");
  require(shapes.size() <= 8 * kMostLeaders, "shapes: expected at most 32 of them");
  ranks_.resize(256);
  int seen[9] = {};
  for (uint32_t m = 0; m < 256; ++m) ranks_[m] = static_cast<uint8_t>(seen[std::popcount(m)]++);
  for (size_t at = 0; at < shapes.size(); at += 8) add_orbit(shapes.data() + at, leaders.data() + at);
  size_ = static_cast<int64_t>(words_.size()) / 8;
  const std::vector<int8_t> last(words_.end() - 8, words_.end());
  while (words_.size() < (bytes() == 1 ? 256u : 65536u) * 8) words_.insert(words_.end(), last.begin(), last.end());
  orbits_.resize(words_.size() / 8, orbits_.back());
}

void OrbitTable::add_orbit(const uint8_t* shape, const int8_t* leader) {
  int sum = 0, norm = 0, nonzero = 0, groups = 0;
  uint8_t ends[4] = {8, 8, 8, 8};
  for (int j = 0; j < 8; ++j) {
    require(leader[j] >= 0 && (shape[j] > 0 || leader[j] == 0), "leaders: expected 0 to 127, 0 where the shape is");
    require(shape[j] % 2 == shape[0] % 2, "shapes: expected all even or all odd");
    sum += shape[j];
    norm += leader[j] * leader[j];
    nonzero += shape[j] > 0;
    if (j + 1 == 8 || shape[j] == shape[j + 1]) {
      require(j + 1 == 8 || leader[j] == leader[j + 1], "leaders: expected equal entries where the shape's are");
      continue;
    }
    require(shape[j] > shape[j + 1] && leader[j] >= leader[j + 1], "shapes, leaders: expected falling entries");
    require(groups < 3, "shapes: expected at most four different entries");
    ends[groups++] = static_cast<uint8_t>(j + 1);
  }
  require(norm <= 32767, "leaders: expected a squared norm of at most 32767");
  const bool odd = shape[0] % 2 == 1;
  require(sum % 4 == 0 || odd, "shapes: expected even entries to sum to a multiple of 4");
  // Half the sum of an odd shape, less one for each minus sign, must be even.
  const int parity = odd ? 1 + (sum / 2) % 2 : 0;
  for (int j = 0; j < 8; j += 2) pairs_.push_back(halves(leader[j], leader[j + 1]));
  against_.push_back(halves(-norm, odd ? -2 * leader[7] : 0));
  parities_.push_back(static_cast<uint8_t>(parity));
  nonzero_.push_back(static_cast<uint8_t>(nonzero));
  firsts_.push_back(static_cast<int32_t>(words_.size() / 8));
  std::vector<std::vector<uint32_t>> places;
  for (int g = 0, taken = 0; g < 3; taken = ends[g], ++g) places.push_back(masks_of(ends[g] - taken, 8 - taken));
  ends_.insert(ends_.end(), ends, ends + 3);
  counts_.push_back(static_cast<int32_t>(places[1].size() * places[2].size()));
  counts_.push_back(static_cast<int32_t>(places[2].size()));
  counts_.push_back(1);
  const uint32_t signs = odd ? 128 : 1u << nonzero;
  require(words_.size() / 8 + places[0].size() * places[1].size() * places[2].size() * signs <= 65536,
          "shapes: expected at most 65,536 vectors");
  for (uint32_t first : places[0]) {
    for (uint32_t second : places[1]) {
      for (uint32_t third : places[2]) {
        const uint32_t one = first, two = expand_bits(second, 255 ^ one);
        const uint32_t three = expand_bits(third, 255 ^ one ^ two);
        for (uint32_t s = 0; s < signs; ++s) {
          int8_t word[8];
          uint32_t zeros = 0;
          for (int j = 0; j < 8; ++j) {
            const uint32_t bit = 1u << j;
            const int i = one & bit ? 0 : two & bit ? ends[0] : three & bit ? ends[1] : ends[2];
            word[j] = leader[i];
            if (shape[i] == 0) zeros |= bit;
          }
          uint32_t negative = odd ? s : expand_bits(s, 255 ^ zeros);
          if (odd && std::popcount(negative) % 2 != parity - 1) negative |= 128;
          for (int j = 0; j < 8; ++j) words_.push_back(negative >> j & 1 ? static_cast<int8_t>(-word[j]) : word[j]);
          orbits_.push_back(static_cast<uint8_t>(firsts_.size() - 1));
        }
      }
    }
  }
}

OrbitBook OrbitTable::book() const {
  return {.m = leaders(),
          .pairs = pairs_.data(),
          .against = against_.data(),
          .parities = parities_.data(),
          .ends = ends_.data(),
          .nonzero = nonzero_.data(),
          .ranks = ranks_.data(),
          .counts = counts_.data(),
          .firsts = firsts_.data()};
}

Lattice::Lattice(std::vector<OrbitTable> stages, std::vector<uint8_t> steps, std::vector<float> mean,
                 std::vector<float> scale)
    : d_(static_cast<int64_t>(mean.size())), stages_(std::move(stages)), mean_(std::move(mean)), code_{} {
  const int64_t blocks = (d_ + 7) / 8;
  require(stages_.size() == 1 || stages_.size() == 2, "stages: expected 1 or 2");
  require(d_ >= 1 && static_cast<int64_t>(scale.size()) == blocks, "scale: expected one for each eight of the means");
  int largest = 0;
  if (stages_.size() == 2) {
    const OrbitTable& first = stages_[0];
    require(static_cast<int64_t>(steps.size()) == first.leaders(),
            "steps: expected one for each leader of the first stage");
    for (uint8_t step : steps) {
      require(step >= 1, "steps: expected 1 to 255");
      largest = std::max<int>(largest, step);
    }
    for (uint8_t orbit : first.orbits()) steps_.push_back(steps[orbit]);
  }
  require(kUnit * 127 + largest * 127 <= 32767, "steps: expected values of 16 bits");
  mean_.resize(8 * blocks + 16);
  scale_.resize(mean_.size());
  inverse_.resize(mean_.size());
  for (int64_t j = 0; j < d_; ++j) {
    const float inverse = 1.0f / scale[j / 8];
    scale_[j] = scale[j / 8];
    inverse_[j] = std::isfinite(inverse) ? inverse : 0.0f;
  }
  code_.blocks = blocks;
  for (size_t s = 0; s < stages_.size(); ++s) {
    code_.bytes[s] = stages_[s].bytes();
    code_.words[s] = stages_[s].words().data();
  }
  code_.steps = steps_.data();
}

// y, steps and symbols have room for the blocks of n rows.
void Lattice::encode_tile(const float* x, int64_t n, uint8_t* codes, int32_t* y, int32_t* steps,
                          uint16_t* symbols) const {
  const Kernels& table = kernels();
  const int64_t blocks = code_.blocks, size = code_size();
  table.whole_blocks(x, n, d_, mean_.data(), inverse_.data(), 8 * blocks, y);
  std::fill_n(steps, n * blocks, kUnit / 2);
  for (size_t s = 0, offset = 0; s < stages_.size(); offset += blocks * code_.bytes[s], ++s) {
    table.orbit_encode(stages_[s].book(), y, steps, n * blocks, symbols);
    for (int64_t i = 0; i < n; ++i) {
      uint8_t* code = codes + i * size + offset;
      for (int64_t b = 0; b < blocks; ++b) {
        const uint16_t symbol = symbols[i * blocks + b];
        *code++ = static_cast<uint8_t>(symbol);
        if (code_.bytes[s] == 2) *code++ = static_cast<uint8_t>(symbol >> 8);
      }
    }
    if (s + 1 == stages_.size()) break;
    for (int64_t b = 0; b < n * blocks; ++b) {
      const int8_t* word = code_.words[s] + 8 * symbols[b];
      steps[b] = steps_[symbols[b]];
      for (int j = 0; j < 8; ++j) y[8 * b + j] = std::clamp(2 * (y[8 * b + j] - kUnit * word[j]), -32767, 32767);
    }
  }
}

void Lattice::encode(const float* x, int64_t n, uint8_t* codes) const {
  const int64_t blocks = code_.blocks, tile = std::max<int64_t>(1, kTileRows * 32 / blocks);
  parallel_rows(n, rows_per_chunk(4 * d_), [&](int64_t begin, int64_t end) {
    std::vector<int32_t> y(tile * 8 * blocks + 16), steps(tile * blocks);
    std::vector<uint16_t> symbols(tile * blocks);
    for (int64_t i = begin; i < end; i += tile) {
      encode_tile(x + i * d_, std::min(tile, end - i), codes + i * code_size(), y.data(), steps.data(), symbols.data());
    }
  });
}

void Lattice::decode(const uint8_t* codes, int64_t n, float* x) const {
  const int64_t width = 8 * code_.blocks;
  parallel_rows(n, rows_per_chunk(4 * d_), [&](int64_t begin, int64_t end) {
    std::vector<int16_t> row(width);
    for (int64_t i = begin; i < end; ++i) {
      kernels().orbit_values(code_, codes + i * code_size(), 1, row.data());
      for (int64_t j = 0; j < d_; ++j) x[i * d_ + j] = static_cast<float>(row[j]) * scale_[j] + mean_[j];
    }
  });
}

void Lattice::values(const uint8_t* codes, int64_t n, int16_t* values) const {
  parallel_rows(n, rows_per_chunk(2 * d_), [&](int64_t begin, int64_t end) {
    kernels().orbit_values(code_, codes + begin * code_size(), end - begin, values + begin * 8 * code_.blocks);
  });
}

void Lattice::scan(const uint8_t* codes, int64_t n, const int16_t* weights, int64_t q, const float* scale,
                   const float* bias, const Norms* norms, float* out) const {
  const Kernels& table = kernels();
  const int64_t size = code_size(), step = width();
  parallel_rows(n, kTileRows, [&](int64_t begin, int64_t end) {
    const int64_t rows = end - begin;
    std::vector<int16_t> values(kTileRows * step);
    int32_t sums[4 * kTileRows];
    double squares[kTileRows];
    float factor[kTileRows], term[kTileRows];
    for (int64_t i = 0; i < rows; ++i) {
      table.orbit_values(code_, codes + (begin + i) * size, 1, values.data() + i * step);
    }
    if (norms) {
      table.value_norms(values.data(), rows, step, norms->line, norms->square, squares);
      for (int64_t i = 0; i < rows; ++i) {
        const double square = norms->constant + squares[i], inverse = square > 0 ? 1 / std::sqrt(square) : 0;
        factor[i] = norms->cosine ? static_cast<float>(std::isfinite(inverse) ? inverse : 0) : 1.0f;
        term[i] = norms->cosine ? 1.0f : static_cast<float>(square);
      }
    }
    for (int64_t l = 0; l < q;) {
      const int64_t side = l + 4 <= q ? 4 : 1;
      table.dot_values(values.data(), side == 4 ? rows : (rows + 3) / 4 * 4, step, weights + l * step, side == 4, sums);
      for (int64_t s = 0; s < side; ++s, ++l) {
        float* row = out + l * n + begin;
        for (int64_t i = 0; i < rows; ++i) row[i] = static_cast<float>(sums[side * i + s]) * scale[l] + bias[l];
        if (norms) table.rescale(row, rows, 0.0f, factor, term, 0.0f, 0.0f);
      }
    }
  });
}

}  // namespace codeword
