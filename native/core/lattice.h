// Lattice codes of rows: blocks of eight coordinates, one or two stages. See docs/lattice.md and kernels/orbits.h.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels.h"

namespace codeword {

// Leaders and the numbering of the vectors that they stand for.
class OrbitTable {
 public:
  // shapes (m, 8), falling, all even or all odd: equal entries share a place in the numbering, entries 0 have no sign.
  // leaders (m, 8), falling, from 0 to 127, equal where the shape is. Throws std::invalid_argument where that, or a sum
  // of vectors above 65,536, makes no code.
  OrbitTable(std::vector<uint8_t> shapes, std::vector<int8_t> leaders);

  OrbitBook book() const;
  int64_t size() const { return size_; }
  int bytes() const { return size_ <= 256 ? 1 : 2; }
  int64_t leaders() const { return static_cast<int64_t>(firsts_.size()); }
  // (256 or 65,536, 8) vectors by number, those beyond the last repeat it; and which leader each has.
  const std::vector<int8_t>& words() const { return words_; }
  const std::vector<uint8_t>& orbits() const { return orbits_; }

 private:
  void add_orbit(const uint8_t* shape, const int8_t* leader);

  int64_t size_ = 0;
  std::vector<int32_t> pairs_, against_, counts_, firsts_;
  std::vector<uint8_t> parities_, ends_, nonzero_, ranks_, orbits_;
  std::vector<int8_t> words_;
};

class Lattice {
 public:
  // mean (d), scale (blocks) what a unit of the values is worth, steps (leaders of the first stage), even where there
  // is a second stage.
  Lattice(std::vector<OrbitTable> stages, std::vector<uint8_t> steps, std::vector<float> mean,
          std::vector<float> scale);
  Lattice(const Lattice&) = delete;
  Lattice& operator=(const Lattice&) = delete;

  void encode(const float* x, int64_t n, uint8_t* codes) const;
  void decode(const uint8_t* codes, int64_t n, float* x) const;
  void values(const uint8_t* codes, int64_t n, int16_t* values) const;  // (n, 8 * blocks)

  // score = float32(sum of weights[l] * values) * scale[l] + bias[l]; weights (q, width). Given line and square
  // (width), with norm = constant + sum of v (line + square v): max(score + norm, 0), or max(score / sqrt(norm) + 1,
  // 0).
  struct Norms {
    const double *line, *square;
    double constant;
    bool cosine;
  };
  void scan(const uint8_t* codes, int64_t n, const int16_t* weights, int64_t q, const float* scale, const float* bias,
            const Norms* norms, float* out) const;

  int64_t d() const { return d_; }
  int64_t code_size() const { return code_.blocks * (code_.bytes[0] + code_.bytes[1]); }
  int64_t blocks() const { return code_.blocks; }
  int64_t width() const { return (8 * code_.blocks + 31) / 32 * 32; }  // of weights: values and zeros

 private:
  void encode_tile(const float* x, int64_t n, uint8_t* codes, int32_t* y, int32_t* steps, uint16_t* symbols) const;

  int64_t d_;
  std::vector<OrbitTable> stages_;
  std::vector<int16_t> steps_;                 // of every first symbol
  std::vector<float> mean_, scale_, inverse_;  // of every coordinate, zeros from d on
  LatticeCode code_;
};

}  // namespace codeword
